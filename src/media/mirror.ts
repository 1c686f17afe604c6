import type { Copies } from '../catalogue/media/copies.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import {
  type ByteStorage,
  differsFrom,
  recordLateFacts,
  removeAttempt,
  storeBytes,
} from '../inspection/stored-bytes.js';
import type { ClaimedJob } from '../jobs/job.js';
import { addMilliseconds, type Clock, dateOf } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import type { CopyOutcome, WorkMetrics } from '../telemetry/instruments/work-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { backoffMs, failureOf, inFlightPauseMs } from './backoff.js';
import { ofProvider, openSniffed } from './sniffed-stream.js';

export interface MirrorOptions extends ByteStorage {
  readonly channels: ChannelDirectory;
  readonly catalogue: Pick<MediaCatalogue, 'recordMeasures'>;
  readonly copies: Copies;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'copyEnded'>;
}

/** The number of attempts after which a media becomes FAILED. Retries continue afterwards. */
const ATTEMPTS_BEFORE_FAILED = 5;
/** The number of refusals after which the refusal counts as final. */
const ATTEMPTS_BEFORE_BELIEVED = 3;
/** The maximum time for bytes to reach their provider. */
const IN_FLIGHT_MS = 60 * 60 * 1000;
/** The maximum time for attempts if it is unknown how long the provider keeps the bytes. */
const UNKNOWN_LIFETIME_MS = 3 * 24 * 60 * 60 * 1000;
/** The maximum delay after downloads with wrong bytes. */
const LONGEST_PAUSE_OF_DOUBT_MS = 6 * 60 * 60 * 1000;

/** Copies a provider's bytes into the blob store before they expire there. */
export class Mirror {
  constructor(private readonly options: MirrorOptions) {}

  /** Performs a job of kind `copy`: the media ends as READY, FAILED or EXPIRED, or the job is due again. */
  async copy(job: ClaimedJob, media: CataloguedMedia, signal: AbortSignal): Promise<void> {
    this.options.metrics?.copyEnded(media.provider, await this.#copy(job, media, signal));
  }

  async #copy(job: ClaimedJob, media: CataloguedMedia, signal: AbortSignal): Promise<CopyOutcome> {
    try {
      return await this.#store(job, media, signal);
    } catch (thrown) {
      if (signal.aborted) {
        this.options.logger.warn({ media: media.id }, 'a copy was abandoned because its lease or its media has ended');
        return 'abandoned';
      }
      return await this.#giveUpOrRetry(job, media, thrown);
    }
  }

  /** Ends a copy that has ended its process too often. A new announcement or a retry starts again. */
  async condemn(job: ClaimedJob): Promise<void> {
    const { copies, clock } = this.options;
    const message = 'expected a copy of this media, got a crash of the process three times';
    const failure = { code: 'INTERNAL_SERVER_ERROR', message, retryable: true, at: dateOf(clock) } as const;
    await copies.fail(job, { status: 'FAILED', failure });
  }

