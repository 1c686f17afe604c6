import { z } from 'zod';
import type { MediagraphError } from '../model/errors.js';
import { MAX_PROVIDER_MEDIA_ID_BYTES } from '../model/ids.js';
import type { MediaKind } from '../model/media.js';
import { anything, readShape } from './webhook-body.js';
import type { WebhookFaults } from './webhook-faults.js';
import { dateOfUnixTime, kindOfMessageType } from './webhook-media.js';

/**
 * The body of Meta's webhooks, which Chakra and Kirim pass through and Gupshup's version 3 adds to. Everything is
 * optional that one of the four leaves out. Source: developers.facebook.com, WhatsApp webhooks, `messages` reference.
 */
const metaBody = z.object({ object: z.string(), entry: z.array(z.unknown()) });
const metaEntry = z.object({ changes: z.array(z.unknown()) });
const metaChange = z.object({
  field: z.string().optional(),
  value: z
    .object({
      metadata: z.object({ phone_number_id: z.string().optional() }).optional().catch(undefined),
      messages: z.array(z.unknown()).optional(),
    })
    .nullish(),
});
const metaMessageType = z.object({ type: z.string(), errors: anything });
const metaMessage = z.object({
  id: z.string(),
  timestamp: anything,
  image: anything,
  video: anything,
  audio: anything,
  document: anything,
  sticker: anything,
});
const metaMedia = z.object({
  /** Digits as far as anyone has seen; it becomes a part of paths, hence the strict alphabet and length. */
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .max(MAX_PROVIDER_MEDIA_ID_BYTES),
  url: anything,
  mime_type: anything,
  sha256: anything,
  filename: anything,
  caption: anything,
});

/** One message that has media: what Meta tells of both. */
export interface MetaMediaMessage {
  readonly messageId: string;
  readonly kind: MediaKind;
  readonly createdAt: Date | null;
  readonly media: z.infer<typeof metaMedia>;
}

export interface MetaBodyParsing {
  readonly messages: readonly MetaMediaMessage[];
  readonly faults: MediagraphError[];
}

/**
 * All messages with media in all changes of all entries, in their order. Statuses, texts, messages that Meta could not
 * hand on (`errors`), other fields and other objects tell nothing about media.
 * @param phoneNumberId events of another number are not this channel's, and left out; absent: every number's count
 * @throws MediagraphError PROVIDER_PROTOCOL where the body as a whole is not Meta's
 */
export function readMetaBody(body: unknown, faults: WebhookFaults, phoneNumberId?: string): MetaBodyParsing {
  const { object, entry: entries } = readShape(body, metaBody, faults);
  const found: MetaBodyParsing & { messages: MetaMediaMessage[] } = { messages: [], faults: [] };
  if (object !== 'whatsapp_business_account') return found;
  for (const entry of entries) {
    const changes = faults.collect(found.faults, () => readShape(entry, metaEntry, faults).changes) ?? [];
    for (const change of changes) {
      const messages = faults.collect(found.faults, () => messagesOf(change, faults, phoneNumberId)) ?? [];
      for (const message of messages) {
        const told = faults.collect(found.faults, () => readMessage(message, faults));
        if (told) found.messages.push(told);
      }
    }
  }
  return found;
}

function messagesOf(change: unknown, faults: WebhookFaults, phoneNumberId: string | undefined): readonly unknown[] {
  const { field = 'messages', value } = readShape(change, metaChange, faults);
  const number = value?.metadata?.phone_number_id;
  const isAnothers = phoneNumberId !== undefined && number !== undefined && number !== phoneNumberId;
  return field !== 'messages' || isAnothers ? [] : (value?.messages ?? []);
}

function readMessage(message: unknown, faults: WebhookFaults): MetaMediaMessage | null {
  const { type, errors } = readShape(message, metaMessageType, faults);
  const isUnsupported = Array.isArray(errors) && errors.length > 0;
  const kind = kindOfMessageType(type);
  if (isUnsupported || kind === null || !isMetaType(type)) return null;
  const wire = readShape(message, metaMessage, faults);
  return {
    messageId: faults.messageId(wire.id),
    kind,
    createdAt: dateOfUnixTime(wire.timestamp),
    media: readShape(wire[type], metaMedia, faults),
  };
}

const META_TYPES = ['image', 'video', 'audio', 'document', 'sticker'] as const;

function isMetaType(type: string): type is (typeof META_TYPES)[number] {
  return META_TYPES.some((known) => known === type);
}
