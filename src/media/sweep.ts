import type { MediaCatalogue } from '../catalogue/media-catalogue.js';
import type { WebhookInbox } from '../catalogue/webhook-inbox.js';
import type { TenantId } from '../model/channel.js';
import type { MediaId } from '../model/media.js';
import { type BlobKey, type BlobStore, mediaBlobKey, parseMediaBlobKey } from '../storage/blob-store.js';

export interface SweepOptions {
  readonly catalogue: MediaCatalogue;
  readonly inbox: WebhookInbox;
  readonly blobs: BlobStore;
  /** Blobs without a row that are younger than this may be about to get one. */
  readonly graceMs: number;
  /** Counts what there is to do, and does nothing. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal;
}

/** What was done, or in a dry run what there is to do. */
export interface SweepReport {
  /** Media whose time is over. */
  readonly expired: number;
  /** Blobs that no media owns. */
  readonly orphans: number;
  /** Webhook events that were worked off so long ago that nobody repeats them. */
  readonly forgottenEvents: number;
}

const BATCH = 500;
/** Meta repeats a delivery for up to seven days; a replay later than this is told to be new. */
const REMEMBERED_EVENTS_MS = 8 * 24 * 60 * 60 * 1000;

/** Expires media, removes blobs that nothing owns, forgets events; safe to run anywhere, at any time, twice at once. */
export async function sweep(options: SweepOptions, now = new Date()): Promise<SweepReport> {
  const expired = await expireMedia(options, now);
  const orphans = await removeOrphans(options, now);
  const before = new Date(now.getTime() - REMEMBERED_EVENTS_MS);
  const forgottenEvents = options.dryRun ? 0 : await options.inbox.forget(before);
  return { expired, orphans, forgottenEvents };
}

async function expireMedia({ catalogue, blobs, dryRun, signal }: SweepOptions, now: Date): Promise<number> {
  if (dryRun) return catalogue.countExpirable(now);
  let count = 0;
  for (;;) {
    signal?.throwIfAborted();
    const gone = await catalogue.expireDue(now, BATCH);
    for (const { tenant, id } of gone) await blobs.delete(mediaBlobKey(tenant, id));
    count += gone.length;
    if (gone.length < BATCH) return count;
  }
}

async function removeOrphans(options: SweepOptions, now: Date): Promise<number> {
  const { blobs, graceMs, signal } = options;
  let orphans = 0;
  let batch: Candidate[] = [];
  for await (const { key, modifiedAt } of blobs.keys('media/')) {
    signal?.throwIfAborted();
    if (modifiedAt.getTime() > now.getTime() - graceMs) continue;
    const owner = parseMediaBlobKey(key);
    // What this version cannot have written may be a later version's: not ours to remove.
    if (owner) batch.push({ key, ...owner });
    if (batch.length < BATCH) continue;
    orphans += await removeUnowned(options, batch);
    batch = [];
  }
  return orphans + (await removeUnowned(options, batch));
}

interface Candidate {
  readonly key: BlobKey;
  readonly tenant: TenantId;
  readonly id: MediaId;
}

async function removeUnowned(
  { catalogue, blobs, dryRun }: SweepOptions,
  candidates: readonly Candidate[],
): Promise<number> {
  if (candidates.length === 0) return 0;
  const owned = await catalogue.existing(candidates);
  const orphans = candidates.filter((candidate) => !owned.has(candidate));
  if (!dryRun) for (const { key } of orphans) await blobs.delete(key);
  return orphans.length;
}
