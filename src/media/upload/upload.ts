import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asCatalogueFault } from '../../catalogue/catalogue-fault.js';
import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media-catalogue.js';
import type { Reserved, UploadedBytes, UploadJob, Uploads } from '../../catalogue/uploads.js';
import { bytesToSniff, UPLOAD_SNIFF_BYTES } from '../../inspection/sniff/sniff.js';
import {
  type ByteStorage,
  type InspectedBytes,
  keyOfStored,
  recordLateFacts,
  removeAttempt,
  removeBytes,
  storeBytes,
} from '../../inspection/stored-bytes.js';
import { inspectionThreads } from '../../inspection/threads/inspection-threads.js';
import { safeFilename, withExtension } from '../../links/media-name.js';
import type { UrlSigner } from '../../links/signed-url.js';
import type { ChannelId, TenantId } from '../../model/channel.js';
import { dateOf } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { createUploadId, parseMessageId } from '../../model/ids.js';
import type { MediaId } from '../../model/media.js';
import { essenceOf, generalTypeOf, kindOfMimeType, normalizeMimeType } from '../../model/mime-type.js';
import type { AddressPolicy } from '../../net/guarded/public-address.js';
import type { SafeFetch } from '../../net/guarded/safe-fetch.js';
import { judgeUrl } from '../../net/guarded/url-policy.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import { BlobStoreError } from '../../storage/blob-store.js';
import { peek } from '../../streams/peek.js';
import type { Logger } from '../../telemetry/logger.js';
import { failureOf } from '../backoff.js';
import { endOfRetention } from '../retention.js';
import { contradicts } from '../sniffed-stream.js';
import { openSource, sourceFault } from './source.js';

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

export interface MediaUploadOptions extends ByteStorage {
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
  /** There is a new job. */
  readonly onReserved: () => void;
  readonly logger: Logger;
}

const MAX_KEY_CHARACTERS = 255;
const MAX_FILENAME_CHARACTERS = 1_024;
/** How long a provider may take to fetch what it was handed, and then some. */
const PROVIDER_LINK_MS = 60 * 60 * 1000;
/** How often uploads of other processes are looked at. */
const POLL_MS = 250;
/** Of uploads that are waited for, in one look. */
const MAX_LOOKED_AT = 500;

/** How an upload ended. */
type Outcome = { readonly media: CataloguedMedia } | { readonly failure: MediagraphError };

/**
 * Uploads from a URL: reserved, fetched, stored, handed to the provider where it takes uploads, READY or FAILED. A worker
 * carries out what is reserved, of this process or another, so that callers wait for a turn and for the end alike.
 */
export class MediaUpload {
  /** Callers that wait, by the upload that they wait for. */
  readonly #waiting = new Map<string, Set<(outcome: Outcome) => void>>();
  readonly #waitedFor = new Map<string, CataloguedMedia>();
  /** Jobs under way in this process. */
  readonly #carriedOut = new Set<string>();
  #polling: Promise<void> | null = null;
  #stopped = false;

