import type { ByteRange } from '../../model/byte-range.js';
import { MediagraphError } from '../../model/errors.js';
import type { MediaRef, ProviderMedia } from '../../model/media.js';
import type { BufferedResponse } from '../../net/buffered-response.js';
import type { ProviderHttpClient } from '../../net/provider-http-client.js';
import type { StreamedResponse } from '../../net/streamed-response.js';
import type { AdapterContext } from '../adapter-context.js';
import { bytesHeaders, isAboutBytes, openMediaUrl, toByteStream } from '../media-url.js';
import type { ByteStream, CallOptions, OpenMediaOptions, ProviderAdapter } from '../provider-adapter.js';
import { ProviderFaults, settleEach } from '../provider-call.js';
import { lamlListedMedia } from './mapping.js';
import { PropagationWait } from './propagation.js';
import type { LamlChannel } from './settings.js';
import { type LamlMedia, type LamlMediaPage, lamlMediaPage, MESSAGE_IN_PROGRESS, readLamlFault } from './wire.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** A message has ten media at most; a provider that names more pages than this has lost count. */
const MAX_PAGES = 50;

/**
 * SignalWire's Compatibility API and Twilio's Programmable Messaging API: one interface at two base URLs. Sources:
 * SignalWire REST reference, "Message Media"; Twilio docs, messaging/api/media-resource.
 */
export class LamlAdapter implements ProviderAdapter {
  readonly provider: LamlChannel['provider'];
  readonly mediaPerMessage = 'several';
  readonly #http: ProviderHttpClient;
  readonly #faults: ProviderFaults;
  /** Where a media's own address may be asked with credentials. */
  readonly #trusted: readonly ProviderHttpClient[];
  /** `…/Accounts/{AccountSid}/Messages` */
  readonly #messagesPath: string;
  readonly #propagation: PropagationWait;

  constructor(
    channel: LamlChannel,
    private readonly context: AdapterContext,
  ) {
    this.provider = channel.provider;
    const { accountSid, username, password } = channel.credentials;
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    const credentials = { authorization: `Basic ${basic}` };
    this.#http = context.createHttpClient(credentials);
    const { mediaOrigins = [] } = channel.options;
    this.#trusted = [this.#http, ...mediaOrigins.map((origin) => context.createHttpClient(credentials, origin))];
    this.#faults = new ProviderFaults(channel, readLamlFault, context.onRefusal);
    this.#messagesPath = this.#http.pathOf('Accounts', accountSid, 'Messages');
    this.#propagation = new PropagationWait(context.timeoutMs);
  }

  listMedia(messageIds: readonly string[], options: CallOptions): Promise<Array<readonly ProviderMedia[] | Error>> {
    const asked = 'the media of a message';
    return settleEach(
      messageIds,
      async (messageId) => {
        const listed = await this.#propagation.settle(
          messageId,
          () => this.#list(messageId, asked, options),
          options.signal,
        );
        return (listed ?? []).map((media) => lamlListedMedia(messageId, media));
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    try {
      if (downloadUrl !== null) return await this.#openTold(downloadUrl, asked, options);
      if (providerMessageId === null || providerMediaId === null) throw this.#faults.notFound(asked);
      const path = this.#mediaPathOf(providerMessageId, providerMediaId);
      const stream = await this.#propagation.settle(path, () => this.#open(path, asked, options), options.signal);
      if (stream === null) throw this.#faults.notFound(asked);
      return stream;
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  /**
   * Rejects PROVIDER_REJECTED while the message is being sent. Where a webhook's address is all that is known of a media,
   * its last part may be no SID: then the media counts as gone once the address is empty.
   */
  async deleteMedia(ref: MediaRef, options: CallOptions): Promise<void> {
    const asked = 'the deletion of a media';
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    if (providerMessageId === null || providerMediaId === null) return;
    try {
      const wasThere = await this.#delete(providerMessageId, providerMediaId, asked, options);
      if (!wasThere && downloadUrl !== null && (await this.#isOpen(ref, options)))
        await this.#deleteOnly(providerMessageId, asked, options);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, asked);
    }
  }

  #pathOf(messageId: string): string {
    return `${this.#messagesPath}/${encodeURIComponent(messageId)}`;
  }

  // Private: without an extension; Twilio answers that with the bytes.
  #mediaPathOf(messageId: string, mediaId: string): string {
    return `${this.#pathOf(messageId)}/Media/${encodeURIComponent(mediaId)}`;
  }

  // Private: false where there is no such media; its first 404 is doubted, lest a media that is not there yet stays for good.
  async #delete(messageId: string, mediaId: string, asked: string, { signal }: CallOptions): Promise<boolean> {
    const resource = this.#mediaPathOf(messageId, mediaId);
    const path = this.provider === 'twilio' ? `${resource}.json` : resource;
    const deleted = await this.#propagation.settle(
      resource,
      async () => {
        const response = await this.#http.request({ method: 'DELETE', path, signal });
        if (response.statusCode === 204) return true;
        if (response.statusCode === 404 && !isHtml(response)) return null;
        throw this.#deletionRefusal(response, asked);
      },
      signal,
    );
    this.#propagation.believeAbsent(resource);
    return deleted === true;
  }

  #deletionRefusal(response: BufferedResponse, asked: string): Error {
    const refusal = this.#faults.ofStatus(response, asked);
    const { details } = refusal;
    if (details.upstreamCode !== MESSAGE_IN_PROGRESS || response.statusCode >= 500) return refusal;
    const message = 'the provider deletes no media while their message is still in progress';
    return this.#faults.error('PROVIDER_REJECTED', message, { ...details, retryable: true });
  }

