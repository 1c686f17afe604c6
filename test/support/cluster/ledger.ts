import { photoBytes, sha256Of } from './photos.js';

/** A media that the cluster has acknowledged, or that its provider lists. All times are `performance.now()`. */
export interface LedgerItem {
  /** The number of its photo. */
  readonly index: number;
  readonly origin: 'webhook' | 'listing' | 'upload';
  readonly channelId: string;
  /** Null: an upload belongs to no message. */
  readonly messageId: string | null;
  readonly sha256: string;
  /** The caller got 2xx for the webhook, or an answer that was READY. */
  isAcknowledged: boolean;
  mediaId: string | null;
  /** As the last answer that was READY had it. */
  link: string | null;
  /** The end of the first answer that was READY. */
  readyAt: number | null;
  /** The end of the first answer that was READY with a digest: its bytes are stored. */
  storedAt: number | null;
  /** The begin of the first request to delete it. */
  deletionBegunAt: number | null;
  /** The end of the answer that acknowledged the deletion. */
  deletedAt: number | null;
  /** The scope of the acknowledged deletion. */
  deletionScope: string | null;
  readonly begunAt: number;
  /** Uploads: how often an attempt was answered with a failure. */
  failures: number;
}

type NewItem = Pick<LedgerItem, 'index' | 'origin' | 'channelId' | 'messageId'>;

const MAX_VIOLATIONS = 50;

/** What the load knows of the cluster, and what the cluster did against its contract. */
export class Ledger {
  readonly items: LedgerItem[] = [];
  /** The first of them, each a sentence. */
  readonly violations: string[] = [];
  #photos = 0;

  nextPhoto(): number {
    this.#photos += 1;
    return this.#photos;
  }

  add(item: NewItem): LedgerItem {
    const added: LedgerItem = {
      ...item,
      sha256: sha256Of(photoBytes(item.index)),
      isAcknowledged: false,
      mediaId: null,
      link: null,
      readyAt: null,
      storedAt: null,
      deletionBegunAt: null,
      deletedAt: null,
      deletionScope: null,
      begunAt: performance.now(),
      failures: 0,
    };
    this.items.push(added);
    return added;
  }

  violate(sentence: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push(sentence);
  }
}

/** How a sentence names an item. */
export function nameOf({ origin, index, channelId, mediaId }: LedgerItem): string {
  return `photo ${index} (${origin}, ${channelId}, ${mediaId ?? 'no id yet'})`;
}
