import { LRUCache } from 'lru-cache';
import type { ByteRange } from '../../model/byte-range.js';
import { upTo } from '../../model/lru-limit.js';
import type { MediaDetails, MediaRef } from '../../model/media.js';
import { essenceOf } from '../../model/text/mime-type.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { multipartBody } from '../../net/client/multipart.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { SafeFetchResponse } from '../../net/guarded/safe-fetch.js';
import type { AdapterContext } from '../adapter-context.js';
import {
  type ByteStream,
  type CallOptions,
  type OpenMediaOptions,
  type ProviderAdapter,
  RangeNotSatisfiable,
  type UploadedMedia,
  type UploadLink,
} from '../provider-adapter.js';
import type { AbsenceVerdict } from '../toolkit/absences.js';
import { checkByGet } from '../toolkit/credentials-check.js';
import { isEnvelopeOrPage, readRefusal } from '../toolkit/error-body.js';
import { LookupBudget, type LookupVerdict } from '../toolkit/lookup-budget.js';
import { isAboutBytes, rangeHeaders, toByteStream } from '../toolkit/media-url.js';
import { isFileTypeRefusal, isMediaId, WHATSAPP_UPLOAD_LIMITS } from '../toolkit/meta-media.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { MAX_REMEMBERED_MEDIA } from '../toolkit/remembered-media.js';
import { gupshupDetails } from './mapping.js';
import type { GupshupChannel } from './settings.js';
import { deletionVerdict, gupshupUpload, quotaWaitMs, uploadAdvice } from './wire.js';

/** The Partner API accepts one type that WhatsApp's list of kinds omits. It counts as audio. */
const UPLOAD_LIMITS: ReadonlyMap<string, number> = new Map([...WHATSAPP_UPLOAD_LIMITS, ['audio/opus', 16_000_000]]);
/** The provider's documented limit. One call beyond it blocks the app. */
const DELETIONS = { limit: 10, windowMs: 60 * 60 * 1000 };
/**
 * The provider answers "Invalid Media Id" for an unknown media as well as for an expired one. Each such answer counts
 * as one of few allowed failures.
 */
const ABSENCES = {
  pausesMs: [2_000, 6_000, 8_000, 10_000, 120_000, 600_000, 1_800_000],
  finalAfterMs: 60_000,
} as const;
/** A factor on the timeout: the provider stays silent while it fetches our URL and passes the file to Meta. */
const UPLOAD_TIMEOUT_FACTOR = 12;

/**
 * Gupshup's Partner API. A webhook names the URL of inbound media on the provider's file manager, which is public and
 * valid for seven days. There is no listing and no metadata. For an upload the provider fetches a URL and returns a
 * media id of Meta. A media with such an id can be deleted, ten per hour. Sources: docs.gupshup.io, media;
 * partner-docs.gupshup.io, media-management, post_partner-app-appid-media, delete_partner-app-appid-media-mediaid.
 */
export class GupshupAdapter implements ProviderAdapter {
  readonly provider = 'gupshup';
  readonly mediaPerMessage = 'one';
  readonly uploadLimits = UPLOAD_LIMITS;
  readonly #appId: string;
  readonly #http: ProviderHttpClient;
  readonly #mediaPath: string;
  /** Deleted ids. Repeating a deletion would waste one of few calls. */
  readonly #deleted = new LRUCache<string, true>(upTo(MAX_REMEMBERED_MEDIA));
  readonly #faults: ProviderFaults;
  readonly #lookups: LookupBudget;

