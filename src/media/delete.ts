import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asCatalogueFault, queryCatalogue } from '../catalogue/catalogue-fault.js';
import type { BegunDeletion, Deletions } from '../catalogue/deletions.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import { removeBytes } from '../inspection/stored-bytes.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import type { JobStore } from '../jobs/job-store.js';
import type { TenantId } from '../model/channel.js';
import { addMilliseconds, type Clock, dateOf } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { DeletionScope, Media, MediaId } from '../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import { type BlobStore, BlobStoreError } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { backoffMs } from './backoff.js';
import type { MediaLookup } from './lookup/lookup.js';

export interface MediaDeletionOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly deletions: Deletions;
  readonly jobs: Pick<JobStore, 'finish' | 'retry' | 'reschedule'>;
  readonly blobs: BlobStore;
  /** Resolves when no replica caches the media. */
  readonly forget: (media: CataloguedMedia) => Promise<void>;
  /** Purges the media from the CDN; null if there is no CDN. */
  readonly purge: ((tag: MediaId) => Promise<void>) | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DeletionOutcome {
  /** The deleted media. */
  readonly media: CataloguedMedia;
  readonly scope: DeletionScope;
}

/**
 * The maximum duration of a deletion, including the provider's response. Afterwards a worker treats it as interrupted.
 */
const LEASE_MS = 60_000;
/** After this time, a response that was in transit during a deletion has reached the CDN. */
const PURGED_AGAIN_MS = 60_000;
/** The interval and the limit of waiting for another caller's deletion. */
const POLL_MS = 100;
const PATIENCE_MS = 20_000;
/** When a caller may repeat a deletion whose bytes could not be removed. */
const RETRY_AFTER_MS = 5_000;

/**
 * Deletes media in this order: it records the intent, calls the provider, changes the status, waits until no replica
 * caches the media, purges the CDN, and deletes the bytes.
 */
export class MediaDeletion {
  constructor(private readonly options: MediaDeletionOptions) {}

  /** The channels whose media can be deleted at their provider. */
  get channels(): readonly ConnectedChannel[] {
    return this.options.channels.all();
  }

