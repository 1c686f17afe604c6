/**
 * The glossary, as types. The same words are used in the schema, the README and ARCHITECTURE.md.
 *
 * - provider: a messaging service with a media API (kirim, signalwire, twilio …)
 * - channel: one tenant's line at one provider: base URL, credentials, webhook secret
 * - adapter: the code that speaks one provider's API
 * - capability: something an adapter can do; present as a method or absent
 * - listing: what a provider answers when it is asked which media a message has
 * - delivery: serving bytes for a signed URL
 */
import type { ChannelId, ProviderName, TenantId } from './channel.js';
import type { ErrorCode } from './errors.js';

export const MEDIA_KINDS = ['IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'STICKER', 'OTHER'] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

/** PENDING: known, no bytes yet. READY: the signed URL works. DELETED, EXPIRED: the bytes are gone. */
export const MEDIA_STATUSES = ['PENDING', 'READY', 'FAILED', 'DELETED', 'EXPIRED'] as const;
export type MediaStatus = (typeof MEDIA_STATUSES)[number];

/** INBOUND: from the contact. OUTBOUND: sent by the business, also from its own phone (WhatsApp's echoes). */
export type MediaDirection = 'INBOUND' | 'OUTBOUND';

/** Why a media is FAILED. */
export interface MediaFault {
  readonly code: ErrorCode;
  /** For callers: it names no host, address or credential, and quotes no provider. */
  readonly message: string;
  /** Whether fetching it again may help. */
  readonly retryable: boolean;
}

/** Where a deleted media is gone: at the provider and here, or here alone since the provider has no deletion of it. */
export type DeletionScope = 'PROVIDER' | 'LOCAL';

/** A fault, and when it was found. */
export interface MediaFailure extends MediaFault {
  readonly at: Date;
}

/** Opaque to everyone but `model/ids.ts`. */
export type MediaId = string;

/** Names a message without ambiguity; `formatMessageId` writes it as `channelId:providerMessageId`. */
export interface MessageKey {
  readonly channelId: ChannelId;
  readonly providerMessageId: string;
}

/** What an adapter needs to find one media again at its provider. */
export interface MediaRef {
  /** null: an upload that belongs to no message. */
  readonly providerMessageId: string | null;
  /** What the provider calls the media; null where the message alone names it. */
  readonly providerMediaId: string | null;
  /** Where a listing said that the bytes are: a provider's word, only ever opened through the guarded agent. */
  readonly downloadUrl: string | null;
}

/** Facts about the bytes. null = not known (yet). */
export interface MediaDetails {
  readonly kind: MediaKind | null;
  /** Essence and parameters, e.g. `audio/ogg; codecs=opus`. */
  readonly mimeType: string | null;
  readonly sizeBytes: number | null;
  /** Lower-case hex. */
  readonly sha256: string | null;
  readonly filename: string | null;
  readonly caption: string | null;
}

/** How the bytes look or sound, by their own word. null = they do not tell, or nobody looked. */
export interface MediaMeasures {
  /** Pixels, as shown: orientation applied. */
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
  /** Base64 of a ThumbHash (evanw.github.io/thumbhash). */
  readonly thumbHash: string | null;
  /** Of a PDF. */
  readonly pageCount: number | null;
  /** Whether a still can be made of these bytes on this machine; null = not tried. */
  readonly still: boolean | null;
}

/** One attachment as an adapter reports it, in our words; everything in it passed the adapter's wire schema. */
export interface ProviderMedia extends MediaRef, MediaDetails {
  readonly providerMessageId: string;
  /** FAILED: the provider says that there is a media, and gives no way to fetch it; `fault` says why. */
  readonly status: Extract<MediaStatus, 'PENDING' | 'READY' | 'FAILED'>;
  /** Of a FAILED media only. */
  readonly fault?: MediaFault;
  /** Whether it is a voice note; null or absent = not told. */
  readonly voice?: boolean | null;
  /** The other party: a phone number in E.164 with `+` where it is one, else the provider's user id; null or absent = not told. */
  readonly contact?: string | null;
  /** null or absent = not told. */
  readonly direction?: MediaDirection | null;
  readonly createdAt: Date | null;
  /** Until when the provider keeps the bytes; null = nobody said. Its links may end sooner. */
  readonly availableUntil: Date | null;
}

/** One attachment of one message, the same whatever the provider. */
export interface Media extends Omit<ProviderMedia, 'status' | 'providerMessageId' | 'fault'> {
  readonly id: MediaId;
  /** null: an upload that belongs to no message. */
  readonly providerMessageId: string | null;
  readonly status: MediaStatus;
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  readonly provider: ProviderName;
  /**
   * When the bytes stop being available. Stored here: the end of retention. Not stored: that or `availableUntil`,
   * whichever comes first. null = no end is known.
   */
  readonly expiresAt: Date | null;
  /** null: no bytes were here to be looked at. */
  readonly measures: MediaMeasures | null;
  /** Why it is FAILED, as a listing told it. */
  readonly fault?: MediaFault | null;
  /** What the catalogue knows besides; absent: only a listing has told of it. */
  readonly failure?: MediaFailure | null;
  readonly updatedAt?: Date;
  readonly revokedAt?: Date | null;
}

/** What a provider listed, or a webhook announced, as an attachment of a message. */
export interface MessageMedia extends Media {
  readonly providerMessageId: string;
}

/** The first of the times that are known. */
export function earliest(...times: ReadonlyArray<Date | null>): Date | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : new Date(Math.min(...known.map((time) => time.getTime())));
}

export const UNKNOWN_DETAILS: MediaDetails = {
  kind: null,
  mimeType: null,
  sizeBytes: null,
  sha256: null,
  filename: null,
  caption: null,
};