  /** @param now milliseconds since the epoch */
  constructor(
    channel: GupshupChannel,
    private readonly context: AdapterContext,
    private readonly now: () => number = Date.now,
  ) {
    const { credentials, options } = channel;
    this.#appId = options.appId;
    this.#http = context.createHttpClient({ [credentials.header]: credentials.token });
    this.#mediaPath = this.#http.pathOf('partner', 'app', options.appId, 'media');
    // The provider's refusals have a message but no code.
    this.#faults = new ProviderFaults(channel, () => ({}), context.onRefusal);
    this.#lookups = new LookupBudget({
      name: `gupshup-lookups:${options.appId}`,
      quota: context.quota,
      absences: ABSENCES,
      timeoutMs: context.timeoutMs,
      now,
    });
  }

  /** Reads the app's webhook subscriptions, five times a minute at most (get_partner-app-appid-subscription). */
  checkCredentials({ signal }: CallOptions): Promise<void> {
    const path = this.#http.pathOf('partner', 'app', this.#appId, 'subscription');
    return checkByGet({ http: this.#http, path, faults: this.#faults, signal });
  }

  /**
   * Reads the headers of the media's URL. It requests one byte; an origin that ignores ranges is disconnected after its
   * headers.
   */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const subject = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const firstByte = { ...options, range: { start: 0, end: 0 } };
        const { body, ...headerFacts } = await this.#open(ref, Number.MAX_SAFE_INTEGER, subject, firstByte);
        body.destroy();
        return gupshupDetails(headerFacts);
      },
      (thrown) => {
        const isEmpty = thrown instanceof RangeNotSatisfiable;
        return isEmpty
          ? this.#faults.protocol(subject, 'a file without bytes')
          : this.#faults.ofThrown(thrown, subject);
      },
    );
  }

  /** Rejects with PROVIDER_RATE_LIMITED before a call that could lead to the provider's lock-out. */
  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const subject = 'the bytes of a media';
    try {
      return await this.#open(ref, this.context.maxDownloadBytes, subject, options);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, subject);
    }
  }

  /** The provider answers after it has fetched the URL, so the timeout is twelve times the usual one. */
  async uploadMediaFromUrl({ url, mimeType }: UploadLink, { signal }: CallOptions): Promise<UploadedMedia> {
    const subject = 'the upload of a media';
    try {
      const body = multipartBody({ file: url, file_type: essenceOf(mimeType) });
      const silenceMs = this.context.timeoutMs * UPLOAD_TIMEOUT_FACTOR;
      const response = await this.#http.post({ path: this.#mediaPath, body, silenceMs, signal });
      if (response.statusCode !== 200) throw this.#uploadRefusal(response, subject);
      return { providerMediaId: this.#faults.parse(response, gupshupUpload, subject).mediaId };
    } catch (thrown) {
      throw this.#faults.ofThrown(thrown, subject);
    }
  }

  /**
   * Rejects with PROVIDER_RATE_LIMITED, without a call once ten were made in an hour. Media without an id (webhooks of
   * version 2 have none) cannot be deleted at the provider.
   */
  async deleteMedia({ providerMediaId }: MediaRef, { signal }: CallOptions): Promise<void> {
    const subject = 'the deletion of a media';
    if (providerMediaId === null || !isMediaId(providerMediaId) || this.#deleted.has(providerMediaId)) return;
    try {
      signal?.throwIfAborted();
      const exhausted = await this.context.quota.take(
        `gupshup-deletions:${this.#appId}`,
        DELETIONS.limit,
        DELETIONS.windowMs,
      );
      if (exhausted !== null) throw this.#deletionLimited(exhausted.retryAfterMs);
      const path = `${this.#mediaPath}/${encodeURIComponent(providerMediaId)}`;
      const response = await this.#http.request({ method: 'DELETE', path, retries: 0, signal });
      const verdict = deletionVerdict(response);
      if (verdict === 'blocked') throw this.#deletionLimited(quotaWaitMs(response, this.now()), response.statusCode);
      if (verdict === 'refused') throw this.#faults.ofStatus(response, subject);
      this.#deleted.set(providerMediaId, true);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, subject);
    }
  }

  #uploadRefusal(response: BufferedResponse, subject: string): Error {
    const details = { upstreamStatus: response.statusCode };
    const advice = uploadAdvice(response);
    if (advice !== null) {
      this.#faults.logRefusal(response, subject);
      const { code, message, retryable } = advice;
      return this.#faults.error(code, message, { ...details, retryable });
    }
    if (response.statusCode === 413)
      return this.#faults.error(
        'MEDIA_TOO_LARGE',
        'expected a media of a size that the provider takes, got a larger one',
        details,
      );
    if (isFileTypeRefusal(response))
      return this.#faults.error(
        'CONTENT_TYPE_NOT_ALLOWED',
        'expected a media of a type that the provider takes, got another',
        details,
      );
    return this.#faults.ofStatus(response, subject);
  }

  async #open(ref: MediaRef, maxBytes: number, subject: string, options: OpenMediaOptions): Promise<ByteStream> {
    const { downloadUrl } = ref;
    const { range, signal } = options;
    if (downloadUrl === null) throw this.#faults.notFound(subject);
    const permit = await this.#lookups.enter(downloadUrl, options);
    if (permit.kind === 'absent') throw this.#faults.absent(permit.verdict);
    if (permit.kind === 'wait') throw this.#faults.lookupsLimited(permit.retryAfterMs);
    let verdict: LookupVerdict = 'none';
    let refused: BufferedResponse;
    try {
      const response = await this.context.safeFetch.open(downloadUrl, {
        headers: rangeHeaders(range),
        signal,
        maxBytes,
      });
      const { statusCode } = response;
      if (isAboutBytes(response, range)) {
        const stream = this.#bytes(response, subject, range);
        verdict = 'found';
        // Not awaited: the bytes are already arriving.
        void permit.settle(verdict);
        return stream;
      }
      verdict = verdictOfRefusal(statusCode);
      refused = await readRefusal(response, signal);
    } catch (thrown) {
      await permit.settle(verdict);
      throw thrown;
    }
    const absence = await permit.settle(verdict);
    throw this.#refusal(refused, absence, subject);
  }

  // An error envelope or an HTML page with status 200 is not the media.
  #bytes(response: SafeFetchResponse, subject: string, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!isEnvelopeOrPage(stream.declaredMimeType)) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(subject, 'JSON or a page', { upstreamStatus: response.statusCode });
  }

  #refusal(response: BufferedResponse, absence: AbsenceVerdict | null, subject: string): Error {
    const { statusCode, headers } = response;
    this.#faults.logRefusal(response, subject);
    if (statusCode === 429) {
      const waitMs = quotaWaitMs(response, this.now());
      this.#lookups.pause(waitMs);
      return this.#faults.lookupsLimited(waitMs, { upstreamStatus: statusCode });
    }
    if (absence) return this.#faults.absent(absence, { upstreamStatus: statusCode });
    return this.#faults.ofMediaUrlStatus(statusCode, headers);
  }

  #deletionLimited(retryAfterMs: number, upstreamStatus?: number): Error {
    return this.#rateLimited(
      "the provider's limit of deletions leaves no room for this one",
      retryAfterMs,
      upstreamStatus,
    );
  }

  #rateLimited(message: string, retryAfterMs: number, upstreamStatus?: number): Error {
    const status = upstreamStatus === undefined ? {} : { upstreamStatus };
    return this.#faults.error('PROVIDER_RATE_LIMITED', message, { ...status, retryable: true, retryAfterMs });
  }
}

/** "Invalid Media Id" is a 400 or a 404, for an unknown media and for an expired one. */
function verdictOfRefusal(statusCode: number): LookupVerdict {
  if (statusCode === 400 || statusCode === 404 || statusCode === 410) return 'absent';
  // 416 means an empty file. 429 means that the failures have been counted already.
  return statusCode >= 400 && statusCode < 500 && statusCode !== 416 && statusCode !== 429 ? 'refused' : 'none';
}
