import { randomUUID } from 'node:crypto';
import type { Deletions } from '../catalogue/deletions.js';
import type { MediaCatalogue } from '../catalogue/media-catalogue.js';
import type { Uploads } from '../catalogue/uploads.js';
import type { WebhookInbox } from '../catalogue/webhook-inbox.js';
import type { MediaInspector } from '../inspection/inspect.js';
import { inspectStored, recordInspection, recordLateFacts, removeBytes } from '../inspection/stored-bytes.js';
import type { TenantId } from '../model/channel.js';
import { type Clock, dateOf } from '../model/clock.js';
import type { MediaId } from '../model/media.js';
import { type BlobKey, type BlobStore, isOriginal, parseMediaBlobKey } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import type { MediaDeletion } from './delete.js';

export interface SweepOptions {
  readonly catalogue: MediaCatalogue;
  readonly inbox: WebhookInbox;
  readonly uploads: Uploads;
  readonly deletions: Deletions;
  readonly blobs: BlobStore;
  /** Goes on with what a crash interrupted. */
  readonly deletion: MediaDeletion;
  /** Looks at stored bytes that a crash kept from being looked at; null: this process does not. */
  readonly inspector: MediaInspector | null;
  readonly clock: Clock;
  /** Blobs without a row that are younger than this may be about to get one. */
  readonly graceMs: number;
  /** Counts what there is to do, and does nothing. */
  readonly dryRun: boolean;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** What was done, or in a dry run what there is to do. */
export interface SweepReport {
  /** Media whose time is over. */
  readonly expired: number;
  /** Deletions that a crash interrupted. */
  readonly deletionsFinished: number;
  /** Tombstones of media that was deleted 30 days ago. */
  readonly tombstones: number;
  /** Blobs that no media owns. */
  readonly orphans: number;
  /** Webhook events that were worked off so long ago that nobody repeats them. */
  readonly forgottenEvents: number;
  /** Dead letters that were older than 30 days. */
  readonly deadLetters: number;
  /** Half-written files of processes that are gone. */
  readonly leftovers: number;
}

const BATCH = 500;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Meta repeats a delivery for up to seven days; a replay later than this is told to be new. */
const REMEMBERED_EVENTS_MS = 8 * DAY_MS;
/** An idempotency key counts for one. */
const REMEMBERED_KEYS_MS = 2 * DAY_MS;
const TOMBSTONE_MS = 30 * DAY_MS;
const DEAD_LETTER_MS = 30 * DAY_MS;
/** What a failed upload was to fetch is kept for one. */
const REMEMBERED_SOURCES_MS = DAY_MS;
/** Bytes that were stored so long ago have lost the process that was to look at them. */
const UNINSPECTED_MS = 60_000;
const INSPECTION_BATCH = 20;
const MAX_INSPECTION_BATCHES = 50;
/** A deletion that was noted so long ago has lost its process between the status and the bytes. */
const BYTES_LEFT_MS = 60_000;
const DELETION_LEASE_MS = 60_000;

/** Finishes deletions, expires media, removes blobs that nothing owns, forgets events and tombstones; safe to run anywhere, at any time, twice at once. */
export async function sweep(options: SweepOptions, now = dateOf(options.clock)): Promise<SweepReport> {
  const { blobs, inbox, uploads, deletions, dryRun, graceMs } = options;
  const deletionsFinished = await finishDeletions(options, now);
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
  await inspectLeft(options, now);
  const forgottenEvents = await inbox.forget(ago(now, REMEMBERED_EVENTS_MS));
  const deadLetters = await inbox.forgetDead(ago(now, DEAD_LETTER_MS));
  const tombstones = await deletions.bury(ago(now, TOMBSTONE_MS));
  await uploads.forgetKeys(ago(now, REMEMBERED_KEYS_MS));
  await uploads.forgetFailed(ago(now, REMEMBERED_SOURCES_MS));
  const leftovers = (await blobs.removeLeftovers?.(graceMs)) ?? 0;
  return { ...report, tombstones, forgottenEvents, deadLetters, leftovers };
}

async function inspectLeft(options: SweepOptions, now: Date): Promise<void> {
  const { catalogue, inspector, signal } = options;
  if (!inspector) return;
  for (let batch = 0; batch < MAX_INSPECTION_BATCHES; batch++) {
    const left = await catalogue.findUninspected(ago(now, UNINSPECTED_MS), INSPECTION_BATCH);
    for (const media of left) {
      const { stored } = media;
      if (!stored) continue;
      const found = await inspectStored({ inspector }, stored, stored.mimeType ?? 'application/octet-stream', signal);
      await recordInspection(options, media, found);
      await recordLateFacts(options, media, found);
    }
    signal?.throwIfAborted();
    if (left.length < INSPECTION_BATCH) return;
  }
}

async function finishDeletions({ deletions, deletion, dryRun, signal }: SweepOptions, now: Date): Promise<number> {
  if (dryRun) return deletions.countUnfinished(now, ago(now, BYTES_LEFT_MS));
  let count = 0;
  const owner = randomUUID();
  for (;;) {
    const interrupted = await deletions.claimInterrupted({ owner, now, leaseMs: DELETION_LEASE_MS }, 1);
    for (const media of interrupted) await deletion.resume(media, owner, { signal });
    count += interrupted.length;
    signal?.throwIfAborted();
    if (interrupted.length === 0) break;
  }
  const unpurged = await deletions.findUnpurged(ago(now, BYTES_LEFT_MS), BATCH);
  for (const media of unpurged) {
    // A CDN that does not answer is asked again by the next sweep, not for each media of this one.
    if (!(await deletion.purge(media))) break;
    signal?.throwIfAborted();
  }
  for (;;) {
    const left = await deletions.findBytesLeft(ago(now, BYTES_LEFT_MS), BATCH);
    for (const media of left) await deletion.finish(media);
    count += left.length;
    signal?.throwIfAborted();
    if (left.length < BATCH) return count;
  }
}

function ago(now: Date, ms: number): Date {
  return new Date(now.getTime() - ms);
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
  const { blobs, graceMs, signal } = options;
  let orphans = 0;
  let batch: Candidate[] = [];
  for await (const { key, modifiedAt } of blobs.keys('media/')) {
    signal?.throwIfAborted();
    if (modifiedAt > ago(now, graceMs)) continue;
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
  const stored = await catalogue.findStored(candidates);
  const orphans = candidates.filter((candidate) => !isOwned(candidate.key, stored.get(candidate) ?? null));
  if (!dryRun) for (const { key } of orphans) await blobs.delete(key);
  return orphans.length;
}

/** Of originals, the row names one. What was made from others carries their hash. */
function isOwned(key: BlobKey, stored: { readonly key: string; readonly sha256: string } | null): boolean {
  if (stored === null) return false;
  return isOriginal(key) ? stored.key === key : key.includes(stored.sha256.slice(0, 8));
}
