import { LRUCache } from 'lru-cache';
import type { ByteRange } from '../../model/byte-range.js';
import type { MediaDetails, MediaRef } from '../../model/media.js';
import { essenceOf } from '../../model/mime-type.js';
import { multipartBody } from '../../net/multipart.js';
import type { ProviderHttpClient } from '../../net/provider-http-client.js';
import type { StreamedResponse } from '../../net/streamed-response.js';
import type { AdapterContext } from '../adapter-context.js';
import { bytesHeaders, isAboutBytes, rangeHeaders, toByteStream } from '../media-url.js';
import { isFileTypeRefusal, isMediaId, WHATSAPP_UPLOAD_LIMITS } from '../meta-media.js';
import type {
  ByteStream,
  CallOptions,
  OpenMediaOptions,
  ProviderAdapter,
  UploadedMedia,
  UploadSource,
} from '../provider-adapter.js';
import { ProviderFaults, settleEach } from '../provider-call.js';
import { contradictsMetadata, whatsappDetails } from './mapping.js';
import { graphRefusal, isGone, uploadRefusal } from './refusal.js';
import type { WhatsAppChannel } from './settings.js';
import { type Twin, twinOf, type UploadEndpoint } from './twins.js';
import { cloudDeletion, readGraphFault, type WhatsAppMetadata, whatsappMetadata } from './wire.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What an address answers once its five minutes are over. */
const STALE = new Set([401, 403, 404, 410]);
const REMEMBERED_ABSENCES = 50_000;
const REMEMBERED_FOR_MS = 60 * 60 * 1000;

/** A place that may see the channel's credentials. */
interface TrustedOrigin {
  readonly origin: string;
  readonly client: ProviderHttpClient;
}

/** What stood at the address that the metadata named. */
interface OpenedMedia {
  readonly response: StreamedResponse;
  readonly details: MediaDetails;
  /** Whether the credentials were shown, so that a refusal is about them. */
  readonly trusted: boolean;
}

/**
 * Meta's WhatsApp Cloud API and ChakraHQ's pass-through of it. A media is found by its own id, which only a webhook
 * tells: neither lists the media of a message. Bytes take two steps, since the metadata names an address that opens for
 * five minutes; it is asked at once and kept nowhere, and a webhook's own address, older by then, is not used at all.
 *
 * Meta takes uploads and deletions. Chakra takes uploads to a public address of its own, where a plugin is configured, and
 * documents no deletion. Sources: Meta's Cloud API, "Media"; Chakra's API reference, "Media - Upload & Manage".
 */
export class WhatsAppAdapter implements ProviderAdapter {
  readonly provider: WhatsAppChannel['provider'];
  readonly mediaPerMessage = 'one';
  readonly uploadLimits?: ReadonlyMap<string, number>;
  readonly uploadMedia?: ProviderAdapter['uploadMedia'];
  readonly deleteMedia?: ProviderAdapter['deleteMedia'];
  readonly #own: TrustedOrigin;
  readonly #faults: ProviderFaults;
  readonly #twin: Twin;
  readonly #trusted: readonly TrustedOrigin[];
  /** Ids that are gone for good: asked again, they count as failures, and twenty in an hour lock an account out. */
  readonly #gone = new LRUCache<string, true>({ max: REMEMBERED_ABSENCES, ttl: REMEMBERED_FOR_MS });