  // Private: whether the address that a webhook told still gives bytes.
  async #isOpen(ref: MediaRef, options: CallOptions): Promise<boolean> {
    try {
      (await this.openMedia(ref, options)).body.destroy();
      return true;
    } catch (thrown) {
      if (thrown instanceof MediagraphError && thrown.code === 'MEDIA_NOT_FOUND') return false;
      throw thrown;
    }
  }

  // Private: a media that is there and the only one that its message lists are the same.
  async #deleteOnly(messageId: string, asked: string, options: CallOptions): Promise<void> {
    const [only, ...others] = (await this.#list(messageId, asked, options)) ?? [];
    if (only && others.length === 0) await this.#delete(messageId, only.sid, asked, options);
    else throw this.#faults.error('PROVIDER_REJECTED', 'the provider lists this media under a name that is not known');
  }

  // Private: all pages of a message's media; null for a message that is not there (yet).
  async #list(messageId: string, asked: string, options: CallOptions): Promise<readonly LamlMedia[] | null> {
    const messagePath = this.#pathOf(messageId);
    const firstPath = `${messagePath}/Media.json`;
    const first = await this.#page(firstPath, asked, options);
    if (!first?.next_page_uri) return first?.media_list ?? null;
    const listed = [...first.media_list];
    const visited = new Set([firstPath]);
    for (let next = first.next_page_uri; next; ) {
      const path = this.#nextPath(next, messagePath, asked);
      if (visited.has(path) || visited.size >= MAX_PAGES) throw this.#faults.protocol(asked, 'pages without an end');
      visited.add(path);
      const page = await this.#page(path, asked, options);
      if (page === null) return null;
      listed.push(...page.media_list);
      next = page.next_page_uri ?? '';
    }
    return listed;
  }

  async #page(path: string, asked: string, { signal }: CallOptions): Promise<LamlMediaPage | null> {
    const response: BufferedResponse = await this.#http.request({ method: 'GET', path, signal });
    if (response.statusCode === 404) return null;
    if (response.statusCode !== 200) throw this.#faults.ofStatus(response, asked);
    return this.#faults.parse(response, lamlMediaPage, asked);
  }

  // Private: pages of another message, account or host are no pages of this list, and get no credentials.
  #nextPath(uri: string, messagePath: string, asked: string): string {
    const path = this.#http.pathWithin(uri, messagePath);
    if (path === null) throw this.#faults.protocol(asked, 'a next page outside of the list');
    return path;
  }

  // Private: the MediaUrl of a webhook. Credentials only where the configuration says so: SignalWire's are public unless
  // the project protects them (SignalWire docs, "Protect Message Media URLs").
  async #openTold(url: string, asked: string, options: OpenMediaOptions): Promise<ByteStream> {
    const settled = (client: ProviderHttpClient, path: string) =>
      this.#propagation.settle(url, () => this.#open(path, asked, options, client), options.signal);
    for (const client of this.#trusted) {
      const path = client.pathWithin(url, '');
      if (path === null) continue;
      const stream = await settled(client, path);
      if (stream === null) throw this.#faults.notFound(asked);
      return stream;
    }
    return openMediaUrl(url, this.context, this.#faults, options);
  }

  // Private: the media's `uri` without `.json`. Twilio redirects to its CDN with 302 (307 has been seen); the CDN refuses
  // requests that bear credentials. null for a 404.
  async #open(path: string, asked: string, options: OpenMediaOptions, client = this.#http): Promise<ByteStream | null> {
    const response = await client.open({
      method: 'GET',
      path,
      headers: bytesHeaders(options.range),
      maxBytes: this.context.maxDownloadBytes,
      signal: options.signal,
    });
    const { statusCode, headers, body } = response;
    if (isAboutBytes(response, options.range)) return this.#inlineBytes(response, asked, options.range);
    body.destroy();
    if (statusCode === 404) return null;
    if (!REDIRECTS.has(statusCode)) throw this.#faults.ofStatus({ statusCode, headers, body: Buffer.alloc(0) }, asked);
    const { location } = headers;
    if (typeof location !== 'string' || location === '')
      throw this.#faults.protocol(asked, 'a redirect without an address', { upstreamStatus: statusCode });
    return openMediaUrl(
      this.context.judgeRedirect(location, client.addressOf(path)).href,
      this.context,
      this.#faults,
      options,
    );
  }

  // Private: SignalWire's reference answers this path with the media's metadata; that is not the media.
  #inlineBytes(response: StreamedResponse, asked: string, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!/[/+]json\b/.test(stream.declaredMimeType ?? '')) return stream;
    stream.body.destroy();
    throw this.#faults.protocol(asked, 'JSON', { upstreamStatus: response.statusCode });
  }
}

// Private: a page says that something else answered in the API's place.
function isHtml(response: BufferedResponse): boolean {
  return (response.headers['content-type'] ?? '').startsWith('text/html');
}
