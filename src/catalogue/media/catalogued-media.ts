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

/** Stored bytes, measured while they were written. */
export interface StoredBytes {
  /** Key in the blob store; it names the attempt that wrote the bytes. */
  readonly key: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** From the bytes; null where they do not show it. */
  readonly mimeType: string | null;
  readonly at: Date;
  /** null: the bytes were not inspected yet. */
  readonly measures: MediaMeasures | null;
}

/** What a media's row says by several columns, or in another form than its column. */
export interface ComposedFacts extends Pick<Media, 'expiresAt' | 'measures'> {
  /** null: no bytes are stored here. */
  readonly stored: StoredBytes | null;
  /** Why it is FAILED, or why its last copy failed; null where nothing failed. */
  readonly failure: MediaFailure | null;
  /** Links may have been given out. */
  readonly wasReady: boolean;
  /** Whether its bytes are, or were, to be copied here by a job. */
  readonly mirrored: boolean;
}

/**
 * A media as its row has it. Unlike a media that an adapter reports, it may have ended. The compiler refuses a property of
 * `Media` that no column has.
 */
export type CataloguedMedia = ColumnFacts & ComposedFacts;

/** What the bytes, and the headers before them, tell. What is null stays as it was. */
export type FoundDetails = Partial<Pick<MediaDetails, 'mimeType' | 'filename' | 'kind'>>;

/** What stored bytes turned out to be. */
export interface FoundInBytes {
  /** The bytes that were looked at. */
  readonly key: string;
  readonly measures: MediaMeasures;
  /** Present where they are not what their first bytes showed. */
  readonly mimeType?: string;
  readonly kind?: MediaKind;
}

/** How the copying of a media goes on. */
export interface CopyRetry {
  readonly dueAt: Date;
  readonly failure: MediaFailure;
  /** Whether the media is FAILED meanwhile; else its status stays. */
  readonly isFailed: boolean;
}

/** Whether the row names the bytes that one attempt stored. If it does not, the caller removes them. */
export type Kept =
  | { readonly isNamed: true }
  | {
      readonly isNamed: false;
      /** The row as it is now. null = it is gone, or its end has come. */
      readonly media: CataloguedMedia | null;
    };

/** What is known of one message. */
export interface MessageRecord {
  /** In the provider's order, those of every status. */
  readonly media: readonly CataloguedMedia[];
  /** When its provider last listed it; null: never. */
  readonly listedAt: Date | null;
  readonly firstSeenAt: Date;
  /** Whether a webhook announced any of its media. */
  readonly announced: boolean;
}

export interface Listing {
  readonly key: MessageKey;
  /** In the provider's order. */
  readonly media: readonly MessageMedia[];
}

/** When and for how long something is recorded. */
export interface Recording {
  readonly now: Date;
  /** When media that is new to the catalogue is to be forgotten; null = when it is deleted. */
  readonly retainedUntil: Date | null;
}

/** What may change together with a status; a key that is absent or undefined leaves its value. */
export interface MediaPatch
  extends Partial<Pick<MediaDetails, 'kind' | 'mimeType' | 'sizeBytes' | 'sha256' | 'filename'>> {
  readonly failure?: MediaFailure | null;
  readonly expiresAt?: Date | null;
}

/** Details of a listed media, as its provider describes it. */
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
  /** Copies that wait or are under way. */
  readonly mirrorsDue: number;
}

/** A change of a message whose media are known, as a webhook announces it. */
export type MessageChange =
  | { readonly type: 'captionEdited'; readonly key: MessageKey; readonly caption: string | null }
  | { readonly type: 'messageRevoked'; readonly key: MessageKey; readonly revokedAt: Date };