  async #store(job: ClaimedJob, media: CataloguedMedia, signal: AbortSignal): Promise<CopyOutcome> {
    const { blobs, channels, copies, maxBytes, clock, logger } = this.options;
    const { id } = media;
    const channel = channels.get(media.tenant, media.channelId);
    const { body, mimeType, filename } = await openSniffed(channel, media, { signal, job: true });
    const inspected = await ofProvider(
      channel,
      storeBytes(this.options, media, { body, mimeType }, { signal, maxBytes }),
    );
    const { stored, kind } = inspected;
    if (media.sizeBytes !== null && media.sizeBytes !== stored.sizeBytes)
      logger.info(
        { media: id, told: media.sizeBytes, came: stored.sizeBytes },
        'the size of a media differs from the reported size',
      );
    if (signal.aborted || differsFrom(media, stored)) {
      await removeAttempt(blobs, stored);
      throw signal.aborted ? signal.reason : otherHash();
    }
    const details = { mimeType: inspected.mimeType, kind, filename: media.filename ?? filename };
    // If this rejects, the row may reference these bytes. If it does not, the sweep deletes them.
    const kept = await copies.finish(job, media, { stored, details }, dateOf(clock));
    if (kept.isNamed) {
      void recordLateFacts(this.options, media, inspected);
      return 'stored';
    }
    await removeAttempt(blobs, stored);
    if (kept.media && !kept.media.stored && differsFrom(kept.media, stored)) throw otherHash();
    logger.warn({ media: id }, 'a copy was abandoned because its lease or its media has ended');
    return 'abandoned';
  }

  async #giveUpOrRetry(job: ClaimedJob, media: CataloguedMedia, thrown: unknown): Promise<CopyOutcome> {
    const { copies, clock, logger } = this.options;
    const { attempts } = job;
    const { id, channelId } = media;
    const now = dateOf(clock);
    const next = nextStep(job, media, thrown, now);
    const failure = { ...failureOf(thrown, now), retryable: next.step !== 'end' };
    if (next.step === 'retry') {
      logger.warn({ err: thrown, channelId, media: id, attempts }, 'a copy failed and will be retried');
      const { dueAt, isFailed } = next;
      await copies.retry(job, { dueAt, isFailed, failure }, now);
      return isFailed ? 'failed' : 'retried';
    }
    const status = next.step === 'expire' ? 'EXPIRED' : 'FAILED';
    logger.error({ err: thrown, channelId, media: id, attempts, status }, 'a media could not be copied');
    await copies.fail(job, { status, failure });
    return status === 'EXPIRED' ? 'expired' : 'failed';
  }
}

type Step =
  | { readonly step: 'retry'; readonly dueAt: Date; readonly isFailed: boolean }
  /**
   * `end`: later attempts would fail in the same way. `exhaust`: the time for attempts has passed, but a retry may
   * succeed.
   */
  | { readonly step: 'end' | 'exhaust' | 'expire' };

function nextStep({ attempts, since }: ClaimedJob, media: CataloguedMedia, thrown: unknown, now: Date): Step {
  const doubt = doubtOf(thrown);
  if (doubt === 'ours' || (doubt === 'told' && attempts >= ATTEMPTS_BEFORE_BELIEVED)) return { step: 'end' };
  const isInFlight = doubt === 'inFlight' && now.getTime() - since.getTime() < IN_FLIGHT_MS;
  const longestMs = doubt === 'bytes' ? LONGEST_PAUSE_OF_DOUBT_MS : undefined;
  const pauseMs = isInFlight ? inFlightPauseMs(attempts) : backoffMs(attempts, thrown, longestMs);
  const dueAt = addMilliseconds(now, pauseMs);
  if (media.availableUntil !== null && media.availableUntil <= dueAt) return { step: 'expire' };
  if (media.availableUntil === null && dueAt.getTime() - since.getTime() > UNKNOWN_LIFETIME_MS)
    return { step: 'exhaust' };
  const limit = doubt === 'bytes' ? ATTEMPTS_BEFORE_BELIEVED : ATTEMPTS_BEFORE_FAILED;
  return { step: 'retry', dueAt, isFailed: !isInFlight && attempts >= limit };
}

/**
 * Classifies a failure for the next attempt. `ours`: this server does not accept such media. `told`: the provider
 * states that the media does not exist. `inFlight`: the bytes have not reached the provider yet. `bytes`: the received
 * bytes were wrong. `other`: a temporary failure, or one that an operator must correct.
 */
function doubtOf(thrown: unknown): 'ours' | 'told' | 'inFlight' | 'bytes' | 'other' {
  if (!(thrown instanceof MediagraphError)) return 'other';
  const { code, details } = thrown;
  if (code === 'MEDIA_TOO_LARGE') return 'ours';
  if (code === 'MEDIA_NOT_READY') return 'inFlight';
  if (code === 'PROVIDER_PROTOCOL' && details.retryable !== undefined) return details.retryable ? 'bytes' : 'told';
  const isPlain = code === 'MEDIA_NOT_FOUND' || code === 'MEDIA_GONE' || code === 'CONTENT_TYPE_NOT_ALLOWED';
  return isPlain && details.retryable !== true ? 'told' : 'other';
}

function otherHash(): MediagraphError {
  return new MediagraphError('PROVIDER_PROTOCOL', 'expected bytes with the reported hash, got other bytes', {
    retryable: true,
  });
}
