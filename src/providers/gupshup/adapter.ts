import type { MediaDetails, MediaRef } from '../../model/media.js';
import type { SafeFetchRequest, SafeFetchResponse } from '../../net/safe-fetch.js';
import type { AdapterContext } from '../adapter-context.js';
import { isEnvelopeOrPage, readRefusal } from '../bytes-answer.js';
import { toByteStream } from '../media-url.js';
import type { ByteStream, CallOptions, ProviderAdapter } from '../provider-adapter.js';
import { ProviderFaults, settleEach } from '../provider-call.js';
import { LookupBudget, type LookupVerdict } from './lookup-budget.js';
import { gupshupDetails } from './mapping.js';
import type { GupshupChannel } from './settings.js';
import { quotaWaitMs } from './wire.js';

/**
 * Gupshup's Partner API, inbound: a webhook names an address on the provider's file manager, which lives for seven days
 * and is public to whoever knows it. There is no listing and no metadata. Sources: docs.gupshup.io, media;
 * partner-docs.gupshup.io, media-management.
 */
export class GupshupAdapter implements ProviderAdapter {
  readonly provider = 'gupshup';
  readonly mediaPerMessage = 'one';
  readonly #faults: ProviderFaults;
  readonly #lookups: LookupBudget;

  /** @param now milliseconds since the epoch */
  constructor(
    channel: GupshupChannel,
    private readonly context: AdapterContext,
    private readonly now: () => number = Date.now,
  ) {
    // The file manager's refusals have a message and no code.
    this.#faults = new ProviderFaults(channel, () => ({}));
    this.#lookups = new LookupBudget(now);
  }

  /** From the headers of the address. One byte is asked for; an origin that ignores ranges is ended after its headers. */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const request = { headers: { range: 'bytes=0-0' }, maxBytes: Number.MAX_SAFE_INTEGER, ...options };
        const { body, ...told } = await this.#open(ref, request, asked);
        body.destroy();
        return gupshupDetails(told);
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  /** Rejects PROVIDER_RATE_LIMITED, without a call where one could bring the provider's lock-out nearer. */
  async openMedia(ref: MediaRef, options: CallOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      return await this.#open(ref, { maxBytes: this.context.maxDownloadBytes, ...options }, asked);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  async #open({ downloadUrl }: MediaRef, request: SafeFetchRequest, asked: string): Promise<ByteStream> {
    if (downloadUrl === null) throw this.#faults.notFound(asked);
    const turn = await this.#lookups.enter(downloadUrl, request.signal);
    if (turn.kind === 'gone') throw this.#gone();
    if (turn.kind === 'wait') throw this.#limited(turn.retryAfterMs);
    let verdict: LookupVerdict = 'none';
    try {
      const response = await this.context.safeFetch.open(downloadUrl, request);
      const { statusCode } = response;
      if (statusCode === 200 || statusCode === 206) {
        const stream = this.#bytes(response, asked);
        verdict = 'found';
        return stream;
      }
      verdict = verdictOfRefusal(statusCode);
      throw await this.#refusal(response, verdict, request.signal);
    } finally {
      turn.settle(verdict);
    }
  }

  // Private: an envelope or a page with status 200 is nobody's attachment.
  #bytes(response: SafeFetchResponse, asked: string): ByteStream {
    const stream = toByteStream(response, this.#faults);
    if (!isEnvelopeOrPage(stream.declaredMimeType)) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(asked, 'JSON or a page', { upstreamStatus: response.statusCode });
  }

  async #refusal(response: SafeFetchResponse, verdict: LookupVerdict, signal?: AbortSignal): Promise<Error> {
    const { statusCode, headers } = response;
    if (statusCode === 429) {
      const waitMs = quotaWaitMs(await readRefusal(response, signal), this.now());
      this.#lookups.close(waitMs);
      return this.#limited(waitMs, statusCode);
    }
    response.body.destroy();
    return verdict === 'gone' ? this.#gone(statusCode) : this.#faults.ofMediaUrlStatus(statusCode, headers);
  }

  #gone(upstreamStatus?: number): Error {
    const message = 'the provider no longer has the bytes of this media';
    const status = upstreamStatus === undefined ? {} : { upstreamStatus };
    return this.#faults.error('MEDIA_NOT_FOUND', message, { ...status, retryable: false });
  }

  #limited(retryAfterMs: number, upstreamStatus?: number): Error {
    const message = "the provider's limit of failed media look-ups leaves no room for this one";
    const status = upstreamStatus === undefined ? {} : { upstreamStatus };
    return this.#faults.error('PROVIDER_RATE_LIMITED', message, { ...status, retryable: true, retryAfterMs });
  }
}

/** "Invalid Media Id" comes as 400 or as 404, for an unknown media and for one whose days are over. */
function verdictOfRefusal(statusCode: number): LookupVerdict {
  if (statusCode === 400 || statusCode === 404 || statusCode === 410) return 'gone';
  // 416 comes for an empty file, 429 when the failures were counted already.
  return statusCode >= 400 && statusCode < 500 && statusCode !== 416 && statusCode !== 429 ? 'refused' : 'none';
}
