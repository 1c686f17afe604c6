import type { ByteRange } from '../../model/byte-range.js';
import { type MediaDetails, type MediaRef, UNKNOWN_DETAILS } from '../../model/media.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';
import type { AdapterContext } from '../adapter-context.js';
import {
  type ByteStream,
  type CallOptions,
  type OpenMediaOptions,
  type ProviderAdapter,
  RangeNotSatisfiable,
} from '../provider-adapter.js';
import { Absences } from '../toolkit/absences.js';
import { isEnvelopeOrPage, readRefusal } from '../toolkit/bytes-answer.js';
import { bytesHeaders, isAboutBytes, toByteStream } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { senderFilename, waGatewayDetails } from './mapping.js';
import type { WaGatewayChannel } from './settings.js';
import { DEVICE_AWAY, faultOfMediaPath, readWaGatewayFault } from './wire.js';

/**
 * The documentation asks to retry a 404 "for eventual consistency", and a webhook may be faster than the file that it
 * announces: a "no" that lasts for a minute is believed (WA Gateway, "Errors").
 */
const ABSENCES = { pausesMs: [2_000], believedAfterMs: 60_000 } as const;
const FIRST_BYTE = { start: 0, end: 0 };

/**
 * wa-server, also called WA Gateway: media are announced by webhooks and fetched by path, `GET /media?path=…`; there is
 * no listing, no metadata, no upload and no deletion. Sources: wa-server, "Media Handling"; WA Gateway, "Media", "Errors".
 */
export class WaGatewayAdapter implements ProviderAdapter {
  readonly provider = 'wa-gateway';
  readonly mediaPerMessage = 'one';
  readonly #http: ProviderHttpClient;
  readonly #faults: ProviderFaults;
  readonly #absences: Absences;

  /** @param now milliseconds since the epoch */
  constructor(
    channel: WaGatewayChannel,
    private readonly context: AdapterContext,
    now: () => number = Date.now,
  ) {
    this.#http = context.createHttpClient({ authorization: `Bearer ${channel.credentials.token}` });
    this.#faults = new ProviderFaults(channel, readWaGatewayFault, context.onRefusal);
    this.#absences = new Absences(ABSENCES, now);
  }

  /**
   * From the headers of the bytes, since nothing else tells, and HEAD is not documented. One byte is asked for; a gateway that
   * ignores ranges is ended after its headers.
   */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      (ref) => this.#describe(ref, asked, options),
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  /** Rejects BAD_USER_INPUT for a media path that no gateway writes; see {@link Absences} for MEDIA_NOT_FOUND. */
  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      return await this.#open(ref, this.context.maxDownloadBytes, asked, options);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  async #describe(ref: MediaRef, asked: string, options: CallOptions): Promise<MediaDetails> {
    try {
      const firstByte = { ...options, range: FIRST_BYTE };
      const { body, ...told } = await this.#open(ref, Number.MAX_SAFE_INTEGER, asked, firstByte);
      body.destroy();
      return waGatewayDetails(told);
    } catch (thrown) {
      // An empty file has no first byte.
      if (thrown instanceof RangeNotSatisfiable) return { ...UNKNOWN_DETAILS, sizeBytes: thrown.sizeBytes };
      throw thrown;
    }
  }

  async #open(ref: MediaRef, maxBytes: number, asked: string, options: OpenMediaOptions): Promise<ByteStream> {
    const { range, signal, job = false } = options;
    const mediaPath = this.#mediaPathOf(ref, asked);
    const known = job ? null : this.#absences.recall(mediaPath);
    if (known) throw this.#faults.absent(known);
    const path = `${this.#http.pathOf('media')}?path=${encodeURIComponent(mediaPath)}`;
    const response = await this.#http.open({ method: 'GET', path, headers: bytesHeaders(range), maxBytes, signal });
    if (!isAboutBytes(response, range)) throw this.#refusal(await readRefusal(response, signal), mediaPath, asked);
    const stream = this.#bytes(response, asked, range);
    this.#absences.forget(mediaPath);
    return { ...stream, filename: senderFilename(stream.filename, mediaPath) };
  }

  // Private: judged again, although the webhook's schema did: what is sent with credentials is judged where it is sent.
  #mediaPathOf({ providerMediaId }: MediaRef, asked: string): string {
    if (providerMediaId === null) throw this.#faults.notFound(asked);
    const fault = faultOfMediaPath(providerMediaId);
    if (fault === null) return providerMediaId;
    throw this.#faults.error('BAD_USER_INPUT', `expected a media path of the gateway, got ${fault}`);
  }

  // Private: the gateway names seven types and calls all others octet-stream; JSON and HTML come from something else.
  #bytes(response: StreamedResponse, asked: string, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!isEnvelopeOrPage(stream.declaredMimeType)) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(asked, 'JSON or a page', { upstreamStatus: response.statusCode });
  }

  #unexpected(response: BufferedResponse, asked: string): Error {
    const { code, message, details } = this.#faults.ofStatus(response, asked);
    const mayPass = details.upstreamCode === DEVICE_AWAY ? { retryable: true } : {};
    return this.#faults.error(code, message, { ...details, ...mayPass });
  }

  // The gateway's own 404 is JSON; a page says that something else answered in its place, not that media is gone.
  #refusal(response: BufferedResponse, mediaPath: string, asked: string): Error {
    const isPage = (response.headers['content-type'] ?? '').startsWith('text/html');
    const { verdict } = readWaGatewayFault(response);
    if (response.statusCode !== 404 || isPage || verdict) return this.#unexpected(response, asked);
    return this.#faults.absent(this.#absences.note(mediaPath), this.#faults.detailsOf(response));
  }
}
