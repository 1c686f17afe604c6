import type { TenantId } from '../../model/channel.js';
import type {
  Media,
  MediaDetails,
  MediaFailure,
  MediaId,
  MediaKind,
  MediaMeasures,
  MediaStatus,
  MessageKey,
  MessageMedia,
} from '../../model/media.js';
import type { ColumnFacts } from './media-columns.js';

/** Stored bytes with the facts that were measured while they were written. */
export interface StoredBytes {
  /** The key in the blob store. It contains the attempt that wrote the bytes. */
  readonly key: string;
  readonly sizeBytes: number;
  /** The digest in lower-case hexadecimal. */
  readonly sha256: string;
  /** The type of the bytes; null if they do not show it. */
  readonly mimeType: string | null;
  readonly at: Date;
  /** null: the bytes were not inspected yet. */
  readonly measures: MediaMeasures | null;
}

/** Facts of a media that its row spreads over several columns, or stores in another form. */
export interface ComposedFacts extends Pick<Media, 'expiresAt' | 'measures'> {
  /** null: no bytes are stored here. */
  readonly stored: StoredBytes | null;
  /** The reason for the status FAILED or for the failure of the last copy; null if nothing failed. */
  readonly failure: MediaFailure | null;
  /** Whether the media was READY, so that clients may have links to it. */
  readonly wasReady: boolean;
  /** Whether a job copies or copied the bytes. */
  readonly mirrored: boolean;
}

/**
 * A media as its row contains it. Unlike a media that an adapter reports, it may be deleted or expired. A property of
 * `Media` without a column is a type error.
 */
export type CataloguedMedia = Omit<Media, 'fault'> & ColumnFacts & ComposedFacts;

/** Details from the bytes and from the headers before them. A null value changes nothing. */
export type FoundDetails = Partial<Pick<MediaDetails, 'mimeType' | 'filename' | 'kind'>>;

/** Facts that were read from stored bytes. */
export interface FoundInBytes {
  /** The key of the inspected bytes. */
  readonly key: string;
  readonly measures: MediaMeasures;
  /** Present if the inspection found another type than the first bytes showed. */
  readonly mimeType?: string;
  readonly kind?: MediaKind;
}

/** The next attempt of a copy. */
export interface CopyRetry {
  readonly dueAt: Date;
  readonly failure: MediaFailure;
  /** Whether the media is FAILED until then. Otherwise its status stays. */
  readonly isFailed: boolean;
}

/** Whether the row references the bytes that an attempt stored. If not, the caller deletes the bytes. */
export type Kept =
  | { readonly isNamed: true }
  | {
      readonly isNamed: false;
      /** The current row; null if the row is deleted or the media has ended. */
      readonly media: CataloguedMedia | null;
    };

/** The catalogue's knowledge of one message. */
export interface MessageRecord {
  /** The media of every status, in the provider's order. */
  readonly media: readonly CataloguedMedia[];
  /** The time of the provider's last listing; null if there was none. */
  readonly listedAt: Date | null;
  readonly firstSeenAt: Date;
  /** Whether a webhook announced any media of the message. */
  readonly announced: boolean;
}

export interface Listing {
  readonly key: MessageKey;
  /** In the provider's order. */
  readonly media: readonly MessageMedia[];
  readonly listedAt: Date;
  /** When the message was first listed. */
  readonly firstSeenAt: Date;
  /** When media that is new to the catalogue is to be forgotten; null = when it is deleted. */
  readonly retainedUntil: Date | null;
  /** The statuses of media that get a job which copies them; other media is copied when it is first opened. */
  readonly copies: ReadonlyArray<'PENDING' | 'READY'>;
}

/** The time of a recording and the retention of its media. */
export interface Recording {
  readonly now: Date;
  /** The end of the retention of new media; null if it has no end. */
  readonly retainedUntil: Date | null;
}

/** Values that may change together with a status. A key that is absent or undefined leaves its value unchanged. */
export interface MediaPatch
  extends Partial<Pick<MediaDetails, 'kind' | 'mimeType' | 'sizeBytes' | 'sha256' | 'filename'>> {
  readonly failure?: MediaFailure | null;
  readonly expiresAt?: Date | null;
}

/** Details of a listed media, as its provider reports them. */
export interface Description {
  readonly id: MediaId;
  readonly details: MediaDetails;
}

export interface MediaName {
  readonly tenant: TenantId;
  readonly id: MediaId;
}

export interface CatalogueCounts {
  readonly mediaByStatus: Readonly<Record<MediaStatus, number>>;
  /** Copies that are waiting or running. */
  readonly mirrorsDue: number;
}

/** A change of a message that a webhook announces, for a message whose media is known. */
export type MessageChange =
  | { readonly type: 'captionEdited'; readonly key: MessageKey; readonly caption: string | null }
  | { readonly type: 'messageRevoked'; readonly key: MessageKey; readonly revokedAt: Date };
