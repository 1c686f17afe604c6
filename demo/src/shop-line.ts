import sharp from 'sharp';
import { type Conversation, type ConversationMessage, timeBefore } from './conversations.js';
import type { EmulatorRequest } from './emulators/faults.js';
import { loadMediaSamples, type MediaSample } from './emulators/media-samples.js';
import { whatsappMediaId, whatsappMessageId } from './emulators/sample-ids.js';
import { WhatsAppEmulator } from './emulators/whatsapp/whatsapp-emulator.js';
import type { WebhookDelivery, WhatsAppMessage } from './emulators/whatsapp/whatsapp-webhook.js';
import type { DemoLine } from './line.js';

/** How long the photo's bytes take, in milliseconds: long enough to see the page wait for them. */
const SLOW_PHOTO_MS = 3_000;
/** The first index of ids that no other line uses. */
const FIRST_INDEX = 100;
const LAST_WEEK = 8 * 24 * 60;

const ZOE = { name: 'Zoë Müller', phone: '+1 650 555 0134' };

/** The webhook of one message with a media. */
export interface Announcement {
  readonly providerMessageId: string;
  readonly make: () => WebhookDelivery;
}

/** The inbox's own line at WhatsApp, which the tour does not use: one customer, and media in every state. */
export interface ShopLine extends DemoLine {
  readonly conversation: Conversation;
  /** The webhooks of the messages that the customer has sent already. */
  readonly sent: readonly Announcement[];
  /** Sends another photo, whose bytes arrive slowly. */
  takePhoto(): Promise<Announcement>;
}

interface SentMedia {
  readonly sample: MediaSample;
  readonly minutesAgo: number;
  readonly caption?: string;
  readonly filename?: string;
  /** Why the announced media cannot be fetched. Absent: it can. */
  readonly fate?: 'refused' | 'gone';
}

export async function startShop(): Promise<ShopLine> {
  const credentials = { token: 'demo-shop-token' };
  const secret = 'demo-shop-secret';
  const phoneNumberId = '106540352242923';
  const emulator = await new WhatsAppEmulator({ ...credentials, phoneNumberId, appSecret: secret }).start();
  const sent: Announcement[] = [];
  let index = FIRST_INDEX;

  /** Adds a media at Meta, and makes the webhook that announces it. */
  const announce = ({ sample, fate, minutesAgo, caption, filename }: SentMedia): Announcement => {
    index += 1;
    const [mediaId, providerMessageId] = [whatsappMediaId(index), whatsappMessageId(index)];
    emulator.addMedia({ ...sample, id: mediaId });
    const sentAt = new Date(timeBefore(minutesAgo));
    const message: WhatsAppMessage = { id: providerMessageId, caption, filename, sentAt };
    // Meta repeats the same webhook until it is accepted, for up to seven days.
    const delivery = emulator.webhookOf(mediaId, message);
    if (fate === 'gone') emulator.expire(mediaId);
    if (fate === 'refused')
      emulator.lookaside.faults.push({ match: requestsBytesOf(mediaId), fault: { kind: 'status', status: 400 } });
    return { providerMessageId, make: () => delivery };
  };
  const send = (media: SentMedia): ConversationMessage => {
    const announcement = announce(media);
    sent.push(announcement);
    return { ...announcement, direction: 'INBOUND', minutesAgo: media.minutesAgo, text: null };
  };

  return {
    channel: {
      id: 'shop',
      provider: 'whatsapp-cloud',
      baseUrl: emulator.baseUrl,
      credentials,
      options: { phoneNumberId, mediaOrigins: [emulator.lookaside.url] },
      webhook: { secret },
    },
    messages: [],
    conversation: { contact: ZOE, messages: messagesOf(send) },
    sent,
    takePhoto: async () => {
      const { photo } = loadMediaSamples();
      const sample = { ...photo, bytes: await sharp(photo.bytes).flop().jpeg().toBuffer() };
      const announcement = announce({ sample, minutesAgo: 0, caption: 'Here you are, from the other side' });
      const match = requestsBytesOf(whatsappMediaId(index));
      emulator.lookaside.faults.push({ match, fault: { kind: 'delay', ms: SLOW_PHOTO_MS } });
      return announcement;
    },
    servers: [emulator, emulator.lookaside],
  };
}

/** @param media sends a media through Meta, and returns its message */
function messagesOf(media: (media: SentMedia) => ConversationMessage): ConversationMessage[] {
  const { photo, sticker, voiceNote, video, document } = loadMediaSamples();
  return [
    media({ sample: document, minutesAgo: LAST_WEEK, filename: 'Order list.pdf', fate: 'gone' }),
    text('OUTBOUND', LAST_WEEK - 9, 'Thank you, Zoë. Your sail is being sewn and leaves us next week.'),
    text('INBOUND', 46, 'Good evening! It is here, and it looks wonderful.'),
    media({ sample: photo, minutesAgo: 45, caption: 'The first evening with the new sail' }),
    text('OUTBOUND', 41, 'What a view! Does the boom still make that noise?'),
    media({ sample: voiceNote, minutesAgo: 38 }),
    media({ sample: video, minutesAgo: 36, caption: 'Listen while we pass the trees' }),
    text('OUTBOUND', 31, 'We will send you a new block for it. Could you sign the delivery note?'),
    media({ sample: photo, minutesAgo: 27, fate: 'refused' }),
    media({ sample: document, minutesAgo: 25, filename: 'Delivery note 2026-0042.pdf' }),
    text('OUTBOUND', 22, 'Perfect, that is all we need.'),
    media({ sample: sticker, minutesAgo: 20 }),
  ];
}

function text(direction: ConversationMessage['direction'], minutesAgo: number, words: string): ConversationMessage {
  return { direction, minutesAgo, text: words };
}

function requestsBytesOf(mediaId: string): (request: EmulatorRequest) => boolean {
  return ({ path }) => path.includes(`?mid=${mediaId}&`) || path.includes(`&mid=${mediaId}&`);
}
