import type { ByteRange } from '../../model/byte-range.js';
import { MediagraphError } from '../../model/errors.js';
import {
  type MediaDetails,
  type MediaFault,
  type MediaRef,
  type ProviderMedia,
  UNKNOWN_DETAILS,
} from '../../model/media.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient } from '../../net/client/provider-http-client.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';
import type { AdapterContext } from '../adapter-context.js';
import type { ByteStream, CallOptions, OpenMediaOptions, ProviderAdapter } from '../provider-adapter.js';
import { readRefusal } from '../toolkit/bytes-answer.js';
import { bytesHeaders, isAboutBytes, openMediaUrl, toByteStream } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { lamlDetails, lamlListedMedia } from './mapping.js';
import { MediaPath } from './media-path.js';
import { PropagationWait } from './propagation.js';
import type { LamlChannel } from './settings.js';
import {
  type LamlMedia,
  type LamlMediaPage,
  lamlMediaDetails,
  lamlMediaPage,
  MESSAGE_IN_PROGRESS,
  readLamlFault,
} from './wire.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** A message has ten media at most; a provider that names more pages than this has lost count. */
const MAX_PAGES = 50;
/** What "Retrieve Message Media" tells, besides dates. */
const DESCRIBED: ReadonlySet<keyof MediaDetails> = new Set(['kind', 'mimeType']);
const METADATA_ALONE: MediaFault = {
  code: 'PROVIDER_PROTOCOL',
  message:
    "expected the bytes of this media, got metadata in their place: they can be had by a webhook's MediaUrl alone",
  retryable: false,
};

/**
 * SignalWire's Compatibility API and Twilio's Programmable Messaging API: one interface at two base URLs. Sources:
 * SignalWire REST reference, "Message Media"; Twilio docs, messaging/api/media-resource.
 */
export class LamlAdapter implements ProviderAdapter {
  readonly provider: LamlChannel['provider'];
  readonly mediaPerMessage = 'several';
  readonly describes = DESCRIBED;
  readonly #http: ProviderHttpClient;
  readonly #faults: ProviderFaults;
  /** Where a media's own address may be asked with credentials. */
  readonly #trusted: readonly ProviderHttpClient[];
  /** `…/Accounts/{AccountSid}/Messages` */
  readonly #messagesPath: string;
  readonly #propagation: PropagationWait;
  /** null: Twilio's documentation says that it answers with the bytes. */
  readonly #mediaPath: MediaPath | null;

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
    const { facts } = context;
    this.#mediaPath = channel.provider === 'signalwire' ? new MediaPath({ channelId: channel.id, facts }) : null;
  }

  async listMedia(
    messageIds: readonly string[],
    options: CallOptions,
  ): Promise<Array<readonly ProviderMedia[] | Error>> {
    const asked = 'the media of a message';
    const fault = await this.faultOfListed();
    return settleEach(
      messageIds,
      async (messageId) => {
        const listed = await this.#propagation.settle(
          messageId,
          () => this.#list(messageId, asked, options),
          options.signal,
        );
        const media = (listed ?? []).map((one) => lamlListedMedia(messageId, one));
        return fault === null ? media : media.map((one) => ({ ...one, status: 'FAILED' as const, fault }));
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  async faultOfListed(): Promise<MediaFault | null> {
    return (await this.#mediaPath?.givesMetadata()) ? METADATA_ALONE : null;
  }

  /** For media of which a webhook or a listing told no type. An address that names no media of the API has no more to tell. */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      (ref) => this.#describe(ref, asked, options),
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
      const stream = await this.#propagation.settle(path, () => this.#openOwn(path, asked, options), options.signal);
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

  async #describe(ref: MediaRef, asked: string, { signal }: CallOptions): Promise<MediaDetails> {
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    if (providerMessageId === null || providerMediaId === null) throw this.#faults.notFound(asked);
    const path = `${this.#mediaPathOf(providerMessageId, providerMediaId)}.json`;
    const ask = async () => {
      const response = await this.#http.request({ method: 'GET', path, signal });
      if (response.statusCode === 404 && !isHtml(response)) return null;
      if (response.statusCode !== 200) throw this.#faults.ofStatus(response, asked);
      return this.#faults.parse(response, lamlMediaDetails, asked);
    };
    if (downloadUrl !== null) return lamlDetails(await ask()) ?? UNKNOWN_DETAILS;
    const details = lamlDetails(await this.#propagation.settle(path, ask, signal));
    if (details === null) throw this.#faults.notFound(asked);
    return details;
  }

  // By the path of the API, and what that tells of the channel is remembered.
  async #openOwn(path: string, asked: string, options: OpenMediaOptions): Promise<ByteStream | null> {
    try {
      const stream = await this.#open(path, asked, options);
      // Not waited for: the bytes are on their way already.
      if (stream) void this.#mediaPath?.note('bytes');
      return stream;
    } catch (thrown) {
      if (!(thrown instanceof MetadataInPlace)) throw thrown;
      await this.#mediaPath?.note('metadata');
      throw thrown.fault;
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
    const ask = (client: ProviderHttpClient, path: string) =>
      this.#open(path, asked, options, client).catch((thrown: unknown) => {
        throw thrown instanceof MetadataInPlace ? this.#faults.protocol(asked, 'JSON') : thrown;
      });
    const settled = (client: ProviderHttpClient, path: string) =>
      this.#propagation.settle(url, () => ask(client, path), options.signal);
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
    if (isAboutBytes(response, options.range)) return this.#inlineBytes(response, options.range);
    if (statusCode !== 404 && !REDIRECTS.has(statusCode))
      throw this.#faults.ofStatus(await readRefusal(response, options.signal), asked);
    body.destroy();
    if (statusCode === 404) return null;
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
  #inlineBytes(response: StreamedResponse, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!/[/+]json\b/.test(stream.declaredMimeType ?? '')) return stream;
    stream.body.destroy();
    throw new MetadataInPlace(
      this.#faults.error(METADATA_ALONE.code, METADATA_ALONE.message, {
        upstreamStatus: response.statusCode,
        retryable: METADATA_ALONE.retryable,
      }),
    );
  }
}

/** JSON where bytes were asked for. Never leaves the adapter. */
class MetadataInPlace extends Error {
  constructor(readonly fault: MediagraphError) {
    super(fault.message);
  }
}

// Private: a page says that something else answered in the API's place.
function isHtml(response: BufferedResponse): boolean {
  return (response.headers['content-type'] ?? '').startsWith('text/html');
}
