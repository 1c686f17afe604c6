import type { MediaDetails, MediaDirection, MediaFault, MediaKind, ProviderMedia } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/mime-type.js';
import { parseUrl } from '../../model/parse-url.js';

const MAX_CAPTION_CHARACTERS = 4_096;
const MAX_FILENAME_CHARACTERS = 1_024;
const MAX_MIME_TYPE_CHARACTERS = 255;
const MAX_URL_CHARACTERS = 4_096;
const MAX_CONTACT_CHARACTERS = 128;
/** The longest date of ISO 8601 with nanoseconds and an offset has 35. */
const MAX_DATE_CHARACTERS = 64;
/** Years 2001 and 2096: what lies outside is no time of a message. */
const MIN_UNIX_SECONDS = 1e9;
const MAX_UNIX_SECONDS = 4e9;

/** WhatsApp keeps media that came in by webhook for seven days (Meta's media page; Gupshup's `urlExpiry` says the same). */
const WHATSAPP_KEEPS_MS = 7 * 24 * 60 * 60 * 1000;

/** What WhatsApp's providers call the kinds: `file` at Gupshup, `voice` and `ptt` for recorded messages. */
const KIND_OF_TYPE: ReadonlyMap<unknown, MediaKind> = new Map([
  ['image', 'IMAGE'],
  ['video', 'VIDEO'],
  ['audio', 'AUDIO'],
  ['voice', 'AUDIO'],
  ['ptt', 'AUDIO'],
  ['document', 'DOCUMENT'],
  ['file', 'DOCUMENT'],
  ['sticker', 'STICKER'],
]);

/** A message's type decides the kind (a PNG sent as a document is a document); null for types without media. */
export function kindOfMessageType(type: unknown): MediaKind | null {
  return KIND_OF_TYPE.get(type) ?? null;
}

/** What a webhook says of the bytes, in its own spelling; what is none of what it should be counts as not said. */
export interface ToldDetails {
  /** Of the message's type; absent: the MIME type decides. */
  readonly kind?: MediaKind | null;
  readonly mimeType?: unknown;
  readonly sizeBytes?: unknown;
  /** Base64 (Meta's webhooks) or hex. */
  readonly sha256?: unknown;
  readonly filename?: unknown;
  readonly caption?: unknown;
}

export interface ToldMedia extends ToldDetails, Pick<ProviderMedia, 'providerMessageId' | 'providerMediaId'> {
  readonly downloadUrl?: string | null;
  readonly status?: ProviderMedia['status'];
  /** Makes it FAILED. */
  readonly fault?: MediaFault | null;
  readonly createdAt?: Date | null;
  readonly availableUntil?: Date | null;
  /** Whether it is a voice note: what is no boolean is not told. */
  readonly voice?: unknown;
  readonly contact?: string | null;
  readonly direction?: MediaDirection | null;
}

/** READY unless told otherwise. What is not told of sender and voice is absent. */
export function announcedMedia(told: ToldMedia): ProviderMedia {
  const { fault, voice, contact, direction } = told;
  return {
    providerMessageId: told.providerMessageId,
    providerMediaId: told.providerMediaId,
    downloadUrl: told.downloadUrl ?? null,
    status: fault ? 'FAILED' : (told.status ?? 'READY'),
    ...(fault && { fault }),
    ...announcedDetails(told),
    createdAt: told.createdAt ?? null,
    availableUntil: told.availableUntil ?? null,
    ...(typeof voice === 'boolean' && { voice }),
    ...(contact && { contact }),
    ...(direction && { direction }),
  };
}

/** A type that only voice notes have; undefined where the type does not tell. */
export function voiceOfMessageType(type: unknown): true | undefined {
  return type === 'voice' || type === 'ptt' ? true : undefined;
}

/**
 * The other party of a WhatsApp message: a telephone number as its digits, with or without `+`, is E.164 (ITU-T E.164: at
 * most 15 digits); anything else, such as a user id of a business's own scope, stays as it is.
 */