  constructor(private readonly options: MediaUploadOptions) {}

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
    const { media } = reserved;
    const replayed = reserved.outcome === 'repeated';
    if (media.status !== 'PENDING') return { media, replayed };
    const outcome = this.#outcomeOf(media, signal);
    if (!replayed) this.options.onReserved();
    return { media: await outcome, replayed };
  }

  /** A FAILED upload, from the start. @throws MediagraphError MEDIA_GONE where what it was to fetch is forgotten */
  async retry(media: CataloguedMedia): Promise<CataloguedMedia> {
    const { uploads, clock, onReserved } = this.options;
    const begun = await uploads.retryFailed(media.tenant, media.id, dateOf(clock)).catch((thrown: unknown) => {
      throw asCatalogueFault(thrown);
    });
    if (begun) {
      onReserved();
      return begun;
    }
    const now = await this.#find(media.tenant, media.id);
    if (now && now.status !== 'FAILED') return now;
    throw new MediagraphError('MEDIA_GONE', 'what this upload was to fetch is no longer known; upload it anew');
  }

  /** The work of a claimed job. The signal aborts when the job is handed back, or another process has it. */
  async carryOut(job: UploadJob, signal: AbortSignal): Promise<void> {
    const name = nameOf(job.media);
    this.#carriedOut.add(name);
    try {
      const outcome = await this.#perform(job, signal);
      if (outcome) this.#tell(name, outcome);
    } finally {
      this.#carriedOut.delete(name);
    }
  }

  /** The end of a job during which processes died. */
  async condemn(job: UploadJob): Promise<void> {
    const message = 'expected to survive this upload, got the end of the process three times';
    const fault = new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true });
    this.#tell(nameOf(job.media), { failure: await this.#fail(job.media, fault) });
  }

  /** Callers wait no more. */
  stop(): void {
    this.#stopped = true;
  }

  async #reserve(tenant: TenantId, request: UploadRequest): Promise<Reserved> {
    const { channels, uploads, policy, retentionMs, clock } = this.options;
    const channel = channels.get(tenant, request.channelId);
    const { messageId, filename, mimeType } = checkedInput(request, channel);
    judgeUrl(request.url, policy);
    const now = dateOf(clock);
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
      });
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }

  /** How the upload ended, or what is known of it when `respondWithin` is over. */
  async #outcomeOf(media: CataloguedMedia, signal: AbortSignal | undefined): Promise<CataloguedMedia> {
    const name = nameOf(media);
    const over = new AbortController();
    let listener: (outcome: Outcome) => void = () => {};
    const ended = new Promise<Outcome>((resolve) => {
      listener = resolve;
    });
    const listeners = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, listeners.add(listener));
    this.#waitedFor.set(name, media);
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = null;
    });
    const onAbort = () => over.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      const late = sleep(this.options.respondWithinMs, { media }, { signal: over.signal });
      late.catch(() => {});
      const outcome = await Promise.race([ended, late]);
      if ('failure' in outcome) throw outcome.failure;
      return outcome.media;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      over.abort();
      listeners.delete(listener);
      if (listeners.size === 0 && this.#waiting.get(name) === listeners) this.#forgetWaiting(name);
    }
  }

  #forgetWaiting(name: string): void {
    this.#waiting.delete(name);
    this.#waitedFor.delete(name);
  }

  #tell(name: string, outcome: Outcome): void {
    const listeners = this.#waiting.get(name) ?? [];
    this.#forgetWaiting(name);
    for (const listener of listeners) listener(outcome);
  }

  /** Looks at what is waited for, while something is: another process may carry it out. */
  async #poll(): Promise<void> {
    while (this.#waitedFor.size > 0 && !this.#stopped) {
      await sleep(POLL_MS, undefined, { ref: false });
      const byTenant = new Map<TenantId, MediaId[]>();
      for (const { tenant, id } of [...this.#waitedFor.values()].slice(0, MAX_LOOKED_AT))
        byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), id]);
      for (const [tenant, ids] of byTenant) await this.#lookAt(tenant, ids);
    }
  }

  async #lookAt(tenant: TenantId, ids: readonly MediaId[]): Promise<void> {
    try {
      const found = await this.options.catalogue.findByIds(tenant, ids);
      for (const media of found.values()) {
        // What this process carries out, it tells itself, and knows more of.
        const isOthers = media.status !== 'PENDING' && !this.#carriedOut.has(nameOf(media));
        if (isOthers) this.#tell(nameOf(media), outcomeOf(media));
      }
    } catch (err) {
      this.options.logger.warn({ err }, 'uploads that are waited for cannot be looked at');
    }
  }

  /** null where the job is another process's by now, and its end is told there. */
  async #perform(job: UploadJob, signal: AbortSignal): Promise<Outcome | null> {
    const { tenant, id } = job.media;
    const { uploads, owner, clock } = this.options;
    let takeBack: (() => Promise<void>) | undefined;
    try {
      const channel = this.options.channels.get(tenant, job.media.channelId);
      const bytes = storedBefore(job.media) ?? (await this.#store(channel, job, signal));
      if (!bytes) return await this.#afterLoss(channel, job.media, null);
      const providerMediaId = await this.#handOver(channel, job.media, bytes, signal);
      takeBack = () => deleteUpload(channel, providerMediaId);
      const media = await uploads.finish(tenant, id, owner, providerMediaId, dateOf(clock));
      return media ? { media } : await this.#afterLoss(channel, job.media, providerMediaId);
    } catch (thrown) {
      // Handed back, to be begun again.
      if (signal.aborted) throw thrown;
      return { failure: await this.#fail(job.media, thrown, takeBack) };
    }
  }

  async #store(channel: ConnectedChannel, job: UploadJob, signal: AbortSignal): Promise<UploadedBytes | null> {
    const { uploads, owner, blobs, clock, maxBytes, timeoutMs } = this.options;
    const { tenant, id } = job.media;
    const source = await openSource(this.options.source, { url: job.sourceUrl, maxBytes, timeoutMs, signal });
    let bytes: UploadedBytes & InspectedBytes;
    try {
      const { head, body } = await peek(source.body, (head) => bytesToSniff(head, UPLOAD_SNIFF_BYTES));
      if (head.length === 0) throw new MediagraphError('SOURCE_FAILED', 'expected bytes from the source, got none');
      const claim = job.mimeType ?? source.declaredMimeType;
      const found = await inspectionThreads.sniff(head, claim);
      const mimeType = agreedType(job.mimeType ?? typeTaken(channel, found), source.declaredMimeType, found);
      const limit = limitOf(channel, mimeType, maxBytes);
      if (source.sizeBytes !== null && source.sizeBytes > limit.bytes) throw tooLarge(limit);
      const inspected = await storeBytes(
        this.options,
        job.media,
        { body, mimeType },
        { signal, maxBytes: limit.bytes },
      ).catch((thrown: unknown) => {
        throw isTooLarge(thrown) ? tooLarge(limit, thrown) : thrown;
      });
      const kind = inspected.kind ?? kindOfMimeType(inspected.mimeType);
      const name = safeFilename(job.filename) ?? safeFilename(source.filename) ?? (kind ?? 'media').toLowerCase();
      bytes = { ...inspected, kind, filename: withExtension(name, inspected.mimeType) };
    } catch (thrown) {
      source.body.destroy();
      throw sourceFault(thrown);
    }
    // Where it rejects, the row may name these bytes; if it does not, the sweep finds them.
    if (await uploads.markStored(tenant, id, owner, bytes, dateOf(clock))) {
      void recordLateFacts(this.options, job.media, bytes);
      return bytes;
    }
    await removeAttempt(blobs, bytes.stored);
    return null;
  }

  /** What the provider calls it; null where it takes no uploads, and a send call takes our URL. */
  async #handOver(
    { adapter }: ConnectedChannel,
    { id }: CataloguedMedia,
    { stored, mimeType, filename }: UploadedBytes,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { blobs, urls, clock } = this.options;
    if (adapter.uploadMedia) {
      const body = await blobs.open(keyOfStored(stored), { signal });
      const source = { body, sizeBytes: stored.sizeBytes, mimeType, filename };
      return (await adapter.uploadMedia(source, { signal })).providerMediaId;
    }
    if (adapter.uploadMediaFromUrl) {
      const expiresAt = urls.expiry(clock.now(), PROVIDER_LINK_MS);
      const url = urls.sign({ mediaId: id, filename, disposition: 'inline', expiresAt });
      return (await adapter.uploadMediaFromUrl({ url, mimeType }, { signal })).providerMediaId;
    }
    return null;
  }

  async #fail(media: CataloguedMedia, thrown: unknown, takeBack?: () => Promise<void>): Promise<MediagraphError> {
    const { uploads, blobs, owner, clock, logger } = this.options;
    const { tenant, id, channelId } = media;
    const fault = asFault(thrown);
    logger.warn({ err: thrown, channelId, media: id, code: fault.code }, 'an upload failed');
    try {
      const failed = await uploads.fail(tenant, id, owner, failureOf(fault, dateOf(clock)));
      if (failed?.key) await removeAttempt(blobs, { key: failed.key });
      if (failed) await takeBack?.();
    } catch (err) {
      // Still PENDING, and its lease ends: it is begun again.
      logger.error({ err, channelId, media: id }, 'the failure of an upload could not be noted');
    }
    return fault;
  }

  /** The row has ended meanwhile, or another process goes on with it. */
  async #afterLoss(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    providerMediaId: string | null,
  ): Promise<Outcome | null> {
    const found = await this.#find(media.tenant, media.id);
    if (found?.providerMediaId !== providerMediaId) await deleteUpload(channel, providerMediaId);
    if (found?.status === 'PENDING') return null;
    const hasEnded = !found || found.status === 'DELETED' || found.status === 'EXPIRED';
    if (!hasEnded) return outcomeOf(found);
    await removeBytes(this.options.blobs, media);
    this.options.logger.warn({ media: media.id, code: 'MEDIA_GONE' }, 'an upload failed');
    return { failure: new MediagraphError('MEDIA_GONE', 'this media came to its end while it was uploaded') };
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
/** What the bytes are, or the caller's name for it. @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED where they are another */
function agreedType(given: string | null, declared: string | null, found: string): string {
  if (contradicts(declared, found)) throw notAllowed(`expected ${declared}, as the source declares, got ${found}`);
  if (given === null || essenceOf(given) === essenceOf(found)) return found;
  if (essenceOf(given) === generalTypeOf(found)) return given;
  throw notAllowed(`expected ${given}, got ${found}`);
}

/** The name under which a provider takes files of this type that it does not list; null: it lists it, or takes none. */
function typeTaken({ adapter: { uploadLimits } }: ConnectedChannel, found: string): string | null {
  const general = generalTypeOf(found);
  if (!uploadLimits || general === null || uploadLimits.has(essenceOf(found))) return null;
  return uploadLimits.has(general) ? general : null;
}

function notAllowed(message: string): MediagraphError {
  return new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', message);
}

/** What an earlier attempt stored, which is not fetched again. */
function storedBefore({ stored, mimeType, kind, filename }: CataloguedMedia): UploadedBytes | null {
  return stored && mimeType !== null && filename !== null ? { stored, mimeType, kind, filename } : null;
}

function outcomeOf(media: CataloguedMedia): Outcome {
  if (media.status !== 'FAILED') return { media };
  const { code, message, retryable } = media.failure ?? failureOf(null, media.updatedAt);
  const { provider, channelId } = media;
  return { failure: new MediagraphError(code, message, { retryable, provider, channelId }) };
}

function asFault(thrown: unknown): MediagraphError {
  if (thrown instanceof MediagraphError) return thrown;
  const message =
    thrown instanceof BlobStoreError
      ? 'expected to store the bytes, got a failure of the store'
      : 'expected to upload the bytes, got an internal error';
  return new MediagraphError('INTERNAL_SERVER_ERROR', message, { retryable: true }, { cause: thrown });
}

function nameOf({ tenant, id }: CataloguedMedia): string {
  return `${tenant}\n${id}`;
}
