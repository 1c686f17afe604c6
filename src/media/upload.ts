import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media-catalogue.js';
import type { Reserved, UploadedBytes, UploadJob, Uploads } from '../catalogue/uploads.js';
import type { ChannelId, TenantId } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';
import { createUploadId, parseMessageId } from '../model/ids.js';
import type { MediaId } from '../model/media.js';
import { essenceOf, kindOfMimeType, normalizeMimeType } from '../model/mime-type.js';
import type { AddressPolicy } from '../net/public-address.js';
import type { SafeFetch } from '../net/safe-fetch.js';
import { judgeUrl } from '../net/url-policy.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import { BlobStoreError, mediaBlobKey } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { asCatalogueFault } from './catalogue-fault.js';
import { inspectionThreads } from './inspection-threads.js';
import { LEASE_MS } from './leased-worker.js';
import { safeFilename, withExtension } from './media-name.js';
import { peek } from './peek.js';
import { endOfRetention } from './retention.js';
import type { UrlSigner } from './signed-url.js';
import { UPLOAD_SNIFF_BYTES } from './sniff.js';
import { contradicts } from './sniffed-stream.js';
import { type ByteKeeping, removeBytes, storeBytes } from './stored-bytes.js';
import { openSource, sourceFault } from './upload-source.js';

/** What a caller wants uploaded; texts as the caller wrote them. */
export interface UploadRequest {
  readonly channelId: ChannelId;
  readonly url: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  readonly messageId: string | null;
  readonly idempotencyKey: string | null;
}

export interface UploadOutcome {
  /** READY, or PENDING while the upload goes on. */
  readonly media: CataloguedMedia;
  /** Whether the idempotency key matched an earlier upload. */
  readonly replayed: boolean;
}

export interface MediaUploadOptions extends ByteKeeping {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly uploads: Uploads;
  /** Guarded; by this policy, which judges a URL's text before anything is noted. */
  readonly source: SafeFetch;
  readonly policy: AddressPolicy;
  /** For providers that fetch what they are handed. */
  readonly urls: UrlSigner;
  /** `upload.maxBytes` */
  readonly maxBytes: number;
  /** `upload.timeout` */
  readonly timeoutMs: number;
  /** `upload.respondWithin` */
  readonly respondWithinMs: number;
  /** `retention.default`; null = until deleted. */
  readonly retentionMs: number | null;
  /** Holds the leases of this process. */
  readonly owner: string;
  readonly logger: Logger;
}

const MAX_KEY_CHARACTERS = 255;
const MAX_FILENAME_CHARACTERS = 1_024;
/** A process that dies with an upload leaves it to the next, but not for ever: it may be the upload that kills. */
const MAX_ATTEMPTS = 3;
/** How long a provider may take to fetch what it was handed, and then some. */
const PROVIDER_LINK_MS = 60 * 60 * 1000;
/** How often an upload of another process is looked at. */
const POLL_MS = 250;

/** Uploads from a URL: reserved, fetched, stored, handed to the provider where it takes uploads, READY or FAILED. */
export class MediaUpload {
  /** Each rejects as its upload fails. */
  readonly #running = new Map<string, Promise<CataloguedMedia>>();
  readonly #stopping = new AbortController();

