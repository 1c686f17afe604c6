import { LRUCache } from 'lru-cache';
import type { ByteRange } from '../../model/byte-range.js';
import type { MediaDetails, MediaRef } from '../../model/media.js';
import { essenceOf } from '../../model/mime-type.js';
import { upTo } from '../../model/remembered.js';
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
import { isEnvelopeOrPage, readRefusal } from '../toolkit/bytes-answer.js';
import { LookupBudget, type LookupVerdict } from '../toolkit/lookup-budget.js';
import { isAboutBytes, rangeHeaders, toByteStream } from '../toolkit/media-url.js';
import { isFileTypeRefusal, isMediaId, WHATSAPP_UPLOAD_LIMITS } from '../toolkit/meta-media.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { gupshupDetails } from './mapping.js';
import type { GupshupChannel } from './settings.js';
import { deletionVerdict, gupshupUpload, quotaWaitMs, uploadAdvice } from './wire.js';

/** Of the Partner API's accepted types, the one that WhatsApp's own list of kinds leaves out; it counts as audio. */
const UPLOAD_LIMITS: ReadonlyMap<string, number> = new Map([...WHATSAPP_UPLOAD_LIMITS, ['audio/opus', 16_000_000]]);
/** By the provider's own reckoning; one call too many, and the app is blocked. */
const DELETIONS = { limit: 10, windowMs: 60 * 60 * 1000 };
const REMEMBERED_DELETIONS = 50_000;
/** "Invalid Media Id" is all that it says, of an unknown media and of one whose days are over; each costs one of few failures. */
const ABSENCES = {
  pausesMs: [2_000, 6_000, 8_000, 10_000, 120_000, 600_000, 1_800_000],
  believedAfterMs: 60_000,
} as const;
/** How many times longer than for an answer the provider may be silent while it fetches our URL and passes it to Meta. */
const FETCHES_LONGER = 12;

/**
 * Gupshup's Partner API. Inbound, a webhook names an address on the provider's file manager, which lives for seven days
 * and is public to whoever knows it; there is no listing and no metadata. Outbound, it fetches what a URL names, and gives
 * it a media id of Meta's; by such an id a media can be deleted, ten an hour. Sources: docs.gupshup.io, media;
 * partner-docs.gupshup.io, media-management, post_partner-app-appid-media, delete_partner-app-appid-media-mediaid.
 */
