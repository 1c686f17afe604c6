import { queryCatalogue } from '../../catalogue/catalogue-fault.js';
import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { Reserved, UploadJob, Uploads } from '../../catalogue/uploads.js';
import { removeAttempt, removeBytes } from '../../inspection/stored-bytes.js';
import type { TenantId } from '../../model/channel.js';
import { dateOf } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { createUploadId } from '../../model/ids.js';
import type { MediaId } from '../../model/media.js';
import type { AddressPolicy } from '../../net/guarded/public-address.js';
import { judgeUrl } from '../../net/guarded/url-policy.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import { BlobStoreError } from '../../storage/blob-store.js';
import { failureOf } from '../backoff.js';
import { endOfRetention, type Retention } from '../retention.js';
import { type HandOverOptions, handOver, takeBack } from './hand-over.js';
import { idempotencyOf, judgeInput, type UploadRequest } from './judge.js';
import { storedBefore, storeFromSource, type UploadStoringOptions } from './store.js';
import { endOf, type UploadEnd, UploadWaiting, type UploadWaitingOptions } from './waiting.js';

export type { UploadRequest } from './judge.js';

export interface UploadOutcome {
  /** The media: READY, or PENDING while the upload continues. */
  readonly media: CataloguedMedia;
  /** Whether the idempotency key matched an earlier upload. */
  readonly replayed: boolean;
}

export interface MediaUploadOptions extends UploadStoringOptions, HandOverOptions, UploadWaitingOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly uploads: Uploads;
  /** Checks the text of the URL before anything is stored. */
  readonly policy: AddressPolicy;
  /** `retention.default` in milliseconds; null if media does not expire. */
  readonly retention: Pick<Retention, 'of'>;
  /** Called when a job of kind `upload` was added. */
  readonly onReserved: () => void;
}

/**
 * Uploads from a URL. These are its steps, with the state that a crash after each step leaves:
 *
 * 1. validate (`judge.ts`): nothing;
 * 2. reserve (`catalogue/uploads.ts`): a PENDING row, its job and the caller's key, in one statement;
 * 3. download, detect the type, store, inspect (`store.ts`): an unreferenced blob, or a row that references it, which
 * is not downloaded again;
 * 4. pass to the provider (`hand-over.ts`): a media at the provider, which the next attempt uploads again;
 * 5. finish (`catalogue/uploads.ts`): READY; the same statement ends the job.
 *
 * A worker of this or another process performs the job, so callers wait for the result of a job in either case.
 */
export class MediaUpload {
  readonly #waiting: UploadWaiting;

  constructor(private readonly options: MediaUploadOptions) {
    this.#waiting = new UploadWaiting(options);
  }

  /**
   * Resolves when the upload is READY, or after `respondWithin` while the upload continues. The signal ends the
   * waiting, not the upload.
   * @throws MediagraphError BAD_USER_INPUT, CHANNEL_NOT_FOUND, IDEMPOTENCY_CONFLICT, and the failure of the upload:
   *   URL_NOT_ALLOWED, SOURCE_FAILED, SOURCE_TIMEOUT, MEDIA_TOO_LARGE, CONTENT_TYPE_NOT_ALLOWED, PROVIDER_…
   */
  async upload(tenant: TenantId, request: UploadRequest, signal?: AbortSignal): Promise<UploadOutcome> {
    const reserved = await this.#reserve(tenant, request);
    if (reserved.outcome === 'conflict')
      throw new MediagraphError(
        'IDEMPOTENCY_CONFLICT',
        'expected this idempotency key with the input that it was first used with, got another input',
      );
    const { media } = reserved;
    const replayed = reserved.outcome === 'repeated';
    if (media.status !== 'PENDING') return { media, replayed };
    const outcome = this.#waiting.end(media, signal);
    if (!replayed) this.options.onReserved();
    return { media: await outcome, replayed };
  }

  /**
   * Restarts a FAILED upload.
   * @throws MediagraphError MEDIA_GONE if its source was deleted
   */
  async retry(media: CataloguedMedia): Promise<CataloguedMedia> {
    const { uploads, clock, onReserved } = this.options;
    const begun = await queryCatalogue(() => uploads.retryFailed(media.tenant, media.id, dateOf(clock)));
    if (begun) {
      onReserved();
      return begun;
    }
    const now = await this.#find(media.tenant, media.id);
    if (now && now.status !== 'FAILED') return now;
    throw new MediagraphError('MEDIA_GONE', 'the source of this upload is no longer stored; start a new upload');
  }

