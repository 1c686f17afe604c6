import type { DemoLine } from './line.js';

/** The conversations, in the form that the messages subgraph reads: schema/supergraph/messages/server.js. */
export interface ConversationsFile {
  readonly conversations: ReadonlyArray<{
    readonly id: string;
    readonly channelId: string;
    readonly contact: Contact;
    readonly messages: ReadonlyArray<{
      readonly providerMessageId: string;
      readonly direction: Direction;
      readonly sentAt: string;
      readonly text: string | null;
    }>;
  }>;
}

interface Contact {
  readonly name: string;
  readonly phone: string;
}

type Direction = 'INBOUND' | 'OUTBOUND';

/** One message of a conversation. */
export interface ConversationMessage {
  readonly direction: Direction;
  readonly minutesAgo: number;
  readonly text: string | null;
  /** Absent: one is generated. */
  readonly providerMessageId?: string;
}

export interface Conversation {
  readonly contact: Contact;
  readonly messages: readonly ConversationMessage[];
}

/** A conversation on one of the tour's lines. The telephone numbers are reserved for fiction. */
interface Script extends Contact {
  readonly lastMinutesAgo: number;
  /** The texts of the line's messages, in order. Null: a media without text. */
  readonly texts: ReadonlyArray<string | null>;
  readonly reply?: string;
}

const SCRIPTS: Readonly<Record<string, Script>> = {
  support: {
    name: 'Budi Santoso',
    phone: '+44 7700 900142',
    lastMinutesAgo: 95,
    texts: [null, null, null, null, 'So tomorrow would be fine for us.'],
    reply: 'Then tomorrow before noon it is.',
  },
  sms: { name: 'Maria Lopez', phone: '+1 202 555 0143', lastMinutesAgo: 210, texts: ['How it looks today'] },
  mms: { name: 'James Carter', phone: '+1 202 555 0178', lastMinutesAgo: 260, texts: ['Signed, as you asked'] },
  chakra: {
    name: 'Ananya Rao',
    phone: '+44 7700 900377',
    lastMinutesAgo: 330,
    texts: [null],
    reply: 'Got it, thanks!',
  },
  cloud: { name: 'Paweł Nowak', phone: '+44 7700 900518', lastMinutesAgo: 1_500, texts: [null] },
  gateway: { name: 'Elif Demir', phone: '+44 7700 900664', lastMinutesAgo: 1_620, texts: [null] },
  gupshup: { name: 'Rahul Mehta', phone: '+44 7700 900721', lastMinutesAgo: 2_900, texts: [null] },
  sales: {
    name: 'Sarah Klein',
    phone: '+44 7700 900835',
    lastMinutesAgo: 3_100,
    texts: ['My measures, for the offer'],
  },
};

/** The time between two messages of a line. */
const STEP_MINUTES = 2;

export function conversationOn({ channel, messages }: DemoLine): Conversation {
  const script = SCRIPTS[channel.id];
  if (!script) throw new Error(`expected words for the line "${channel.id}"`);
  const { name, phone, lastMinutesAgo, texts, reply } = script;
  const inbound = messages.map(
    (providerMessageId, index): ConversationMessage => ({
      providerMessageId,
      direction: 'INBOUND',
      minutesAgo: lastMinutesAgo + (messages.length - index) * STEP_MINUTES,
      text: texts[index] ?? null,
    }),
  );
  const outbound: ConversationMessage[] =
    reply === undefined ? [] : [{ direction: 'OUTBOUND', minutesAgo: lastMinutesAgo, text: reply }];
  return { contact: { name, phone }, messages: [...inbound, ...outbound] };
}

/** @param conversations by channel id, which is also the conversation's id */
export function conversationsFile(conversations: ReadonlyMap<string, Conversation>): ConversationsFile {
  return {
    conversations: [...conversations].map(([channelId, { contact, messages }]) => ({
      id: channelId,
      channelId,
      contact,
      messages: messages.map(({ direction, text, providerMessageId, minutesAgo }, index) => ({
        providerMessageId: providerMessageId ?? `said-${index}`,
        direction,
        sentAt: timeBefore(minutesAgo),
        text,
      })),
    })),
  };
}

export function timeBefore(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}
