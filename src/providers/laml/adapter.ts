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
import { REDIRECT_STATUSES } from '../../net/redirect-statuses.js';
import type { AdapterContext } from '../adapter-context.js';
import type { ByteStream, CallOptions, OpenMediaOptions, ProviderAdapter } from '../provider-adapter.js';
import { checkByGet } from '../toolkit/credentials-check.js';
import { isHtmlPage, readRefusal } from '../toolkit/error-body.js';
import { bytesHeaders, isAboutBytes, openMediaUrl, toByteStream } from '../toolkit/media-url.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { lamlDetails, lamlListedMedia } from './mapping.js';
import { METADATA_ONLY, MediaPath } from './media-path.js';
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

/** A message has at most ten media; more pages than this are a fault of the provider. */
const MAX_PAGES = 50;
/** The details that "Retrieve Message Media" provides. */
const DESCRIBED: ReadonlySet<keyof MediaDetails> = new Set(['kind', 'mimeType']);
/**
 * SignalWire's Compatibility API and Twilio's Programmable Messaging API: one interface at two base URLs. The adapter
 * lists and deletes media, and offers no upload. Sources: SignalWire REST reference, "Message Media"; Twilio docs,
 * messaging/api/media-resource.
 */
export class LamlAdapter implements ProviderAdapter {
  readonly provider: LamlChannel['provider'];
  readonly mediaPerMessage = 'several';
  readonly describes = DESCRIBED;
  readonly #http: ProviderHttpClient;
  readonly #faults: ProviderFaults;
  /** Clients of the origins that may receive credentials. */
  readonly #trusted: readonly ProviderHttpClient[];
  /** `…/Accounts/{AccountSid}/Messages` */
  readonly #messagesPath: string;
  readonly #propagation: PropagationWait;
  /** null for Twilio, which documents that the path returns the bytes. */
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
    const subject = 'the media of a message';
    const fault = await this.listedMediaFault();
    return settleEach(
      messageIds,
      async (messageId) => {
        const listed = await this.#propagation.settle(
          messageId,
          () => this.#list(messageId, subject, options),
          options.signal,
        );
        const media = (listed ?? []).map((wire) => lamlListedMedia(messageId, wire));
        return fault === null ? media : media.map((item) => ({ ...item, status: 'FAILED' as const, fault }));
      },
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  async listedMediaFault(): Promise<MediaFault | null> {
    return (await this.#mediaPath?.givesMetadata()) ? METADATA_ONLY : null;
  }

  /** Lists one message. Twilio's standard API keys may not read the account itself (twilio.com/docs/iam/api-keys). */
  checkCredentials({ signal }: CallOptions): Promise<void> {
    return checkByGet({
      http: this.#http,
      path: `${this.#messagesPath}.json?PageSize=1`,
      faults: this.#faults,
      signal,
    });
  }

  /**
   * For media whose type is unknown. The URL of a webhook may name no media of the API; its details then stay unknown.
   */
  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const subject = 'the details of a media';
    return settleEach(
      refs,
      (ref) => this.#describe(ref, subject, options),
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const subject = 'the bytes of a media';
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    try {
      if (downloadUrl !== null) return await this.#openAnnouncedUrl(downloadUrl, subject, options);
      if (providerMessageId === null || providerMediaId === null) throw this.#faults.notFound(subject);
      const path = this.#mediaPathOf(providerMessageId, providerMediaId);
      const stream = await this.#propagation.settle(
        path,
        () => this.#openApiPath(path, subject, options),
        options.signal,
      );
      if (stream === null) throw this.#faults.notFound(subject);
      return stream;
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, subject);
    }
  }

  /**
   * Rejects with PROVIDER_REJECTED while the message is being sent. The id of a media that is known by a webhook's URL
   * only may not be its SID. Such a media counts as gone once the URL no longer opens.
   */
  async deleteMedia(ref: MediaRef, options: CallOptions): Promise<void> {
    const subject = 'the deletion of a media';
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    if (providerMessageId === null || providerMediaId === null) return;
    try {
      const wasThere = await this.#delete(providerMessageId, providerMediaId, subject, options);
      if (!wasThere && downloadUrl !== null && (await this.#isOpen(ref, options)))
        await this.#deleteOnly(providerMessageId, subject, options);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, subject);
    }
  }

  async #describe(ref: MediaRef, subject: string, { signal }: CallOptions): Promise<MediaDetails> {
    const { providerMessageId, providerMediaId, downloadUrl } = ref;
    if (providerMessageId === null || providerMediaId === null) throw this.#faults.notFound(subject);
    const path = `${this.#mediaPathOf(providerMessageId, providerMediaId)}.json`;
    const ask = async () => {
      const response = await this.#http.request({ method: 'GET', path, signal });
      if (response.statusCode === 404 && !isHtmlPage(response)) return null;
      if (response.statusCode !== 200) throw this.#faults.ofStatus(response, subject);
      return this.#faults.parse(response, lamlMediaDetails, subject);
    };
    if (downloadUrl !== null) return lamlDetails(await ask()) ?? UNKNOWN_DETAILS;
    const details = lamlDetails(await this.#propagation.settle(path, ask, signal));
    if (details === null) throw this.#faults.notFound(subject);
    return details;
  }

  // Opens the API's path of a media and remembers whether this channel's path returns bytes.
  async #openApiPath(path: string, subject: string, options: OpenMediaOptions): Promise<ByteStream | null> {
    try {
      const stream = await this.#open(path, subject, options);
      // Not awaited: the bytes are already arriving.
      if (stream) void this.#mediaPath?.note('bytes');
      return stream;
    } catch (thrown) {
      if (!(thrown instanceof MetadataInsteadOfBytes)) throw thrown;
      await this.#mediaPath?.note('metadata');
      throw thrown.fault;
    }
  }

  #pathOf(messageId: string): string {
    return `${this.#messagesPath}/${encodeURIComponent(messageId)}`;
  }

  // Without an extension; Twilio then returns the bytes.
  #mediaPathOf(messageId: string, mediaId: string): string {
    return `${this.#pathOf(messageId)}/Media/${encodeURIComponent(mediaId)}`;
  }

  // Returns false if there is no such media. Its first 404 is not trusted: a media that is not there yet would
  // otherwise never be deleted.
  async #delete(messageId: string, mediaId: string, subject: string, { signal }: CallOptions): Promise<boolean> {
    const resource = this.#mediaPathOf(messageId, mediaId);
    const path = this.provider === 'twilio' ? `${resource}.json` : resource;
    const deleted = await this.#propagation.settle(
      resource,
      async () => {
        const response = await this.#http.request({ method: 'DELETE', path, signal });
        if (response.statusCode === 204) return true;
        if (response.statusCode === 404 && !isHtmlPage(response)) return null;
        throw this.#deletionRefusal(response, subject);
      },
      signal,
    );
    this.#propagation.markAbsent(resource);
    return deleted === true;
  }

  #deletionRefusal(response: BufferedResponse, subject: string): Error {
    const refusal = this.#faults.ofStatus(response, subject);
    const { details } = refusal;
    if (details.upstreamCode !== MESSAGE_IN_PROGRESS || response.statusCode >= 500) return refusal;
    const message = 'the provider deletes no media while their message is still in progress';
    return this.#faults.error('PROVIDER_REJECTED', message, { ...details, retryable: true });
  }

  // Whether the URL of a webhook still returns bytes.
  async #isOpen(ref: MediaRef, options: CallOptions): Promise<boolean> {
    try {
      (await this.openMedia(ref, options)).body.destroy();
      return true;
    } catch (thrown) {
      if (thrown instanceof MediagraphError && thrown.code === 'MEDIA_NOT_FOUND') return false;
      throw thrown;
    }
  }

  // If the media exists and its message lists exactly one media, the two are the same.
  async #deleteOnly(messageId: string, subject: string, options: CallOptions): Promise<void> {
    const [only, ...further] = (await this.#list(messageId, subject, options)) ?? [];
    if (only && further.length === 0) await this.#delete(messageId, only.sid, subject, options);
    else throw this.#faults.error('PROVIDER_REJECTED', 'the provider lists this media under an unknown id');
  }

  // Returns all pages of a message's media; null for a message that does not exist (yet).
  async #list(messageId: string, subject: string, options: CallOptions): Promise<readonly LamlMedia[] | null> {
    const messagePath = this.#pathOf(messageId);
    const firstPath = `${messagePath}/Media.json`;
    const first = await this.#page(firstPath, subject, options);
    if (!first?.next_page_uri) return first?.media_list ?? null;
    const listed = [...first.media_list];
    const visited = new Set([firstPath]);
    for (let next = first.next_page_uri; next; ) {
      const path = this.#nextPath(next, messagePath, subject);
      if (visited.has(path) || visited.size >= MAX_PAGES)
        throw this.#faults.protocol(subject, 'an endless list of pages');
      visited.add(path);
      const page = await this.#page(path, subject, options);
      if (page === null) return null;
      listed.push(...page.media_list);
      next = page.next_page_uri ?? '';
    }
    return listed;
  }

  async #page(path: string, subject: string, { signal }: CallOptions): Promise<LamlMediaPage | null> {
    const response: BufferedResponse = await this.#http.request({ method: 'GET', path, signal });
    if (response.statusCode === 404) return null;
    if (response.statusCode !== 200) throw this.#faults.ofStatus(response, subject);
    return this.#faults.parse(response, lamlMediaPage, subject);
  }

  // A page of another message, account or host does not belong to this list and must not receive credentials.
  #nextPath(uri: string, messagePath: string, subject: string): string {
    const path = this.#http.pathWithin(uri, messagePath);
    if (path === null) throw this.#faults.protocol(subject, 'a next page outside of the list');
    return path;
  }

  // Opens the MediaUrl of a webhook. It receives credentials only where the configuration says so: SignalWire's URLs
  // are public unless the project protects them (SignalWire docs, "Protect Message Media URLs").
  async #openAnnouncedUrl(url: string, subject: string, options: OpenMediaOptions): Promise<ByteStream> {
    const ask = (client: ProviderHttpClient, path: string) =>
      this.#open(path, subject, options, client).catch((thrown: unknown) => {
        throw thrown instanceof MetadataInsteadOfBytes ? this.#faults.protocol(subject, 'JSON') : thrown;
      });
    const settled = (client: ProviderHttpClient, path: string) =>
      this.#propagation.settle(url, () => ask(client, path), options.signal);
    for (const client of this.#trusted) {
      const path = client.pathWithin(url, '');
      if (path === null) continue;
      const stream = await settled(client, path);
      if (stream === null) throw this.#faults.notFound(subject);
      return stream;
    }
    return openMediaUrl(url, this.context, this.#faults, options);
  }

  // Opens the media's `uri` without `.json`. Twilio redirects to its CDN with 302 (307 has been seen), which refuses
  // requests with credentials. Returns null for a 404.
  async #open(
    path: string,
    subject: string,
    options: OpenMediaOptions,
    client = this.#http,
  ): Promise<ByteStream | null> {
    const response = await client.open({
      method: 'GET',
      path,
      headers: bytesHeaders(options.range),
      maxBytes: this.context.maxDownloadBytes,
      signal: options.signal,
    });
    const { statusCode, headers, body } = response;
    if (isAboutBytes(response, options.range)) return this.#inlineBytes(response, options.range);
    if (statusCode !== 404 && !REDIRECT_STATUSES.has(statusCode))
      throw this.#faults.ofStatus(await readRefusal(response, options.signal), subject);
    body.destroy();
    if (statusCode === 404) return null;
    const { location } = headers;
    if (typeof location !== 'string' || location === '')
      throw this.#faults.protocol(subject, 'a redirect without an address', { upstreamStatus: statusCode });
    return openMediaUrl(
      this.context.judgeRedirect(location, client.addressOf(path)).href,
      this.context,
      this.#faults,
      options,
    );
  }

  // SignalWire documents that this path returns the media's metadata, which is not the media.
  #inlineBytes(response: StreamedResponse, range: ByteRange | undefined): ByteStream {
    const stream = toByteStream(response, this.#faults, range);
    if (!/[/+]json\b/.test(stream.declaredMimeType ?? '')) return stream;
    stream.body.destroy();
    throw new MetadataInsteadOfBytes(
      this.#faults.error(METADATA_ONLY.code, METADATA_ONLY.message, {
        upstreamStatus: response.statusCode,
        retryable: METADATA_ONLY.retryable,
      }),
    );
  }
}

/** The API returned JSON instead of bytes. This error never leaves the adapter. */
class MetadataInsteadOfBytes extends Error {
  constructor(readonly fault: MediagraphError) {
    super(fault.message);
  }
}
