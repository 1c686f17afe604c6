import { MediagraphError } from '../../model/errors.js';
import type { MediaDetails, MediaRef, ProviderMedia } from '../../model/media.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import { REDIRECT_STATUSES } from '../../net/redirect-statuses.js';
import type { AdapterContext } from '../adapter-context.js';
import type { ByteStream, CallOptions, OpenMediaOptions, ProviderAdapter } from '../provider-adapter.js';
import { checkByGet } from '../toolkit/credentials-check.js';
import { isHtmlPage } from '../toolkit/error-body.js';
import type { MediaHeaders } from '../toolkit/media-headers.js';
import { openMediaUrl, probeMediaUrl } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { kirimDetails, kirimListedMedia } from './mapping.js';
import type { KirimChannel } from './settings.js';
import { type KirimMessage, kirimMessage, readKirimFault } from './wire.js';

/** A 404 may mean that the media is still in flight. The provider does not say for how long. */
const IN_FLIGHT = { kind: 'retry', retryAfterMs: 1_000 } as const;

/**
 * Kirim Chat. A WhatsApp message has at most one media. `GET …/messages/{id}/media` redirects to it on a public CDN.
 * The adapter offers neither upload nor deletion. Source: Kirim's API reference, "Redirect to the media asset for a
 * message".
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
    const subject = 'the media of a message';
    return settleEach(
      messageIds,
      async (messageId) => {
        const location = await this.#locate(messageId, subject, options);
        return location === null ? [] : [kirimListedMedia(messageId, location)];
      },
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  /** Lists one message (developers.kirim.chat, concepts/pagination). */
  checkCredentials({ signal }: CallOptions): Promise<void> {
    const path = `${this.#http.pathOf(...this.#root)}?limit=1`;
    return checkByGet({ http: this.#http, path, faults: this.#faults, signal });
  }

  /** Combines the message resource and the CDN's headers. Neither has all details, and one of them may fail. */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const subject = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const [message, headers] = await Promise.allSettled([
          this.#message(this.#messageIdOf(ref, subject), subject, options),
          this.#headers(ref, subject, options),
        ]);
        if (message.status === 'rejected' && headers.status === 'rejected') throw message.reason;
        return kirimDetails(
          message.status === 'fulfilled' ? message.value : null,
          headers.status === 'fulfilled' ? headers.value : null,
        );
      },
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const subject = 'the bytes of a media';
    try {
      return (
        (await this.#openAnnouncedUrl(ref, options)) ??
        (await openMediaUrl(await this.#mustLocate(ref, subject, options), this.context, this.#faults, options))
      );
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, subject);
    }
  }

  async #headers(ref: MediaRef, subject: string, options: CallOptions): Promise<MediaHeaders | null> {
    const url = ref.downloadUrl ?? (await this.#mustLocate(ref, subject, options));
    return probeMediaUrl(url, this.context.safeFetch, options);
  }

  // Opens the URL of a webhook or a listing, which may have expired. Returns null if the message must be asked for a
  // new URL.
  async #openAnnouncedUrl({ downloadUrl }: MediaRef, options: OpenMediaOptions): Promise<ByteStream | null> {
    if (downloadUrl === null) return null;
    try {
      return await openMediaUrl(downloadUrl, this.context, this.#faults, options);
    } catch (thrown) {
      if (options.signal?.aborted || !(thrown instanceof MediagraphError)) throw thrown;
      return null;
    }
  }

  // Returns the URL on the CDN, or null. "Returns 404 if the message has no media or if media download is still in
  // flight": the two cannot be distinguished, so both mean "none so far".
  async #locate(messageId: string, subject: string, { signal }: CallOptions): Promise<string | null> {
    const path = this.#http.pathOf(...this.#root, messageId, 'media');
    const response = await this.#http.request({ method: 'GET', path, signal });
    if (REDIRECT_STATUSES.has(response.statusCode)) return this.#location(response, path, subject);
    if (response.statusCode === 404 && !isHtmlPage(response) && !readKirimFault(response).verdict) return null;
    throw this.#faults.ofStatus(response, subject);
  }

  async #mustLocate(ref: MediaRef, subject: string, options: CallOptions): Promise<string> {
    const location = await this.#locate(this.#messageIdOf(ref, subject), subject, options);
    if (location !== null) return location;
    // A webhook reports media in flight as pending, which may last an hour. A job waits for it.
    if (options.job)
      throw this.#faults.error(
        'MEDIA_NOT_READY',
        'expected this media, got the answer that the provider does not have it yet',
        { retryable: true },
      );
    throw this.#faults.absent(IN_FLIGHT);
  }

  // Kirim identifies a media by its message only.
  #messageIdOf({ providerMessageId }: MediaRef, subject: string): string {
    if (providerMessageId === null) throw this.#faults.notFound(subject);
    return providerMessageId;
  }

  // Checked here already, so that a listing never reports a media as READY that a delivery would refuse to open.
  #location(response: BufferedResponse, path: string, subject: string): string {
    const { location } = response.headers;
    if (typeof location !== 'string' || location === '')
      throw this.#faults.protocol(subject, 'a redirect without an address', { upstreamStatus: response.statusCode });
    return this.context.judgeRedirect(location, path).href;
  }

  async #message(messageId: string, subject: string, { signal }: CallOptions): Promise<KirimMessage> {
    const path = this.#http.pathOf(...this.#root, messageId);
    const response = await this.#http.request({ method: 'GET', path, headers: { accept: 'application/json' }, signal });
    if (response.statusCode !== 200) throw this.#faults.ofStatus(response, subject);
    return this.#faults.parse(response, kirimMessage, subject);
  }
}
