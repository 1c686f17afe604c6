import { addMilliseconds } from '../../model/clock.js';
import type { MediaDetails, MediaDirection, MediaFault, MediaKind, ProviderMedia } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/text/mime-type.js';
import { parseUrl } from '../../model/text/parse-url.js';

const MAX_CAPTION_CHARACTERS = 4_096;
const MAX_FILENAME_CHARACTERS = 1_024;
const MAX_MIME_TYPE_CHARACTERS = 255;
const MAX_URL_CHARACTERS = 4_096;
const MAX_CONTACT_CHARACTERS = 128;
/** The longest ISO 8601 date, with nanoseconds and an offset, has 35. */
const MAX_DATE_CHARACTERS = 64;
/** The years 2001 and 2096. A value outside is not the time of a message. */
const MIN_UNIX_SECONDS = 1e9;
const MAX_UNIX_SECONDS = 4e9;

/** WhatsApp keeps media that a webhook announced for seven days (Meta's media page; Gupshup's `urlExpiry` agrees). */
const WHATSAPP_KEEPS_MS = 7 * 24 * 60 * 60 * 1000;

/** The type names of WhatsApp's providers: `file` at Gupshup, `voice` and `ptt` for recorded messages. */
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

/** Maps a message's type to a kind: a PNG sent as a document is a document. Returns null for types without media. */
export function kindOfMessageType(type: unknown): MediaKind | null {
  return KIND_OF_TYPE.get(type) ?? null;
}

/** Details in a webhook, as received. A value of the wrong type counts as missing. */
export interface AnnouncedDetails {
  /** Derived from the message's type; absent means that the MIME type decides. */
  readonly kind?: MediaKind | null;
  readonly mimeType?: unknown;
  readonly sizeBytes?: unknown;
  /** Base64 (Meta's webhooks) or hex. */
  readonly sha256?: unknown;
  readonly filename?: unknown;
  readonly caption?: unknown;
}

export interface MediaAnnouncement
  extends AnnouncedDetails,
    Pick<ProviderMedia, 'providerMessageId' | 'providerMediaId'> {
  readonly downloadUrl?: string | null;
  readonly status?: ProviderMedia['status'];
  /** A fault makes the media FAILED. */
  readonly fault?: MediaFault | null;
  readonly createdAt?: Date | null;
  readonly availableUntil?: Date | null;
  /** Whether it is a voice note. Anything but a boolean counts as missing. */
  readonly voice?: unknown;
  readonly contact?: string | null;
  readonly direction?: MediaDirection | null;
}

/**
 * Builds the media of an announcement. Its status is READY unless stated otherwise. Missing facts about sender and
 * voice stay absent.
 */
export function announcedMedia(announcement: MediaAnnouncement): ProviderMedia {
  const { fault, voice, contact, direction } = announcement;
  return {
    providerMessageId: announcement.providerMessageId,
    providerMediaId: announcement.providerMediaId,
    downloadUrl: announcement.downloadUrl ?? null,
    status: fault ? 'FAILED' : (announcement.status ?? 'READY'),
    ...(fault && { fault }),
    ...announcedDetails(announcement),
    createdAt: announcement.createdAt ?? null,
    availableUntil: announcement.availableUntil ?? null,
    ...(typeof voice === 'boolean' && { voice }),
    ...(contact && { contact }),
    ...(direction && { direction }),
  };
}

/** Returns true for a type that only voice notes have, else undefined. */
export function voiceOfMessageType(type: unknown): true | undefined {
  return type === 'voice' || type === 'ptt' ? true : undefined;
}

/**
 * Normalizes the other party of a WhatsApp message. A phone number in digits, with or without `+`, becomes E.164 (ITU-T
 * E.164: at most 15 digits). Any other value, such as a business-scoped user id, is unchanged.
 */
export function whatsappContact(value: unknown): string | null {
  const text = contactText(value);
  return text !== null && /^\+?[1-9]\d{4,14}$/.test(text) ? `+${text.replace('+', '')}` : text;
}

/** Returns a user's id as received; null for one that is too long, since a shortened id would be another user's. */
export function contactText(value: unknown): string | null {
  return typeof value === 'string' && value.length <= MAX_CONTACT_CHARACTERS ? textOf(value, value.length) : null;
}

const INBOUND_WORDS: ReadonlySet<unknown> = new Set(['inbound', 'incoming', 'in', 'received']);
const OUTBOUND_WORDS: ReadonlySet<unknown> = new Set(['outbound', 'outgoing', 'out', 'sent']);

/** Maps a provider's term for a direction, such as Twilio's `outbound-api`; null for an unknown one. */
export function directionOf(value: unknown): MediaDirection | null {
  if (typeof value !== 'string' || value.length > MAX_CONTACT_CHARACTERS) return null;
  const [word] = value.toLowerCase().split('-', 1);
  if (INBOUND_WORDS.has(word)) return 'INBOUND';
  return OUTBOUND_WORDS.has(word) ? 'OUTBOUND' : null;
}

function announcedDetails({ kind, mimeType, sizeBytes, sha256, filename, caption }: AnnouncedDetails): MediaDetails {
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

/** Returns null for a missing and for an empty caption. */
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

/** Shortens texts that exceed every provider's limit, and removes what databases refuse: NUL and lone surrogates. */
function textOf(value: unknown, maxCharacters: number): string | null {
  if (typeof value !== 'string') return null;
  return value.slice(0, maxCharacters).replaceAll('\0', '').toWellFormed() || null;
}

/**
 * Parses a Unix time: a number or digits, in seconds or, from eleven digits on, milliseconds. Returns null for an
 * implausible time.
 */
export function dateOfUnixTime(value: unknown): Date | null {
  const time = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof time !== 'number') return null;
  const seconds = time > MAX_UNIX_SECONDS ? time / 1000 : time;
  return seconds >= MIN_UNIX_SECONDS && seconds <= MAX_UNIX_SECONDS ? new Date(Math.round(seconds * 1000)) : null;
}

/** Parses a Unix time or an ISO 8601 date. */
export function dateOfTime(value: unknown): Date | null {
  const isDate = typeof value === 'string' && value.length <= MAX_DATE_CHARACTERS && /^\d{4}-\d\d-\d\dT/.test(value);
  return dateOfUnixTime(isDate ? Date.parse(value) : value);
}

/** When WhatsApp deletes the media of a message. A message without a time counts as new. */
export function whatsappKeepsUntil(createdAt: Date | null, now: Date): Date {
  return addMilliseconds(createdAt ?? now, WHATSAPP_KEEPS_MS);
}

/**
 * Parses an http or https URL without user information, else null. It does not check where the URL leads; opening it
 * does.
 */
export function webUrlOf(value: unknown): URL | null {
  if (typeof value !== 'string' || value.length > MAX_URL_CHARACTERS || /[\p{Cc}\\]/u.test(value)) return null;
  const url = parseUrl(value);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) return null;
  return url;
}