export function whatsappContact(value: unknown): string | null {
  const text = contactText(value);
  return text !== null && /^\+?[1-9]\d{4,14}$/.test(text) ? `+${text.replace('+', '')}` : text;
}

/** A name of a user as it came; null for what is too long to be one, since half a name is another's. */
export function contactText(value: unknown): string | null {
  return typeof value === 'string' && value.length <= MAX_CONTACT_CHARACTERS ? textOf(value, value.length) : null;
}

const INBOUND_WORDS: ReadonlySet<unknown> = new Set(['inbound', 'incoming', 'in', 'received']);
const OUTBOUND_WORDS: ReadonlySet<unknown> = new Set(['outbound', 'outgoing', 'out', 'sent']);

/** A direction in a provider's own word, such as Twilio's `outbound-api`; null where it is none. */
export function directionOf(value: unknown): MediaDirection | null {
  if (typeof value !== 'string' || value.length > MAX_CONTACT_CHARACTERS) return null;
  const [word] = value.toLowerCase().split('-', 1);
  if (INBOUND_WORDS.has(word)) return 'INBOUND';
  return OUTBOUND_WORDS.has(word) ? 'OUTBOUND' : null;
}

function announcedDetails({ kind, mimeType, sizeBytes, sha256, filename, caption }: ToldDetails): MediaDetails {
  const type = mimeTypeOf(mimeType);
  return {
    kind: kind ?? kindOfMimeType(type),
    mimeType: type,
    sizeBytes: sizeOf(sizeBytes),
    sha256: sha256Of(sha256),
    filename: textOf(filename, MAX_FILENAME_CHARACTERS),
    caption: captionOf(caption),
  };
}

/** null for none, and for an empty one. */
export function captionOf(value: unknown): string | null {
  return textOf(value, MAX_CAPTION_CHARACTERS);
}

function mimeTypeOf(value: unknown): string | null {
  return typeof value === 'string' && value.length <= MAX_MIME_TYPE_CHARACTERS ? normalizeMimeType(value) : null;
}

function sizeOf(value: unknown): number | null {
  const size = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof size === 'number' && Number.isSafeInteger(size) && size > 0 ? size : null;
}

function sha256Of(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  return /^[A-Za-z0-9+/]{43}=$/.test(value) ? Buffer.from(value, 'base64').toString('hex') : null;
}

/** Cut where it is longer than any provider allows; without what databases refuse: NUL and lone surrogates. */
function textOf(value: unknown, maxCharacters: number): string | null {
  if (typeof value !== 'string') return null;
  return value.slice(0, maxCharacters).replaceAll('\0', '').toWellFormed() || null;
}

/** Unix time as providers write it: a number or digits, seconds or (from eleven digits on) milliseconds; null for nonsense. */
export function dateOfUnixTime(value: unknown): Date | null {
  const time = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof time !== 'number') return null;
  const seconds = time > MAX_UNIX_SECONDS ? time / 1000 : time;
  return seconds >= MIN_UNIX_SECONDS && seconds <= MAX_UNIX_SECONDS ? new Date(Math.round(seconds * 1000)) : null;
}

/** Unix time, or an ISO 8601 date. */
export function dateOfTime(value: unknown): Date | null {
  const isDate = typeof value === 'string' && value.length <= MAX_DATE_CHARACTERS && /^\d{4}-\d\d-\d\dT/.test(value);
  return dateOfUnixTime(isDate ? Date.parse(value) : value);
}

/** Until when WhatsApp keeps the media of a message; of a message without a time, as if it was of now. */
export function whatsappKeepsUntil(createdAt: Date | null, now: Date): Date {
  return new Date((createdAt ?? now).getTime() + WHATSAPP_KEEPS_MS);
}

/** An http or https URL without user information, or null. Where it leads is judged by whoever opens it. */
export function webUrlOf(value: unknown): URL | null {
  if (typeof value !== 'string' || value.length > MAX_URL_CHARACTERS || /[\p{Cc}\\]/u.test(value)) return null;
  const url = parseUrl(value);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) return null;
  return url;
}
