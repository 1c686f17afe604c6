import { type MediaDetails, UNKNOWN_DETAILS } from '../../model/media.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';
import { REDIRECT_STATUSES } from '../../net/redirect-statuses.js';
import type { AdapterContext } from '../adapter-context.js';
import type { ByteStream, OpenMediaOptions } from '../provider-adapter.js';
import { readRefusal } from '../toolkit/error-body.js';
import { bytesHeaders, isAboutBytes, rangeHeaders, toByteStream } from '../toolkit/media-url.js';
import type { ProviderFaults } from '../toolkit/provider-call.js';
import { contradictsMetadata, whatsappDetails } from './mapping.js';
import type { WhatsAppMetadata } from './wire.js';

const SUBJECT = 'the bytes of a media';

/** An origin that may receive the channel's credentials. */
export interface TrustedOrigin {
  readonly origin: string;
  readonly client: ProviderHttpClient;
}

export interface WhatsAppDownloadOptions {
  readonly context: Pick<AdapterContext, 'safeFetch' | 'judgeRedirect' | 'maxDownloadBytes'>;
  readonly faults: ProviderFaults;
  /** The channel's own origin. */
  readonly own: TrustedOrigin;
  /** All trusted origins, including the channel's own. */
  readonly trusted: readonly TrustedOrigin[];
}

interface OpenedUrl {
  readonly response: StreamedResponse;
  /** Whether the request had credentials, so that a refusal may concern them. */
  readonly trusted: boolean;
}

/** Opens the bytes of a media: at the URL of its metadata, or at the API's own path. */
export class WhatsAppDownload {
  constructor(private readonly options: WhatsAppDownloadOptions) {}

  /**
   * Opens the URL in the metadata. A trusted origin receives the credentials.
   * @param bytesPath opened in place of a URL at an untrusted origin
   */
  async open(
    metadata: WhatsAppMetadata,
    bytesPath: string | undefined,
    options: OpenMediaOptions,
  ): Promise<ByteStream> {
    const opened = await this.#openUrl(metadata.url, bytesPath, options);
    return this.#toBytes(opened, whatsappDetails(metadata), options);
  }

  /** Opens the path that returns the bytes without metadata. */
  async openPath(bytesPath: string, options: OpenMediaOptions): Promise<ByteStream> {
    return this.#toBytes(await this.#openTrusted(this.options.own, bytesPath, options), UNKNOWN_DETAILS, options);
  }

  async #openUrl(url: string, bytesPath: string | undefined, options: OpenMediaOptions): Promise<OpenedUrl> {
    for (const trusted of this.options.trusted) {
      const path = trusted.client.pathWithin(url, '');
      if (path !== null) return this.#openTrusted(trusted, path, options);
    }
    if (bytesPath === undefined) return this.#openUntrusted(url, options);
    return this.#openTrusted(this.options.own, bytesPath, options);
  }

  // A redirect is opened like any URL of a provider's answer, without credentials.
  async #openTrusted({ origin, client }: TrustedOrigin, path: string, options: OpenMediaOptions): Promise<OpenedUrl> {
    const { context, faults } = this.options;
    const response = await client.open({
      method: 'GET',
      path,
      headers: bytesHeaders(options.range),
      maxBytes: context.maxDownloadBytes,
      signal: options.signal,
    });
    if (!REDIRECT_STATUSES.has(response.statusCode)) return { response, trusted: true };
    response.body.destroy();
    const { location } = response.headers;
    if (typeof location !== 'string' || location === '')
      throw faults.protocol(SUBJECT, 'a redirect without an address', { upstreamStatus: response.statusCode });
    return this.#openUntrusted(context.judgeRedirect(location, origin + path).href, options);
  }

  async #openUntrusted(url: string, { range, signal }: OpenMediaOptions): Promise<OpenedUrl> {
    const { safeFetch, maxDownloadBytes: maxBytes } = this.options.context;
    return { response: await safeFetch.open(url, { headers: rangeHeaders(range), signal, maxBytes }), trusted: false };
  }

  async #toBytes(
    { response, trusted }: OpenedUrl,
    details: MediaDetails,
    { range, signal }: OpenMediaOptions,
  ): Promise<ByteStream> {
    const { faults } = this.options;
    if (!isAboutBytes(response, range)) throw this.#refusal(await readRefusal(response, signal), trusted);
    const stream = toByteStream(response, faults, range);
    if (contradictsMetadata(stream.declaredMimeType, details.mimeType)) {
      stream.body.destroy();
      throw faults.protocol(SUBJECT, 'a page or JSON', { upstreamStatus: response.statusCode });
    }
    // Meta's Content-Disposition has the same meaningless name, such as whatsapp.png, for every media.
    return { ...stream, filename: null, declaredMimeType: stream.declaredMimeType ?? details.mimeType };
  }

  // The metadata proves that the media exists, so an origin without its bytes does not prove the contrary.
  #refusal(response: BufferedResponse, trusted: boolean): Error {
    const { faults } = this.options;
    const { statusCode, headers } = response;
    if (trusted && statusCode !== 404 && statusCode !== 410) return faults.ofStatus(response, SUBJECT);
    const refusal = faults.ofMediaUrlStatus(statusCode, headers);
    if (refusal.code !== 'MEDIA_NOT_FOUND') return refusal;
    return faults.error(refusal.code, refusal.message, { ...refusal.details, retryable: true });
  }
}