export class GupshupAdapter implements ProviderAdapter {
  readonly provider = 'gupshup';
  readonly mediaPerMessage = 'one';
  readonly uploadLimits = UPLOAD_LIMITS;
  readonly #appId: string;
  readonly #http: ProviderHttpClient;
  readonly #mediaPath: string;
  /** Ids that are gone for good: to delete one again would cost one of few calls. */
  readonly #deleted = new LRUCache<string, true>(upTo(REMEMBERED_DELETIONS));
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
    // The provider's refusals have a message and no code.
    this.#faults = new ProviderFaults(channel, () => ({}), context.onRefusal);
    this.#lookups = new LookupBudget({
      name: `gupshup-lookups:${options.appId}`,
      quota: context.quota,
      absences: ABSENCES,
      timeoutMs: context.timeoutMs,
      now,
    });
  }

  /** From the headers of the address. One byte is asked for; an origin that ignores ranges is ended after its headers. */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const firstByte = { ...options, range: { start: 0, end: 0 } };
        const { body, ...told } = await this.#open(ref, Number.MAX_SAFE_INTEGER, asked, firstByte);
        body.destroy();
        return gupshupDetails(told);
      },
      (thrown) => {
        const isEmpty = thrown instanceof RangeNotSatisfiable;
        return isEmpty ? this.#faults.protocol(asked, 'a file without bytes') : this.#faults.ofThrown(thrown, asked);
      },
    );
  }

  /** Rejects PROVIDER_RATE_LIMITED, without a call where one could bring the provider's lock-out nearer. */
  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      return await this.#open(ref, this.context.maxDownloadBytes, asked, options);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  /** The provider answers once it has fetched the URL, so that may take as long as twelve answers. */
  async uploadMediaFromUrl({ url, mimeType }: UploadLink, { signal }: CallOptions): Promise<UploadedMedia> {
    const asked = 'the upload of a media';
    try {
      const body = multipartBody({ file: url, file_type: essenceOf(mimeType) });
      const silenceMs = this.context.timeoutMs * FETCHES_LONGER;
      const response = await this.#http.post({ path: this.#mediaPath, body, silenceMs, signal });
      if (response.statusCode !== 200) throw this.#uploadRefusal(response, asked);
      return { providerMediaId: this.#faults.parse(response, gupshupUpload, asked).mediaId };
    } catch (thrown) {
      throw this.#faults.ofThrown(thrown, asked);
    }
  }

  /**
   * Rejects PROVIDER_RATE_LIMITED, without a call where ten were made in an hour. What has no media id (webhooks of
   * version 2 tell none) is known to the provider by no name that could be deleted.
   */
  async deleteMedia({ providerMediaId }: MediaRef, { signal }: CallOptions): Promise<void> {
    const asked = 'the deletion of a media';
    if (providerMediaId === null || !isMediaId(providerMediaId) || this.#deleted.has(providerMediaId)) return;
    try {
      signal?.throwIfAborted();
      const taken = await this.context.quota.take(
        `gupshup-deletions:${this.#appId}`,
        DELETIONS.limit,
        DELETIONS.windowMs,
      );
      if (taken !== null) throw this.#deletionLimited(taken.retryAfterMs);
      const path = `${this.#mediaPath}/${encodeURIComponent(providerMediaId)}`;
      const response = await this.#http.request({ method: 'DELETE', path, retries: 0, signal });
      const verdict = deletionVerdict(response);
      if (verdict === 'blocked') throw this.#deletionLimited(quotaWaitMs(response, this.now()), response.statusCode);
      if (verdict === 'refused') throw this.#faults.ofStatus(response, asked);
      this.#deleted.set(providerMediaId, true);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, asked);
    }
  }

  #uploadRefusal(response: BufferedResponse, asked: string): Error {
    const details = { upstreamStatus: response.statusCode };
    const advice = uploadAdvice(response);
    if (advice !== null) {
      this.#faults.heard(response, asked);
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
    return this.#faults.ofStatus(response, asked);
  }

  async #open(ref: MediaRef, maxBytes: number, asked: string, options: OpenMediaOptions): Promise<ByteStream> {
    const { downloadUrl } = ref;
    const { range, signal } = options;
    if (downloadUrl === null) throw this.#faults.notFound(asked);
    const turn = await this.#lookups.enter(downloadUrl, options);
    if (turn.kind === 'absent') throw this.#faults.absent(turn.verdict);
    if (turn.kind === 'wait') throw this.#faults.lookupsLimited(turn.retryAfterMs);
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
        const stream = this.#bytes(response, asked, range);
        verdict = 'found';
        // Not waited for: the bytes are on their way already.
        void turn.settle(verdict);
        return stream;
      }
      verdict = verdictOfRefusal(statusCode);
      refused = await readRefusal(response, signal);
    } catch (thrown) {
      await turn.settle(verdict);
      throw thrown;
    }
    const absence = await turn.settle(verdict);
    throw this.#refusal(refused, absence, asked);
  }

  // Private: an envelope or a page with status 200 is nobody's attachment.
  #bytes(response: SafeFetchResponse, asked: string, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!isEnvelopeOrPage(stream.declaredMimeType)) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(asked, 'JSON or a page', { upstreamStatus: response.statusCode });
  }

  #refusal(response: BufferedResponse, absence: AbsenceVerdict | null, asked: string): Error {
    const { statusCode, headers } = response;
    this.#faults.heard(response, asked);
    if (statusCode === 429) {
      const waitMs = quotaWaitMs(response, this.now());
      this.#lookups.close(waitMs);
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

/** "Invalid Media Id" comes as 400 or as 404, for an unknown media and for one whose days are over. */
function verdictOfRefusal(statusCode: number): LookupVerdict {
  if (statusCode === 400 || statusCode === 404 || statusCode === 410) return 'absent';
  // 416 comes for an empty file, 429 when the failures were counted already.
  return statusCode >= 400 && statusCode < 500 && statusCode !== 416 && statusCode !== 429 ? 'refused' : 'none';
}
