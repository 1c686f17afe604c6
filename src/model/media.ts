/**
 * The glossary, as types. The schema, the README and ARCHITECTURE.md use the same words.
 *
 * - provider: a messaging service with a media API (kirim, signalwire, twilio …)
 * - channel: one tenant's line at one provider: base URL, credentials, webhook secret
 * - adapter: the code that speaks one provider's API
 * - capability: something an adapter can do; present as a method or absent
 * - listing: a provider's answer to the question which media a message has
 * - delivery: serving bytes for a signed URL
 */
import type { ChannelId, ProviderName, TenantId } from './channel.js';
import type { ErrorCode } from './errors.js';

export const MEDIA_KINDS = ['IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'STICKER', 'OTHER'] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

/** PENDING: known, no bytes yet. READY: the signed URL works. DELETED, EXPIRED: the bytes are gone. */
export const MEDIA_STATUSES = ['PENDING', 'READY', 'FAILED', 'DELETED', 'EXPIRED'] as const;
export type MediaStatus = (typeof MEDIA_STATUSES)[number];

/** INBOUND: from the contact. OUTBOUND: from the business, also from its own phone (WhatsApp's echoes). */
export type MediaDirection = 'INBOUND' | 'OUTBOUND';

/** The reason why a media is FAILED, in a form that callers may see. */
export interface MediaFault {
  readonly code: ErrorCode;
  /** For callers. It names no host, address or credential, and does not quote the provider. */
  readonly message: string;
  /** Whether another attempt to fetch the media may succeed. */
  readonly retryable: boolean;
}

/** PROVIDER: deleted at the provider and here. LOCAL: deleted here only, because the provider has no deletion. */
export type DeletionScope = 'PROVIDER' | 'LOCAL';

/** A fault and the time of its detection. */
export interface MediaFailure extends MediaFault {
  readonly at: Date;
}

/** Only `model/ids.ts` knows the format. */
export type MediaId = string;

/** Identifies a message uniquely. Its key in a map is the `MessageId` of `model/ids.ts`. */
export interface MessageKey {
  readonly channelId: ChannelId;
  readonly providerMessageId: string;
}

/** What an adapter needs to find a media at its provider. */
export interface MediaRef {
  /** null = an upload without a message. */
  readonly providerMessageId: string | null;
  /** The provider's id of the media; null where the message id alone identifies it. */
  readonly providerMediaId: string | null;
  /**
   * The address of the bytes as a listing or a webhook named it. It is untrusted: open it through the guarded agent
   * only.
   */
  readonly downloadUrl: string | null;
}

/** Metadata of the bytes. null = not known (yet). */
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

/** Dimensions and previews, read from the bytes. null = the bytes do not contain it, or they were not inspected. */
export interface MediaMeasures {
  /** Pixels, as shown: orientation applied. */
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
  /** Base64 of a ThumbHash (evanw.github.io/thumbhash). */
  readonly thumbHash: string | null;
  /** Pages of a PDF. */
  readonly pageCount: number | null;
  /** Whether this server can render a still of these bytes; null = not tried. */
  readonly still: boolean | null;
}

/** What some providers report of a message. null = not reported; an adapter may leave it out. */
export interface ReportedFacts {
  /** Whether it is a voice note. */
  readonly voice: boolean | null;
  /** The other party: a phone number in E.164 with `+`, else the provider's user id. */
  readonly contact: string | null;
  readonly direction: MediaDirection | null;
}

/**
 * One attachment as an adapter reports it, in the terms of this glossary. The adapter's wire schema has checked every
 * field.
 */
export interface ProviderMedia extends MediaRef, MediaDetails, Partial<ReportedFacts> {
  readonly providerMessageId: string;
  /** FAILED: the provider reports a media but offers no way to fetch it; `fault` says why. */
  readonly status: Extract<MediaStatus, 'PENDING' | 'READY' | 'FAILED'>;
  /** Present only on a FAILED media. */
  readonly fault?: MediaFault;
  readonly createdAt: Date | null;
  /** When the provider deletes the bytes; null = unknown. Download links may end sooner. */
  readonly availableUntil: Date | null;
}

/** One attachment of one message, in the same shape for every provider. */
export interface Media
  extends Omit<ProviderMedia, 'status' | 'providerMessageId' | 'fault' | keyof ReportedFacts>,
    ReportedFacts {
  readonly id: MediaId;
  /** null = an upload without a message. */
  readonly providerMessageId: string | null;
  readonly status: MediaStatus;
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  readonly provider: ProviderName;
  /**
   * When the bytes stop being available. Stored bytes: the end of retention. Bytes that are not stored: the end of
   * retention or `availableUntil`, whichever comes first. null = no end is known.
   */
  readonly expiresAt: Date | null;
  /** null = the bytes were never here for inspection. */
  readonly measures: MediaMeasures | null;
  /** Why the media is FAILED, according to a listing. */
  readonly fault?: MediaFault | null;
  /** Fields that only the catalogue knows. They are absent on media that comes from a listing alone. */
  readonly failure?: MediaFailure | null;
  readonly updatedAt?: Date;
  readonly revokedAt?: Date | null;
}

/** An attachment of a message, as a provider listed it or a webhook announced it. */
export interface MessageMedia extends Media {
  readonly providerMessageId: string;
}

/** The earliest of the known times; null where none is known. */
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
