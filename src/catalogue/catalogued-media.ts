import type { TenantId } from '../model/channel.js';
import type { ErrorCode } from '../model/errors.js';
import type {
  DeletionScope,
  Media,
  MediaDetails,
  MediaId,
  MediaMeasures,
  MediaStatus,
  MessageKey,
  MessageMedia,
} from '../model/media.js';

/** Bytes that are here, as they were measured while they were written. */
export interface StoredBytes {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Sniffed; null where the bytes do not tell. */
  readonly mimeType: string | null;
  readonly at: Date;
  /** Absent: nobody looked. */
  readonly measures?: MediaMeasures;
}

/** A media as its row has it. Unlike one that an adapter reports, it can have come to an end. */
export interface CataloguedMedia extends Omit<Media, 'status'> {
  readonly status: MediaStatus;
  /** null: no bytes are here. */
  readonly stored: StoredBytes | null;
  /** By a webhook; else it is known from a listing only. */
  readonly announced: boolean;
  /** Its provider was asked for what a listing does not tell; what is null still, is not known there either. */
  readonly described: boolean;
  /** Through us, by a caller: its provider may know it by another name, or not at all. */
  readonly uploaded: boolean;
  readonly failureReason: string | null;
  /** Of an upload that failed. */
  readonly failureCode: ErrorCode | null;
  /** Of a deleted media. */
  readonly deletionScope: DeletionScope | null;
  /** Whether its bytes are, or were, to be copied here by a job. */
  readonly mirrored: boolean;
  /** How often its copying was begun; of one that was just claimed, this time included. */
  readonly mirrorAttempts: number;
}

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

/** Of one recording. */
export interface Recording {
  readonly now: Date;
  /** When media that is new to the catalogue is to be forgotten; null = when it is deleted. */
  readonly retainedUntil: Date | null;
}

/** What may change together with a status; a key that is absent or undefined leaves its value. */
export interface MediaPatch
  extends Partial<Pick<MediaDetails, 'kind' | 'mimeType' | 'sizeBytes' | 'sha256' | 'filename'>> {
  readonly stored?: StoredBytes | null;
  readonly failureReason?: string | null;
  readonly expiresAt?: Date | null;
}

/** What a provider told of a media that it had listed. */
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

export interface MirrorClaim {
  readonly owner: string;
  readonly now: Date;
  readonly limit: number;
  /** Until when others leave it alone, counted from `now`, unless the lease is renewed. */
  readonly leaseMs: number;
}