  constructor(private readonly options: MediaUploadOptions) {
    // Every upload under way listens: many, and no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  /**
   * Resolves when the upload is READY, or `respondWithin` is over and it goes on by itself; a signal ends the waiting
   * alone.
   * @throws MediagraphError BAD_USER_INPUT, CHANNEL_NOT_FOUND, IDEMPOTENCY_CONFLICT, and why the upload FAILED:
   *   URL_NOT_ALLOWED, SOURCE_FAILED, SOURCE_TIMEOUT, MEDIA_TOO_LARGE, CONTENT_TYPE_NOT_ALLOWED, PROVIDER_…
   */
  async upload(tenant: TenantId, request: UploadRequest, signal?: AbortSignal): Promise<UploadOutcome> {
    const reserved = await this.#reserve(tenant, request);
    if (reserved.outcome === 'conflict')
      throw new MediagraphError(
        'IDEMPOTENCY_CONFLICT',
        'expected this idempotency key with the input that it was first used with, got another input',
      );
    if (reserved.outcome === 'created') {
      const media = await this.#inTime(this.#start(reserved.job), reserved.job.media, signal);
      return { media, replayed: false };
    }
    const { media } = reserved;
    const running = media.status === 'PENDING' ? this.#follow(media, signal) : Promise.resolve(media);
    return { media: await this.#inTime(running, media, signal), replayed: true };
  }

  /** The job of an upload whose process died, or handed it back. */
  async resume(job: UploadJob, signal: AbortSignal): Promise<void> {
    await this.#start(job, signal).catch(() => {});
  }

  /** Ends what is under way; its jobs are for whoever holds the leases to hand back. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the server stops'));
    await Promise.allSettled(this.#running.values());
  }

  async #reserve(tenant: TenantId, request: UploadRequest): Promise<Reserved> {
    const { channels, uploads, policy, retentionMs, owner } = this.options;
    const channel = channels.get(tenant, request.channelId);
    const { messageId, filename, mimeType } = checkedInput(request, channel);
    judgeUrl(request.url, policy);
    const now = new Date();
    try {
      return await uploads.reserve({
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
        retainedUntil: endOfRetention(retentionMs, now),
        owner,
        leaseMs: LEASE_MS,
      });
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }

  // Private: `last` is what is known when the time is over.
  async #inTime(
    running: Promise<CataloguedMedia>,
    last: CataloguedMedia,
    signal: AbortSignal | undefined,
  ): Promise<CataloguedMedia> {
    running.catch(() => {});
    const timer = new AbortController();
    const signals = signal ? [timer.signal, signal] : [timer.signal];
    const over = sleep(this.options.respondWithinMs, last, { signal: AbortSignal.any(signals) });
    try {
      return await Promise.race([running, over]);
    } finally {
      over.catch(() => {});
      timer.abort();
    }
  }

  #start(job: UploadJob, signal = this.#stopping.signal): Promise<CataloguedMedia> {
    const { media } = job;
    const name = nameOf(media);
    const heartbeat = setInterval(() => this.#renew(media), LEASE_MS / 3);
    const ended = this.#perform(job, signal).finally(() => {
      clearInterval(heartbeat);
      this.#running.delete(name);
    });
    ended.catch(() => {});
    this.#running.set(name, ended);
    return ended;
  }

  #renew(media: CataloguedMedia): void {
    const { uploads, owner, logger } = this.options;
    uploads.renewLeases(owner, [media], new Date(), LEASE_MS).catch((err: unknown) => {
      logger.warn({ err, media: media.id }, 'the lease of an upload could not be renewed');
    });
  }

  // Private: an upload of this process, or another's, until it ends.
  #follow(media: CataloguedMedia, signal: AbortSignal | undefined): Promise<CataloguedMedia> {
    return this.#running.get(nameOf(media)) ?? this.#poll(media, signal);
  }

  async #poll({ tenant, id }: CataloguedMedia, signal: AbortSignal | undefined): Promise<CataloguedMedia> {
    const until = performance.now() + this.options.respondWithinMs;
    while (performance.now() < until) {
      await sleep(POLL_MS, undefined, { signal });
      const media = await this.#find(tenant, id);
      if (media?.status === 'FAILED')
        throw new MediagraphError(media.failureCode ?? 'INTERNAL_SERVER_ERROR', media.failureReason ?? 'upload failed');
      if (media && media.status !== 'PENDING') return media;
    }
    return new Promise(() => {});
  }

  async #perform(job: UploadJob, signal: AbortSignal): Promise<CataloguedMedia> {
    const { tenant, id } = job.media;
    const { uploads, owner } = this.options;
    let takeBack: (() => Promise<void>) | undefined;
    try {
      if (job.attempts > MAX_ATTEMPTS) throw interruptedTooOften();
      const channel = this.options.channels.get(tenant, job.media.channelId);
      const bytes = storedBefore(job.media) ?? (await this.#store(channel, job, signal));
      if (!bytes) return await this.#afterLoss(channel, job.media, null);
      const providerMediaId = await this.#handOver(channel, job.media, bytes, signal);
      takeBack = () => deleteUpload(channel, providerMediaId);
      const ready = await uploads.finish(tenant, id, owner, providerMediaId, new Date());
      return ready ?? (await this.#afterLoss(channel, job.media, providerMediaId));
    } catch (thrown) {
      // Handed back, to be begun again.
      if (signal.aborted) throw thrown;
      throw await this.#fail(job.media, thrown, takeBack);
    }
  }

  async #store(channel: ConnectedChannel, job: UploadJob, signal: AbortSignal): Promise<UploadedBytes | null> {
    const { uploads, owner, maxBytes, timeoutMs } = this.options;
    const { tenant, id } = job.media;
    const source = await openSource(this.options.source, { url: job.sourceUrl, maxBytes, timeoutMs, signal });
    let bytes: UploadedBytes;
    try {
      const { head, body } = await peek(source.body, UPLOAD_SNIFF_BYTES);
      if (head.length === 0) throw new MediagraphError('SOURCE_FAILED', 'expected bytes from the source, got none');
      const claim = job.mimeType ?? source.declaredMimeType;
      const mimeType = await inspectionThreads.sniff(head, claim);
      assertAgreement(job.mimeType, source.declaredMimeType, mimeType);
      const limit = limitOf(channel, mimeType, maxBytes);
      if (source.sizeBytes !== null && source.sizeBytes > limit.bytes) throw tooLarge(limit);
      const stored = await storeBytes(
        this.options,
        job.media,
        { body, mimeType },
        { signal, maxBytes: limit.bytes },
      ).catch((thrown: unknown) => {
        throw isTooLarge(thrown) ? tooLarge(limit, thrown) : thrown;
      });
      const type = stored.mimeType ?? mimeType;
      const kind = stored.kind ?? kindOfMimeType(type);
      const name = safeFilename(job.filename) ?? safeFilename(source.filename) ?? (kind ?? 'media').toLowerCase();
      bytes = { stored, mimeType: type, kind, filename: withExtension(name, type) };
    } catch (thrown) {
      source.body.destroy();
      throw sourceFault(thrown);
    }
    return (await uploads.markStored(tenant, id, owner, bytes, new Date())) ? bytes : null;
  }

  // Private: what the provider calls it; null where it takes no uploads, and a send call takes our URL.
  async #handOver(
    { adapter }: ConnectedChannel,
    { tenant, id }: CataloguedMedia,
    { stored, mimeType, filename }: UploadedBytes,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { blobs, urls } = this.options;
    if (adapter.uploadMedia) {
      const body = await blobs.open(mediaBlobKey(tenant, id), { signal });
      const source = { body, sizeBytes: stored.sizeBytes, mimeType, filename };
      return (await adapter.uploadMedia(source, { signal })).providerMediaId;
    }
    if (adapter.uploadMediaFromUrl) {
      const expiresAt = urls.expiry(Date.now(), PROVIDER_LINK_MS);
      const url = urls.sign({ mediaId: id, filename, disposition: 'inline', expiresAt });
      return (await adapter.uploadMediaFromUrl({ url, mimeType }, { signal })).providerMediaId;
    }
    return null;
  }

  async #fail(media: CataloguedMedia, thrown: unknown, takeBack?: () => Promise<void>): Promise<MediagraphError> {
    const { uploads, blobs, owner, logger } = this.options;
    const { tenant, id, channelId } = media;
    const failure = asFailure(thrown);
    logger.warn({ err: thrown, channelId, media: id, code: failure.code }, 'an upload failed');
    try {
      const { code, message: reason } = failure;
      // Only who fails it removes the bytes: they may be another's by now.
      if (await uploads.fail(tenant, id, owner, { code, reason }, new Date())) {
        await removeBytes(blobs, media);
        await takeBack?.();
      } else if ((await this.#find(tenant, id))?.status === 'DELETED') await removeBytes(blobs, media);
    } catch (err) {
      // Still PENDING, and its lease ends: it is begun again.
      logger.error({ err, channelId, media: id }, 'the failure of an upload could not be noted');
    }
    return failure;
  }

  // Private: the row has ended meanwhile, or another process goes on with it.
  async #afterLoss(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    providerMediaId: string | null,
  ): Promise<CataloguedMedia> {
    const found = await this.#find(media.tenant, media.id);
    if (found?.providerMediaId !== providerMediaId) await deleteUpload(channel, providerMediaId);
    if (found && found.status !== 'DELETED') return found;
    await removeBytes(this.options.blobs, media);
    throw new MediagraphError('MEDIA_GONE', 'this media was deleted while it was uploaded');
  }

  async #find(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    try {
      return (await this.options.catalogue.findByIds(tenant, [id])).get(id) ?? null;
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }
}

async function deleteUpload({ adapter }: ConnectedChannel, providerMediaId: string | null): Promise<void> {
  if (providerMediaId === null) return;
  await adapter.deleteMedia?.({ providerMessageId: null, providerMediaId, downloadUrl: null }, {});
}

interface CheckedInput {
  /** The provider's. */
  readonly messageId: string | null;
  readonly filename: string | null;
  readonly mimeType: string | null;
}

function checkedInput(request: UploadRequest, channel: ConnectedChannel): CheckedInput {
  const { filename, idempotencyKey } = request;
  if (filename !== null && filename.length > MAX_FILENAME_CHARACTERS)
    throw badInput(`filename of at most ${MAX_FILENAME_CHARACTERS} characters`, `${filename.length}`);
  if (idempotencyKey !== null && (idempotencyKey === '' || idempotencyKey.length > MAX_KEY_CHARACTERS))
    throw badInput(`idempotencyKey of 1 to ${MAX_KEY_CHARACTERS} characters`, `${idempotencyKey.length}`);
  if (idempotencyKey !== null && (/\p{Cc}/u.test(idempotencyKey) || !idempotencyKey.isWellFormed()))
    throw badInput('idempotencyKey without control characters', 'one with some');
  return { messageId: messageOf(request, channel), filename, mimeType: mimeTypeOf(request, channel) };
}

function messageOf({ messageId }: UploadRequest, channel: ConnectedChannel): string | null {
  if (messageId === null) return null;
  const parsed = parseMessageId(messageId);
  if (parsed.form === 'qualified' && parsed.channelId === channel.id) return parsed.providerMessageId;
  throw badInput(`messageId of the same channel, "${channel.id}:<providerMessageId>"`, 'another');
}

function mimeTypeOf({ mimeType }: UploadRequest, channel: ConnectedChannel): string | null {
  if (mimeType === null) return null;
  const normalized = normalizeMimeType(mimeType);
  if (normalized === null) throw badInput('mimeType such as image/jpeg', 'another text');
  limitOf(channel, normalized, 0);
  return normalized;
}

function badInput(expected: string, got: string): MediagraphError {
  return new MediagraphError('BAD_USER_INPUT', `expected ${expected}, got ${got}`);
}

function idempotencyOf(request: UploadRequest): { key: string; inputSha256: string } | null {
  const { channelId, url, filename, mimeType, messageId, idempotencyKey: key } = request;
  if (key === null) return null;
  const input = JSON.stringify([channelId, url, filename, mimeType, messageId]);
  return { key, inputSha256: createHash('sha256').update(input).digest('hex') };
}

interface SizeLimit {
  readonly bytes: number;
  readonly mimeType: string;
  /** Whose it is: a provider's, or null = this server's own. */
  readonly provider: string | null;
}

/** @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED for a type that the provider does not take */
function limitOf({ adapter, provider }: ConnectedChannel, mimeType: string, maxBytes: number): SizeLimit {
  const { uploadLimits } = adapter;
  if (!uploadLimits) return { bytes: maxBytes, mimeType, provider: null };
  const bytes = uploadLimits.get(essenceOf(mimeType));
  if (bytes === undefined) {
    const types = [...uploadLimits.keys()].join(', ');
    throw notAllowed(`expected one of the types that ${provider} takes (${types}), got ${mimeType}`);
  }
  return bytes < maxBytes ? { bytes, mimeType, provider } : { bytes: maxBytes, mimeType, provider: null };
}

function tooLarge({ bytes, mimeType, provider }: SizeLimit, cause?: unknown): MediagraphError {
  const limit = provider === null ? "this server's limit" : `${provider}'s limit for ${essenceOf(mimeType)}`;
  const message = `expected at most ${bytes} bytes (${limit}), got more`;
  return new MediagraphError('MEDIA_TOO_LARGE', message, {}, { cause });
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && thrown.code === 'MEDIA_TOO_LARGE';
}

/** The bytes decide; the caller's word must agree with them, and a page under a picture's name is no picture. */
function assertAgreement(given: string | null, declared: string | null, found: string): void {
  if (given !== null && essenceOf(given) !== essenceOf(found)) throw notAllowed(`expected ${given}, got ${found}`);
  if (contradicts(declared, found)) throw notAllowed(`expected ${declared}, as the source declares, got ${found}`);
}

function notAllowed(message: string): MediagraphError {
  return new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', message);
}

/** What an earlier attempt stored, which is not fetched again. */
function storedBefore({ stored, mimeType, kind, filename }: CataloguedMedia): UploadedBytes | null {
  return stored && mimeType !== null && filename !== null ? { stored, mimeType, kind, filename } : null;
}

function interruptedTooOften(): MediagraphError {
  const message = `the upload was interrupted ${MAX_ATTEMPTS} times and is given up`;
  return new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true });
}

function asFailure(thrown: unknown): MediagraphError {
  if (thrown instanceof MediagraphError) return thrown;
  const message = thrown instanceof BlobStoreError ? 'the bytes cannot be stored at the moment' : 'the upload failed';
  return new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true }, { cause: thrown });
}

function nameOf({ tenant, id }: CataloguedMedia): string {
  return `${tenant}\n${id}`;
}
