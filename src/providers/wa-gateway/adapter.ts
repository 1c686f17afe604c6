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
import { checkByGet } from '../toolkit/credentials-check.js';
import { isEnvelopeOrPage, isHtmlPage, readRefusal } from '../toolkit/error-body.js';
import { bytesHeaders, isAboutBytes, toByteStream } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { senderFilename, waGatewayDetails } from './mapping.js';
import type { WaGatewayChannel } from './settings.js';
import { DEVICE_AWAY, faultOfMediaPath, readWaGatewayFault } from './wire.js';

/**
 * The documentation asks to retry a 404 "for eventual consistency", and a webhook may be faster than the file it
 * announces. A 404 that persists for a minute is final (WA Gateway, "Errors").
 */
const ABSENCES = { pausesMs: [2_000], finalAfterMs: 60_000 } as const;
const FIRST_BYTE = { start: 0, end: 0 };

/**
 * wa-server, also called WA Gateway. Webhooks announce media, and `GET /media?path=…` returns the bytes. There is no
 * listing, no metadata, no upload and no deletion. Sources: wa-server, "Media Handling"; WA Gateway, "Media", "Errors".
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

  /** Lists the devices of the app (WA Gateway, "Devices"). `/health` needs no credentials. */
  checkCredentials({ signal }: CallOptions): Promise<void> {
    return checkByGet({ http: this.#http, path: this.#http.pathOf('devices'), faults: this.#faults, signal });
  }

  /**
   * Reads the headers of the bytes, since there is no metadata and HEAD is undocumented. It requests one byte; a
   * gateway that ignores ranges is disconnected after its headers.
   */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const subject = 'the details of a media';
    return settleEach(
      refs,
      (ref) => this.#describe(ref, subject, options),
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  /**
   * Rejects with BAD_USER_INPUT for a media path that no gateway produces. See {@link Absences} for MEDIA_NOT_FOUND.
   */
  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const subject = 'the bytes of a media';
    try {
      return await this.#open(ref, this.context.maxDownloadBytes, subject, options);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, subject);
    }
  }

  async #describe(ref: MediaRef, subject: string, options: CallOptions): Promise<MediaDetails> {
    try {
      const firstByte = { ...options, range: FIRST_BYTE };
      const { body, ...headerFacts } = await this.#open(ref, Number.MAX_SAFE_INTEGER, subject, firstByte);
      body.destroy();
      return waGatewayDetails(headerFacts);
    } catch (thrown) {
      // An empty file has no first byte.
      if (thrown instanceof RangeNotSatisfiable) return { ...UNKNOWN_DETAILS, sizeBytes: thrown.sizeBytes };
      throw thrown;
    }
  }

  async #open(ref: MediaRef, maxBytes: number, subject: string, options: OpenMediaOptions): Promise<ByteStream> {
    const { range, signal, job = false } = options;
    const mediaPath = this.#mediaPathOf(ref, subject);
    const known = job ? null : this.#absences.recall(mediaPath);
    if (known) throw this.#faults.absent(known);
    const path = `${this.#http.pathOf('media')}?path=${encodeURIComponent(mediaPath)}`;
    const response = await this.#http.open({ method: 'GET', path, headers: bytesHeaders(range), maxBytes, signal });
    if (!isAboutBytes(response, range)) throw this.#refusal(await readRefusal(response, signal), mediaPath, subject);
    const stream = this.#bytes(response, subject, range);
    this.#absences.forget(mediaPath);
    return { ...stream, filename: senderFilename(stream.filename, mediaPath) };
  }

  // Checked again although the webhook's schema did: a path that is sent with credentials is checked where it is sent.
  #mediaPathOf({ providerMediaId }: MediaRef, subject: string): string {
    if (providerMediaId === null) throw this.#faults.notFound(subject);
    const fault = faultOfMediaPath(providerMediaId);
    if (fault === null) return providerMediaId;
    throw this.#faults.error('BAD_USER_INPUT', `expected a media path of the gateway, got ${fault}`);
  }

  // The gateway names seven types and sends octet-stream for all others. JSON and HTML come from another server.
  #bytes(response: StreamedResponse, subject: string, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!isEnvelopeOrPage(stream.declaredMimeType)) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(subject, 'JSON or a page', { upstreamStatus: response.statusCode });
  }

  #unexpected(response: BufferedResponse, subject: string): Error {
    const { code, message, details } = this.#faults.ofStatus(response, subject);
    const mayPass = details.upstreamCode === DEVICE_AWAY ? { retryable: true } : {};
    return this.#faults.error(code, message, { ...details, ...mayPass });
  }

  // The gateway's own 404 is JSON. An HTML page comes from another server and does not mean that the media is gone.
  #refusal(response: BufferedResponse, mediaPath: string, subject: string): Error {
    const { verdict } = readWaGatewayFault(response);
    if (response.statusCode !== 404 || isHtmlPage(response) || verdict) return this.#unexpected(response, subject);
    return this.#faults.absent(this.#absences.note(mediaPath), this.#faults.detailsOf(response));
  }
}
