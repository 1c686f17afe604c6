import { MediagraphError } from '../../model/errors.js';
import type { MediaDetails, MediaRef, ProviderMedia } from '../../model/media.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { AdapterContext } from '../adapter-context.js';
import type { ByteStream, CallOptions, OpenMediaOptions, ProviderAdapter } from '../provider-adapter.js';
import type { MediaHeaders } from '../toolkit/media-headers.js';
import { openMediaUrl, probeMediaUrl } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { kirimDetails, kirimListedMedia } from './mapping.js';
import type { KirimChannel } from './settings.js';
import { type KirimMessage, kirimMessage, readKirimFault } from './wire.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Its 404 may mean that the media is in flight still; how long, it does not say. */
const IN_FLIGHT = { kind: 'later', retryAfterMs: 1_000 } as const;

/**
 * Kirim Chat. A WhatsApp message has one media at most, and one resource answers for it: `GET …/messages/{id}/media`
 * redirects to a public CDN. Source: Kirim's API reference, "Redirect to the media asset for a message".
 */
export class KirimAdapter implements ProviderAdapter {
  readonly provider = 'kirim';
  readonly mediaPerMessage = 'one';
  readonly #http: ProviderHttpClient;
  readonly #faults: ProviderFaults;
  readonly #root: readonly string[];

  constructor(
    channel: KirimChannel,
    private readonly context: AdapterContext,
  ) {
    this.#http = context.createHttpClient({ authorization: `Bearer ${channel.credentials.token}` });
    this.#faults = new ProviderFaults(channel, readKirimFault, context.onRefusal);
    const { phoneNumberId } = channel.options;
    this.#root = phoneNumberId === undefined ? ['messages'] : [phoneNumberId, 'messages'];
  }

  listMedia(messageIds: readonly string[], options: CallOptions): Promise<Array<readonly ProviderMedia[] | Error>> {
    const asked = 'the media of a message';
    return settleEach(
      messageIds,
      async (messageId) => {
        const location = await this.#locate(messageId, asked, options);
        return location === null ? [] : [kirimListedMedia(messageId, location)];
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  /** From the message resource and the CDN's headers together: neither tells all, and either may fail alone. */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const [message, headers] = await Promise.allSettled([
          this.#message(this.#messageIdOf(ref, asked), asked, options),
          this.#headers(ref, asked, options),
        ]);
        if (message.status === 'rejected' && headers.status === 'rejected') throw message.reason;
        return kirimDetails(
          message.status === 'fulfilled' ? message.value : null,
          headers.status === 'fulfilled' ? headers.value : null,
        );
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      return (
        (await this.#openTold(ref, options)) ??
        (await openMediaUrl(await this.#mustLocate(ref, asked, options), this.context, this.#faults, options))
      );
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  async #headers(ref: MediaRef, asked: string, options: CallOptions): Promise<MediaHeaders | null> {
    const url = ref.downloadUrl ?? (await this.#mustLocate(ref, asked, options));
    return probeMediaUrl(url, this.context.safeFetch, options);
  }

  // Private: what a webhook or a listing told may have ended since; null = the message is asked anew.
  async #openTold({ downloadUrl }: MediaRef, options: OpenMediaOptions): Promise<ByteStream | null> {
    if (downloadUrl === null) return null;
    try {
      return await openMediaUrl(downloadUrl, this.context, this.#faults, options);
    } catch (thrown) {
      if (options.signal?.aborted || !(thrown instanceof MediagraphError)) throw thrown;
      return null;
    }
  }

  // Private: the CDN's address, or null. "Returns 404 if the message has no media or if media download is still in
  // flight": the two look alike, so both are "none so far".
  async #locate(messageId: string, asked: string, { signal }: CallOptions): Promise<string | null> {
    const path = this.#http.pathOf(...this.#root, messageId, 'media');
    const response = await this.#http.request({ method: 'GET', path, signal });
    if (REDIRECTS.has(response.statusCode)) return this.#location(response, path, asked);
    if (response.statusCode === 404 && !isHtml(response) && !readKirimFault(response).verdict) return null;
    throw this.#faults.ofStatus(response, asked);
  }

  async #mustLocate(ref: MediaRef, asked: string, options: CallOptions): Promise<string> {
    const location = await this.#locate(this.#messageIdOf(ref, asked), asked, options);
    if (location !== null) return location;
    // Kirim calls media that is still on its way to it pending, which may take an hour; a job waits for it.
    if (options.job)
      throw this.#faults.error(
        'MEDIA_NOT_READY',
        'expected this media, got word of the provider that it does not have it yet',
        { retryable: true },
      );
    throw this.#faults.absent(IN_FLIGHT);
  }

  // Private: nothing here has another name than its message's.
  #messageIdOf({ providerMessageId }: MediaRef, asked: string): string {
    if (providerMessageId === null) throw this.#faults.notFound(asked);
    return providerMessageId;
  }

  // Private: judged here already, so that a listing never calls READY what delivery would refuse to open.
  #location(response: BufferedResponse, path: string, asked: string): string {
    const { location } = response.headers;
    if (typeof location !== 'string' || location === '')
      throw this.#faults.protocol(asked, 'a redirect without an address', { upstreamStatus: response.statusCode });
    return this.context.judgeRedirect(location, path).href;
  }

  async #message(messageId: string, asked: string, { signal }: CallOptions): Promise<KirimMessage> {
    const path = this.#http.pathOf(...this.#root, messageId);
    const response = await this.#http.request({ method: 'GET', path, headers: { accept: 'application/json' }, signal });
    if (response.statusCode !== 200) throw this.#faults.ofStatus(response, asked);
    return this.#faults.parse(response, kirimMessage, asked);
  }
}

// Private: Kirim's own 404 is a JSON envelope; a page says that something else answered in its place.
function isHtml(response: BufferedResponse): boolean {
  return (response.headers['content-type'] ?? '').startsWith('text/html');
}
