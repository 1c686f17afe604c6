import type { DemoLine } from './line.js';

/** What was said on a line, as the subgraph of messages takes it: schema/supergraph/messages/server.js. */
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

export interface Spoken {
  readonly direction: Direction;
  readonly minutesAgo: number;
  readonly text: string | null;
  /** Absent: made up. */
  readonly providerMessageId?: string;
}

export interface Conversation {
  readonly contact: Contact;
  readonly messages: readonly Spoken[];
}

/** Words to the messages of the tour's lines, in their order; null where the media says it all. Numbers are nobody's. */
interface Talk extends Contact {
  readonly lastMinutesAgo: number;
  readonly words: ReadonlyArray<string | null>;
  readonly answer?: string;
}

const TALKS: Readonly<Record<string, Talk>> = {
  support: {
    name: 'Budi Santoso',
    phone: '+44 7700 900142',
    lastMinutesAgo: 95,
    words: [null, null, null, null, 'So tomorrow would be fine for us.'],
    answer: 'Then tomorrow before noon it is.',
  },
  sms: { name: 'Maria Lopez', phone: '+1 202 555 0143', lastMinutesAgo: 210, words: ['How it looks today'] },
  mms: { name: 'James Carter', phone: '+1 202 555 0178', lastMinutesAgo: 260, words: ['Signed, as you asked'] },
  chakra: {
    name: 'Ananya Rao',
    phone: '+44 7700 900377',
    lastMinutesAgo: 330,
    words: [null],
    answer: 'Got it, thanks!',
  },
  cloud: { name: 'Paweł Nowak', phone: '+44 7700 900518', lastMinutesAgo: 1_500, words: [null] },
  gateway: { name: 'Elif Demir', phone: '+44 7700 900664', lastMinutesAgo: 1_620, words: [null] },
  gupshup: { name: 'Rahul Mehta', phone: '+44 7700 900721', lastMinutesAgo: 2_900, words: [null] },
  sales: {
    name: 'Sarah Klein',
    phone: '+44 7700 900835',
    lastMinutesAgo: 3_100,
    words: ['My measures, for the offer'],
  },
};

/** Between two messages of the tour's lines. */
const STEP_MINUTES = 2;

export function talkOn({ channel, messages }: DemoLine): Conversation {
  const talk = TALKS[channel.id];
  if (!talk) throw new Error(`expected words for the line "${channel.id}"`);
  const { name, phone, lastMinutesAgo, words, answer } = talk;
  const inbound = messages.map(
    (providerMessageId, index): Spoken => ({
      providerMessageId,
      direction: 'INBOUND',
      minutesAgo: lastMinutesAgo + (messages.length - index) * STEP_MINUTES,
      text: words[index] ?? null,
    }),
  );
  const outbound: Spoken[] =
    answer === undefined ? [] : [{ direction: 'OUTBOUND', minutesAgo: lastMinutesAgo, text: answer }];
  return { contact: { name, phone }, messages: [...inbound, ...outbound] };
}

/** By channel, whose id the conversation has, too. */
export function conversationsFile(conversations: ReadonlyMap<string, Conversation>): ConversationsFile {
  return {
    conversations: [...conversations].map(([channelId, { contact, messages }]) => ({
      id: channelId,
      channelId,
      contact,
      messages: messages.map(({ direction, text, providerMessageId, ...said }, index) => ({
        providerMessageId: providerMessageId ?? `said-${index}`,
        direction,
        sentAt: minutesAgo(said.minutesAgo),
        text,
      })),
    })),
  };
}

export function minutesAgo(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}