  /** Performs a job of kind `upload`. The signal aborts when the server stops. */
  async carryOut(job: UploadJob, signal: AbortSignal): Promise<void> {
    const ended = this.#waiting.carryOut(job.media);
    try {
      const outcome = await this.#perform(job, signal);
      if (outcome) this.#waiting.tell(job.media, outcome);
    } finally {
      ended();
    }
  }

  /** Ends an upload that has ended its process too often. */
  async condemn(job: UploadJob): Promise<void> {
    const message = 'expected an upload of this media, got a crash of the process three times';
    const fault = new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true });
    this.#waiting.tell(job.media, { failure: await this.#fail(job, fault) });
  }

  /** Ends the waiting of all callers. */
  stop(): void {
    this.#waiting.stop();
  }

  async #reserve(tenant: TenantId, request: UploadRequest): Promise<Reserved> {
    const { channels, uploads, policy, retention, clock } = this.options;
    const channel = channels.get(tenant, request.channelId);
    const { messageId, filename, mimeType } = judgeInput(request, channel);
    judgeUrl(request.url, policy);
    const now = dateOf(clock);
    return queryCatalogue(() =>
      uploads.reserve({
        tenant,
        id: createUploadId(channel.id),
        channelId: channel.id,
        provider: channel.provider,
        providerMessageId: messageId,
        sourceUrl: request.url,
        filename,
        mimeType,
        idempotency: idempotencyOf(request),
        now,
        retainedUntil: endOfRetention(retention.of(channel), now),
      }),
    );
  }

  /** Resolves with null if another process has taken over the job and reports its result. */
  async #perform(job: UploadJob, signal: AbortSignal): Promise<UploadEnd | null> {
    const { tenant } = job.media;
    const { uploads, clock } = this.options;
    let undo: (() => Promise<void>) | undefined;
    try {
      const channel = this.options.channels.get(tenant, job.media.channelId);
      const bytes = storedBefore(job.media) ?? (await storeFromSource(this.options, channel, job, signal));
      if (!bytes) return await this.#afterLoss(channel, job.media, null);
      const providerMediaId = await handOver(this.options, channel, { id: job.media.id, bytes }, signal);
      undo = () => takeBack(channel, providerMediaId);
      const media = await uploads.finish(job.job, providerMediaId, dateOf(clock));
      return media ? { media } : await this.#afterLoss(channel, job.media, providerMediaId);
    } catch (thrown) {
      // The job is released and starts again.
      if (signal.aborted) throw thrown;
      return { failure: await this.#fail(job, thrown, undo) };
    }
  }

  async #fail({ job, media }: UploadJob, thrown: unknown, undo?: () => Promise<void>): Promise<MediagraphError> {
    const { uploads, blobs, clock, logger } = this.options;
    const { id, channelId } = media;
    const fault = asFault(thrown);
    logger.warn({ err: thrown, channelId, media: id, code: fault.code }, 'an upload failed');
    try {
      const failed = await uploads.fail(job, failureOf(fault, dateOf(clock)));
      if (failed?.key) await removeAttempt(blobs, { key: failed.key });
      if (failed) await undo?.();
    } catch (err) {
      // The media stays PENDING, and its lease expires. Then the job starts again.
      logger.error({ err, channelId, media: id }, 'the failure of an upload could not be recorded');
    }
    return fault;
  }

  /** Handles a lost lease: the media has ended, or another process continues the upload. */
  async #afterLoss(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    providerMediaId: string | null,
  ): Promise<UploadEnd | null> {
    const found = await this.#find(media.tenant, media.id);
    if (found?.providerMediaId !== providerMediaId) await takeBack(channel, providerMediaId);
    if (found?.status === 'PENDING') return null;
    const hasEnded = !found || found.status === 'DELETED' || found.status === 'EXPIRED';
    if (!hasEnded) return endOf(found);
    await removeBytes(this.options.blobs, media);
    this.options.logger.warn({ media: media.id, code: 'MEDIA_GONE' }, 'an upload failed');
    return { failure: new MediagraphError('MEDIA_GONE', 'this media was deleted or expired during its upload') };
  }

  async #find(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    return (await queryCatalogue(() => this.options.catalogue.findByIds(tenant, [id]))).get(id) ?? null;
  }
}

function asFault(thrown: unknown): MediagraphError {
  if (thrown instanceof MediagraphError) return thrown;
  const message =
    thrown instanceof BlobStoreError
      ? 'expected to store the bytes, got a failure of the store'
      : 'expected to upload the bytes, got an internal error';
  return new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true }, { cause: thrown });
}
