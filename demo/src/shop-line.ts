import sharp from 'sharp';
import { type Conversation, minutesAgo, type Spoken } from './conversations.js';
import type { EmulatorRequest } from './emulators/faults.js';
import { loadMediaSamples, type MediaSample } from './emulators/media-samples.js';
import { whatsappMediaId, whatsappMessageId } from './emulators/sample-ids.js';
import { WhatsAppEmulator } from './emulators/whatsapp/whatsapp-emulator.js';
import type { WebhookDelivery, WhatsAppMessage } from './emulators/whatsapp/whatsapp-webhook.js';
import type { DemoLine } from './line.js';

/** What a customer sends is on its way to us as long as that, in milliseconds: long enough to see it being awaited. */
const SLOW_PHOTO_MS = 3_000;
/** Numbers of messages and media that no other line has. */
const FIRST = 100;
const LAST_WEEK = 8 * 24 * 60;

const ZOE = { name: 'Zoë Müller', phone: '+1 650 555 0134' };

/** One message with a media: what a webhook announces. */
export interface Announcement {
  readonly providerMessageId: string;
  readonly make: () => WebhookDelivery;
}

/** The inbox's own line at WhatsApp, which the tour leaves alone: one customer, and every state that a media can have. */
export interface ShopLine extends DemoLine {
  readonly conversation: Conversation;
  /** What the customer has sent already; all that the line will ever be told of it. */
  readonly sent: readonly Announcement[];
  /** Sends another photo, whose bytes are slow. */
  takePhoto(): Promise<Announcement>;
}

interface Sending {
  readonly sample: MediaSample;
  readonly minutesAgo: number;
  readonly caption?: string;
  readonly filename?: string;
  /** The webhook tells of it, and then it is not to be had. */
  readonly fate?: 'refused' | 'gone';
}

export async function startShop(): Promise<ShopLine> {
  const credentials = { token: 'demo-shop-token' };
  const secret = 'demo-shop-secret';
  const phoneNumberId = '106540352242923';
  const emulator = await new WhatsAppEmulator({ ...credentials, phoneNumberId, appSecret: secret }).start();
  const sent: Announcement[] = [];
  let serial = FIRST;

  /** Gives Meta a media, and makes what Meta tells of it. */
  const take = ({ sample, fate, ...how }: Sending): Announcement => {
    serial += 1;
    const [mediaId, providerMessageId] = [whatsappMediaId(serial), whatsappMessageId(serial)];
    emulator.addMedia({ ...sample, id: mediaId });
    const { caption, filename } = how;
    const sentAt = new Date(minutesAgo(how.minutesAgo));
    const message: WhatsAppMessage = { id: providerMessageId, caption, filename, sentAt };
    // Meta sends the same webhook again and again until it is taken, up to seven days.
    const delivery = emulator.webhookOf(mediaId, message);
    if (fate === 'gone') emulator.expire(mediaId);
    if (fate === 'refused')
      emulator.lookaside.faults.push({ match: isFor(mediaId), fault: { kind: 'status', status: 400 } });
    return { providerMessageId, make: () => delivery };
  };
  const media = (sending: Sending): Spoken => {
    const announcement = take(sending);
    sent.push(announcement);
    return { ...announcement, direction: 'INBOUND', minutesAgo: sending.minutesAgo, text: null };
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
    conversation: { contact: ZOE, messages: talkOf(media) },
    sent,
    takePhoto: async () => {
      const { photo } = loadMediaSamples();
      const sample = { ...photo, bytes: await sharp(photo.bytes).flop().jpeg().toBuffer() };
      const announcement = take({ sample, minutesAgo: 0, caption: 'Here you are, from the other side' });
      const match = isFor(whatsappMediaId(serial));
      emulator.lookaside.faults.push({ match, fault: { kind: 'delay', ms: SLOW_PHOTO_MS } });
      return announcement;
    },
    servers: [emulator, emulator.lookaside],
  };
}

/** @param media hands a media over to Meta, and tells the message that it came with */
function talkOf(media: (sending: Sending) => Spoken): Spoken[] {
  const { photo, sticker, voiceNote, video, document } = loadMediaSamples();
  return [
    media({ sample: document, minutesAgo: LAST_WEEK, filename: 'Order list.pdf', fate: 'gone' }),
    says('OUTBOUND', LAST_WEEK - 9, 'Thank you, Zoë. Your sail is being sewn and leaves us next week.'),
    says('INBOUND', 46, 'Good evening! It is here, and it looks wonderful.'),
    media({ sample: photo, minutesAgo: 45, caption: 'The first evening with the new sail' }),
    says('OUTBOUND', 41, 'What a view! Does the boom still make that noise?'),
    media({ sample: voiceNote, minutesAgo: 38 }),
    media({ sample: video, minutesAgo: 36, caption: 'Listen while we pass the trees' }),
    says('OUTBOUND', 31, 'We will send you a new block for it. Could you sign the delivery note?'),
    media({ sample: photo, minutesAgo: 27, fate: 'refused' }),
    media({ sample: document, minutesAgo: 25, filename: 'Delivery note 2026-0042.pdf' }),
    says('OUTBOUND', 22, 'Perfect, that is all we need.'),
    media({ sample: sticker, minutesAgo: 20 }),
  ];
}

function says(direction: Spoken['direction'], ago: number, text: string): Spoken {
  return { direction, minutesAgo: ago, text };
}

function isFor(mediaId: string): (request: EmulatorRequest) => boolean {
  return ({ path }) => path.includes(`?mid=${mediaId}&`) || path.includes(`&mid=${mediaId}&`);
}