  /**
   * Deleting media twice has the same result as deleting it once.
   * @throws MediagraphError MEDIA_NOT_FOUND; a retryable PROVIDER_… if the provider refuses or does not respond, and
   *   then nothing has changed
   */
  async delete(tenant: TenantId, id: MediaId, lookup: MediaLookup, options: CallOptions): Promise<DeletionOutcome> {
    // The intent is stored with the media's row, so the row must exist.
    const [media] = await lookup.byIds(tenant, [id], { ...options, awaitsRecording: true });
    if (media instanceof Error) throw media;
    if (!media)
      throw new MediagraphError('MEDIA_NOT_FOUND', 'expected the id of a media that you can access, got another id');
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const begun = await this.#intend(media);
      if (begun) {
        const outcome = await this.#carryOut(begun, options);
        lookup.forgetMedia(media);
        return outcome;
      }
      const found = await this.#find(media);
      if (!found) throw asCatalogueFault(new Error('a listed media could not be recorded'));
      if (found.status === 'DELETED') return this.#alreadyDeleted(found);
      if (performance.now() > until) throw busy();
      await sleep(POLL_MS, undefined, options);
    }
  }

  /**
   * Performs a job of kind `deletion`: finishes a deletion that a crash interrupted. A refusal of the provider cancels
   * the deletion.
   */
  async resume(job: JobLease, media: CataloguedMedia, options: CallOptions): Promise<void> {
    const { channelId, id, status } = media;
    if (status === 'DELETED') return this.options.deletions.withdraw(job);
    try {
      await this.#carryOut({ media, job }, options);
    } catch (err) {
      if (options.signal?.aborted) throw err;
      this.options.logger.warn({ err, channelId, media: id }, 'an interrupted deletion could not be finished');
    }
  }

  /**
   * Performs a job of kind `removal`: deletes the bytes of a deleted media and purges the CDN. A second purge follows
   * some time after the deletion, because a response that was in transit may have reached the CDN after the first
   * purge.
   * @returns false if the CDN could not be purged; the job is then due again later
   */
  async remove(job: ClaimedJob, media: CataloguedMedia): Promise<boolean> {
    const { jobs, blobs, clock } = this.options;
    await removeBytes(blobs, media);
    const isDone = await this.#tellCdn(media);
    if (isDone) await jobs.finish(job);
    else
      await jobs.retry(
        job,
        addMilliseconds(dateOf(clock), backoffMs(job.attempts, null)),
        'the CDN could not be purged',
      );
    return isDone;
  }

  async #tellCdn({ id }: CataloguedMedia): Promise<boolean> {
    const { purge, logger } = this.options;
    try {
      await purge?.(id);
      return true;
    } catch (err) {
      // The media is deleted nevertheless, and its removal repeats the purge.
      logger.error({ err, media: id }, 'the CDN could not be purged after a deletion');
      return false;
    }
  }

  async #carryOut({ media, job }: BegunDeletion, options: CallOptions): Promise<DeletionOutcome> {
    const { channels, deletions } = this.options;
    let scope: DeletionScope;
    try {
      scope = await deleteAtProvider(channels.get(media.tenant, media.channelId), media, options);
    } catch (thrown) {
      // The server stops, and the provider may have deleted the media. The job is released, and another process
      // continues it.
      if (options.signal?.aborted) throw thrown;
      await queryCatalogue(() => deletions.withdraw(job));
      throw asRefusal(thrown);
    }
    const completion = { scope, now: dateOf(this.options.clock) };
    const completed = await queryCatalogue(() => deletions.complete(job, completion, LEASE_MS));
    if (!completed) throw busy();
    await this.options.forget(completed.media);
    await this.#tellCdn(completed.media);
    await this.#removeBytes(completed.media);
    await this.#endRemoval(completed.removal);
    return { media: completed.media, scope };
  }

  /** Schedules the removal once more if there is a CDN, to repeat the purge. */
  async #endRemoval(removal: JobLease): Promise<void> {
    const { jobs, purge, clock } = this.options;
    const again = addMilliseconds(dateOf(clock), PURGED_AGAIN_MS);
    await queryCatalogue<unknown>(() => (purge ? jobs.reschedule(removal, again) : jobs.finish(removal)));
  }

  /** Also deletes bytes that an earlier deletion left, because the response promises that the bytes are deleted. */
  async #alreadyDeleted(media: CataloguedMedia): Promise<DeletionOutcome> {
    await this.options.forget(media);
    await this.#tellCdn(media);
    await this.#removeBytes(media);
    return { media, scope: media.deletionScope ?? 'LOCAL' };
  }

  /** @throws MediagraphError retryable if the store fails; a repeated call, or the job, then removes the bytes */
  async #removeBytes(media: CataloguedMedia): Promise<void> {
    try {
      await removeBytes(this.options.blobs, media);
    } catch (thrown) {
      if (!(thrown instanceof BlobStoreError)) throw thrown;
      const message = 'the media is deleted, but its stored bytes cannot be removed at the moment';
      const details = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
      throw new MediagraphError('INTERNAL_SERVER_ERROR', message, details, { cause: thrown });
    }
  }

  #intend({ tenant, id }: Media): Promise<BegunDeletion | null> {
    // Each caller has its own lease, so two deletions in one process have two owners.
    const claim = { owner: randomUUID(), now: dateOf(this.options.clock), leaseMs: LEASE_MS };
    return queryCatalogue(() => this.options.deletions.intend(tenant, id, claim));
  }

  async #find({ tenant, id }: Media): Promise<CataloguedMedia | null> {
    const found = await queryCatalogue(() => this.options.catalogue.findByIds(tenant, [id]));
    return found.get(id) ?? null;
  }
}

async function deleteAtProvider(
  { adapter }: ConnectedChannel,
  media: CataloguedMedia,
  options: CallOptions,
): Promise<DeletionScope> {
  // An upload that only this server stores has no id at the provider.
  if (!adapter.deleteMedia || media.providerMediaId === null) return 'LOCAL';
  await adapter.deleteMedia(media, options);
  return 'PROVIDER';
}

/** The deletion changed nothing, so the caller can retry after any failure. */
function asRefusal(thrown: unknown): unknown {
  if (!(thrown instanceof MediagraphError)) return thrown;
  return new MediagraphError(thrown.code, thrown.message, { ...thrown.details, retryable: true }, { cause: thrown });
}

function busy(): MediagraphError {
  const details = { retryable: true, retryAfterMs: 1_000 };
  return new MediagraphError('MEDIA_NOT_READY', 'this media is being deleted by another request', details);
}