  constructor(
    channel: WhatsAppChannel,
    private readonly context: AdapterContext,
  ) {
    this.provider = channel.provider;
    const credentials = { authorization: `Bearer ${channel.credentials.token}` };
    this.#own = { origin: new URL(channel.baseUrl).origin, client: context.createHttpClient(credentials) };
    this.#faults = new ProviderFaults(channel, readGraphFault);
    this.#twin = twinOf(channel, this.#own.client, this.#faults);
    const { uploads, deletionPath } = this.#twin;
    if (uploads) {
      this.uploadLimits = WHATSAPP_UPLOAD_LIMITS;
      this.uploadMedia = (source, options) => this.#upload(uploads, source, options);
    }
    if (deletionPath) this.deleteMedia = (ref, options) => this.#delete(ref, deletionPath, options);
    const { mediaOrigins = this.#twin.mediaOrigins } = channel.options;
    this.#trusted = [
      this.#own,
      ...mediaOrigins.map((origin) => ({ origin, client: context.createHttpClient(credentials, origin) })),
    ];
  }

  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const asked = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => whatsappDetails(await this.#metadata(this.#mediaIdOf(ref), asked, options)),
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      const mediaId = this.#mediaIdOf(ref);
      let opened = await this.#open(mediaId, asked, options);
      if (STALE.has(opened.response.statusCode)) {
        opened.response.body.destroy();
        opened = await this.#open(mediaId, asked, options);
      }
      return this.#bytes(opened, asked, options.range);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, asked);
    }
  }

  // Private: the part bears the type without its parameters, which Meta refuses ("audio/ogg; codecs=opus").
  async #upload(endpoint: UploadEndpoint, source: UploadSource, { signal }: CallOptions): Promise<UploadedMedia> {
    const asked = 'the upload of a media';
    const { body, sizeBytes, filename } = source;
    const file = { body, sizeBytes, filename, mimeType: essenceOf(source.mimeType) };
    try {
      const { client } = this.#own;
      const fields = multipartBody(endpoint.fieldsOf(file));
      const response = await client.post({ path: endpoint.path, body: fields, signal });
      if (response.statusCode !== 200 || isFileTypeRefusal(response))
        throw uploadRefusal(response, asked, this.#faults);
      return { providerMediaId: endpoint.readAnswer(response, asked) };
    } catch (thrown) {
      throw this.#faults.ofThrown(thrown, asked);
    }
  }

  // Private: what has no id that Meta can have issued cannot be there to be deleted.
  async #delete(
    { providerMediaId }: MediaRef,
    pathOf: (mediaId: string) => string,
    { signal }: CallOptions,
  ): Promise<void> {
    const asked = 'the deletion of a media';
    if (providerMediaId === null || !isMediaId(providerMediaId) || this.#gone.has(providerMediaId)) return;
    try {
      const path = pathOf(providerMediaId);
      const response = await this.#own.client.request({ method: 'DELETE', path, signal });
      if (response.statusCode === 200) {
        if (!this.#faults.parse(response, cloudDeletion, asked).success)
          throw this.#faults.error('PROVIDER_REJECTED', `the provider refused ${asked}`, { upstreamStatus: 200 });
      } else {
        const refusal = graphRefusal(response, asked, this.#faults);
        if (!isGone(refusal, response)) throw refusal;
      }
      this.#gone.set(providerMediaId, true);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, asked);
    }
  }

  // Private: an id that the provider cannot have issued is answered like one that it does not know.
  #mediaIdOf({ providerMediaId }: MediaRef): string {
    if (providerMediaId !== null && isMediaId(providerMediaId) && !this.#gone.has(providerMediaId))
      return providerMediaId;
    throw this.#faults.error('MEDIA_NOT_FOUND', 'the provider does not have this media (any more)');
  }

  async #metadata(mediaId: string, asked: string, { signal }: CallOptions): Promise<WhatsAppMetadata> {
    const path = this.#twin.metadataPath(mediaId);
    const headers = { accept: 'application/json' };
    const response = await this.#own.client
      .request({ method: 'GET', path, headers, signal })
      .catch((thrown: unknown) => {
        // Translated here: an answer that is too large is no media that is too large.
        throw this.#faults.ofThrown(thrown, asked);
      });
    if (response.statusCode === 200) return this.#faults.parse(response, whatsappMetadata, asked);
    const refusal = graphRefusal(response, asked, this.#faults);
    if (refusal.code === 'MEDIA_NOT_FOUND') this.#gone.set(mediaId, true);
    throw refusal;
  }

  async #open(mediaId: string, asked: string, options: OpenMediaOptions): Promise<OpenedMedia> {
    const metadata = await this.#metadata(mediaId, asked, options);
    const details = whatsappDetails(metadata);
    for (const trusted of this.#trusted) {
      const path = trusted.client.pathWithin(metadata.url, '');
      if (path !== null) return { details, ...(await this.#openTrusted(trusted, path, asked, options)) };
    }
    const oneStep = this.#twin.bytesPath?.(mediaId);
    if (oneStep !== undefined) return { details, ...(await this.#openTrusted(this.#own, oneStep, asked, options)) };
    return { details, ...(await this.#openForeign(metadata.url, options)) };
  }

  // Private: a redirect is opened like any address that a provider names, without the credentials.
  async #openTrusted(
    { origin, client }: TrustedOrigin,
    path: string,
    asked: string,
    options: OpenMediaOptions,
  ): Promise<Omit<OpenedMedia, 'details'>> {
    const response = await client.open({
      method: 'GET',
      path,
      headers: bytesHeaders(options.range),
      maxBytes: this.context.maxDownloadBytes,
      signal: options.signal,
    });
    if (!REDIRECTS.has(response.statusCode)) return { response, trusted: true };
    response.body.destroy();
    const { location } = response.headers;
    if (typeof location !== 'string' || location === '')
      throw this.#faults.protocol(asked, 'a redirect without an address', { upstreamStatus: response.statusCode });
    return this.#openForeign(this.context.judgeRedirect(location, origin + path).href, options);
  }

  async #openForeign(url: string, { range, signal }: OpenMediaOptions): Promise<Omit<OpenedMedia, 'details'>> {
    const { safeFetch, maxDownloadBytes: maxBytes } = this.context;
    return { response: await safeFetch.open(url, { headers: rangeHeaders(range), signal, maxBytes }), trusted: false };
  }

  #bytes({ response, details, trusted }: OpenedMedia, asked: string, range: ByteRange | undefined): ByteStream {
    const { statusCode, headers, body } = response;
    if (!isAboutBytes(response, range)) {
      body.destroy();
      if (!trusted || statusCode === 404 || statusCode === 410)
        throw this.#faults.ofMediaUrlStatus(statusCode, headers);
      throw this.#faults.ofStatus({ statusCode, headers, body: Buffer.alloc(0) }, asked);
    }
    const stream = toByteStream(response, this.#faults, range);
    if (contradictsMetadata(stream.declaredMimeType, details.mimeType)) {
      stream.body.destroy();
      throw this.#faults.protocol(asked, 'a page or JSON', { upstreamStatus: statusCode });
    }
    // Its Content-Disposition names everything whatsapp.png, or the like.
    return { ...stream, filename: null, declaredMimeType: stream.declaredMimeType ?? details.mimeType };
  }
}
