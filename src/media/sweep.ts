import type { MediaChanges } from '../catalogue/changes/media-changes.js';
import type { Deletions } from '../catalogue/deletions.js';
import type { MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import type { SqlRequestCounts } from '../catalogue/request-counts.js';
import type { Uploads } from '../catalogue/uploads.js';
import type { WebhookInbox } from '../catalogue/webhook-inbox.js';
import { removeBytes } from '../inspection/stored-bytes.js';
import type { JobStore } from '../jobs/job-store.js';
import { addMilliseconds, type Clock, dateOf } from '../model/clock.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import type { MediaDeletion } from './delete.js';
import { findOrphans } from './orphans.js';

export interface SweepOptions {
  readonly catalogue: MediaCatalogue;
  readonly changes: Pick<MediaChanges, 'prune'>;
  readonly inbox: WebhookInbox;
  readonly uploads: Uploads;
  readonly requestCounts: Pick<SqlRequestCounts, 'forget'>;
  readonly deletions: Deletions;
  readonly blobs: BlobStore;
  readonly jobs: JobStore;
  /** Moves the work of a stopped replica of an earlier version into the queue; absent if there is none. */
  readonly adopt?: () => Promise<unknown>;
  /** Finishes interrupted deletions; null if a worker of this process does this. */
  readonly deletion: MediaDeletion | null;
  readonly clock: Clock;
  /** Blobs without a row that are younger than this may get a row soon. */
  readonly graceMs: number;
  /** Whether to count only, without any change. */
  readonly dryRun: boolean;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** The number of changes, or of necessary changes in a dry run. */
export interface SweepReport {
  /** Media whose retention has ended, or which the provider no longer keeps. */
  readonly expired: number;
  /** Deletions that a crash interrupted. */
  readonly deletionsFinished: number;
  /** Tombstones of media that was deleted 30 days ago. */
  readonly tombstones: number;
  /** Blobs that no media references. */
  readonly orphans: number;
  /** Processed webhook events that are too old for a repetition by the provider. */
  readonly forgottenEvents: number;
  /** Dead letters that were older than 30 days. */
  readonly deadLetters: number;
  /** Unfinished files of dead processes. */
  readonly leftovers: number;
}

const BATCH = 500;
/** Replicas read changes within a second, unless the database is unavailable. */
const REMEMBERED_CHANGES_MS = 10 * 60 * 1000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Meta repeats a delivery for up to seven days. A repetition after this time is a new event. */
const REMEMBERED_EVENTS_MS = 8 * DAY_MS;
/** An idempotency key is valid for one day. */
const REMEMBERED_KEYS_MS = 2 * DAY_MS;
const TOMBSTONE_MS = 30 * DAY_MS;
const DEAD_LETTER_MS = 30 * DAY_MS;
/** A request counts for a minute. */
const REMEMBERED_REQUESTS_MS = 10 * 60 * 1000;
/** The source of a failed upload is stored for one day. */
const REMEMBERED_SOURCES_MS = DAY_MS;
/**
 * Finishes deletions, expires media, and deletes unreferenced blobs, old events and old tombstones. Any process may run
 * it at any time, also concurrently with another process.
 */
export async function sweep(options: SweepOptions, now = dateOf(options.clock)): Promise<SweepReport> {
  const { changes, inbox, uploads, deletions, dryRun } = options;
  if (!dryRun) await options.adopt?.();
  const deletionsFinished = await finishDeletions(options);
  const expired = await expireMedia(options, now);
  const orphans = await removeOrphans(options, now);
  const report = {
    expired,
    deletionsFinished,
    tombstones: 0,
    orphans,
    forgottenEvents: 0,
    deadLetters: 0,
    leftovers: 0,
  };
  if (dryRun) return report;
  await changes.prune(addMilliseconds(now, -REMEMBERED_CHANGES_MS));
  const forgottenEvents = await inbox.forget(addMilliseconds(now, -REMEMBERED_EVENTS_MS));
  const deadLetters = await inbox.forgetDead(addMilliseconds(now, -DEAD_LETTER_MS));
  const tombstones = await deletions.bury(addMilliseconds(now, -TOMBSTONE_MS));
  await uploads.forgetKeys(addMilliseconds(now, -REMEMBERED_KEYS_MS));
  await options.requestCounts.forget(addMilliseconds(now, -REMEMBERED_REQUESTS_MS));
  await uploads.forgetFailed(addMilliseconds(now, -REMEMBERED_SOURCES_MS));
  const leftovers = await removeLeftovers(options);
  return { ...report, tombstones, forgottenEvents, deadLetters, leftovers };
}

/** Performs the due deletions and removals, if no worker of this process does. */
async function finishDeletions(options: SweepOptions): Promise<number> {
  const { deletions, deletion, jobs, dryRun, signal } = options;
  if (dryRun) return jobs.countDue(['deletion', 'removal']);
  if (!deletion) return 0;
  let count = 0;
  for (;;) {
    const claimed = await jobs.claim([{ kind: 'deletion', limit: 1, channels: deletion.channels }]);
    const media = await deletions.findMedia(claimed);
    for (const [job, subject] of media) await deletion.resume(job, subject, { signal });
    for (const job of claimed) if (!media.has(job)) await jobs.finish(job);
    count += claimed.length;
    signal?.throwIfAborted();
    if (claimed.length === 0) return count + (await finishRemovals(options, deletion));
  }
}

async function finishRemovals({ deletions, jobs, signal }: SweepOptions, deletion: MediaDeletion): Promise<number> {
  let count = 0;
  for (;;) {
    const claimed = await jobs.claim([{ kind: 'removal', limit: BATCH }]);
    const media = await deletions.findMedia(claimed);
    for (const job of claimed) {
      const subject = media.get(job);
      count += 1;
      if (!subject) await jobs.finish(job);
      else if (!(await deletion.remove(job, subject))) {
        // If the CDN does not respond, the next sweep tries again, and not each media of this sweep.
        await jobs.release(['removal']);
        return count;
      }
      signal?.throwIfAborted();
    }
    if (claimed.length < BATCH) return count;
  }
}

async function expireMedia({ catalogue, blobs, dryRun, signal }: SweepOptions, now: Date): Promise<number> {
  if (dryRun) return catalogue.countExpirable(now);
  let count = 0;
  for (;;) {
    signal?.throwIfAborted();
    const gone = await catalogue.expireDue(now, BATCH);
    for (const media of gone) await removeBytes(blobs, media);
    count += gone.length;
    if (gone.length < BATCH) return count;
  }
}

async function removeOrphans(options: SweepOptions, now: Date): Promise<number> {
  let orphans = 0;
  for await (const { key } of findOrphans(options, now)) {
    if (!options.dryRun) await options.blobs.delete(key);
    orphans += 1;
  }
  return orphans;
}

async function removeLeftovers({ blobs, graceMs }: SweepOptions): Promise<number> {
  let removed = 0;
  for await (const leftover of blobs.leftovers?.(graceMs) ?? []) {
    await leftover.remove();
    removed += 1;
  }
  return removed;
}
