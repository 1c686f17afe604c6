import { LRUCache } from 'lru-cache';
import { MediagraphError } from '../../model/errors.js';
import { type MediaDetails, type MediaRef, UNKNOWN_DETAILS } from '../../model/media.js';
import { essenceOf } from '../../model/mime-type.js';
import { upTo } from '../../model/remembered.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { multipartBody } from '../../net/client/multipart.js';
import type { ProviderHttpClient, ProviderRequest } from '../../net/client/provider-http-client.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';
import { NetError } from '../../streams/net-error.js';
import type { AdapterContext } from '../adapter-context.js';
import {
  type ByteStream,
  type CallOptions,
  type OpenMediaOptions,
  type ProviderAdapter,
  RangeNotSatisfiable,
  type UploadedMedia,
  type UploadSource,
} from '../provider-adapter.js';
import { readRefusal } from '../toolkit/bytes-answer.js';
import { readGraphError } from '../toolkit/graph-error.js';
import { LookupBudget, type LookupVerdict } from '../toolkit/lookup-budget.js';
import { bytesHeaders, isAboutBytes, rangeHeaders, toByteStream } from '../toolkit/media-url.js';
import { isFileTypeRefusal, isMediaId, WHATSAPP_UPLOAD_LIMITS } from '../toolkit/meta-media.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { contradictsMetadata, whatsappDetails } from './mapping.js';
import { graphRefusal, isGone, refusesNumber, uploadRefusal } from './refusal.js';
import type { WhatsAppChannel } from './settings.js';
import { type Twin, twinOf, type UploadEndpoint } from './twins.js';
import { cloudDeletion, readGraphFault, type WhatsAppMetadata, whatsappMetadata } from './wire.js';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What an address answers once its five minutes are over. */
const STALE: ReadonlySet<number | undefined> = new Set([401, 403, 404, 410]);
const REMEMBERED_DELETIONS = 50_000;
const HOUR_MS = 60 * 60 * 1000;
/**
 * "Does not exist, cannot be loaded due to missing permissions, or does not support this operation" is one answer for all
 * three, so it is never believed; each time costs one of few failures. Five times within half a minute, then seldom.
 */
const ABSENCES = {
  pausesMs: [2_000, 6_000, 8_000, 10_000, 300_000, 600_000, 1_800_000, HOUR_MS],
  believedAfterMs: null,
} as const;
/** Codes that another way to the bytes changes nothing about. */
const ABOUT_THE_MEDIA: ReadonlySet<string> = new Set(['MEDIA_TOO_LARGE', 'PROVIDER_RATE_LIMITED']);

/** A place that may see the channel's credentials. */
interface TrustedOrigin {
  readonly origin: string;
  readonly client: ProviderHttpClient;
}

/** What stood at an address. */
interface Opened {
  readonly response: StreamedResponse;
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
  /** Ids that were deleted: a deletion that is repeated is none. */
  readonly #deleted = new LRUCache<string, true>({ ...upTo(REMEMBERED_DELETIONS), ttl: HOUR_MS });
  readonly #lookups: LookupBudget;
  #withoutNumberUntil = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds since the epoch */
  constructor(
    channel: WhatsAppChannel,
    private readonly context: AdapterContext,
    private readonly now: () => number = Date.now,
  ) {
    this.provider = channel.provider;
    const credentials = { authorization: `Bearer ${channel.credentials.token}` };
    this.#own = { origin: new URL(channel.baseUrl).origin, client: context.createHttpClient(credentials) };
    this.#faults = new ProviderFaults(channel, readGraphFault, context.onRefusal);
    this.#lookups = new LookupBudget({
      name: `${channel.provider}-lookups:${channel.id}`,
      quota: context.quota,
      absences: ABSENCES,
      timeoutMs: context.timeoutMs,
      now,
    });
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
      async (ref) => {
        const mediaId = this.#mediaIdOf(ref);
        return whatsappDetails(await this.#inTurn(mediaId, options, () => this.#metadata(mediaId, asked, options)));
      },
      (thrown) => this.#faults.ofThrown(thrown, asked),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const asked = 'the bytes of a media';
    try {
      return await this.#open(this.#mediaIdOf(ref), asked, options);
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
    if (providerMediaId === null || !isMediaId(providerMediaId) || this.#deleted.has(providerMediaId)) return;
    try {
      const response = await this.#ask({ method: 'DELETE', path: pathOf(providerMediaId), signal });
      if (response.statusCode === 200) {
        if (!this.#faults.parse(response, cloudDeletion, asked).success)
          throw this.#faults.error('PROVIDER_REJECTED', `expected ${asked}, got a refusal of the provider`, {
            upstreamStatus: 200,
          });
      } else {
        const refusal = graphRefusal(response, asked, this.#faults);
        if (!isGone(refusal, response)) throw refusal;
      }
      this.#deleted.set(providerMediaId, true);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, asked);
    }
  }

  // An id that the provider cannot have issued, or that was deleted through us, is answered like one that it does not know, for good.
  #mediaIdOf({ providerMediaId }: MediaRef): string {
    const isOurs = providerMediaId !== null && isMediaId(providerMediaId) && !this.#deleted.has(providerMediaId);
    if (isOurs) return providerMediaId;
    throw this.#faults.absent({ kind: 'gone' });
  }

  // One look-up, which fails once at most: failures are counted, and a look-up that would be one too many is not made.
  async #inTurn<Found>(mediaId: string, options: CallOptions, look: () => Promise<Found>): Promise<Found> {
    const turn = await this.#lookups.enter(mediaId, options);
    if (turn.kind === 'absent') throw this.#faults.absent(turn.verdict);
    if (turn.kind === 'wait') throw this.#faults.lookupsLimited(turn.retryAfterMs);
    let found: Found;
    try {
      found = await look();
    } catch (thrown) {
      const absence = await turn.settle(this.#verdictOf(thrown));
      if (!(thrown instanceof MediagraphError)) throw thrown;
      if (!absence) throw thrown;
      const { retryable, retryAfterMs } = this.#faults.absent(absence).details;
      throw this.#faults.error(thrown.code, thrown.message, { ...thrown.details, retryable, retryAfterMs }, thrown);
    }
    // Not waited for: bytes may be on their way already.
    void turn.settle('found');
    return found;
  }

  // What a look-up's failure is to the provider: it counts refusals, not its own trouble, nor what never reached it. A place
  // without the bytes (`retryable`) says nothing against the media; it is the API's own at Chakra alone.
  #verdictOf(thrown: unknown): LookupVerdict {
    if (!(thrown instanceof MediagraphError)) return 'none';
    const { code, details } = thrown;
    const { upstreamStatus = 0, retryable } = details;
    if (code === 'MEDIA_NOT_FOUND' && !retryable) return 'absent';
    if (code === 'MEDIA_NOT_FOUND') return this.#twin.bytesPath ? 'refused' : 'none';
    return (code === 'PROVIDER_REJECTED' || code === 'PROVIDER_PROTOCOL') && upstreamStatus >= 400 ? 'refused' : 'none';
  }

  async #metadata(mediaId: string, asked: string, { signal }: CallOptions): Promise<WhatsAppMetadata> {
    const path = this.#twin.metadataPath(mediaId);
    const headers = { accept: 'application/json' };
    const response = await this.#ask({ method: 'GET', path, headers, signal }).catch((thrown: unknown) => {
      // Translated here: an answer that is too large is no media that is too large.
      throw this.#faults.ofThrown(thrown, asked);
    });
    // An error may come with any status.
    if (response.statusCode === 200 && readGraphError(response)?.code === undefined)
      return this.#faults.parse(response, whatsappMetadata, asked);
    throw graphRefusal(response, asked, this.#faults);
  }

  // With the number, so that Meta answers for its media alone; where Meta refuses the number itself, which it does for media
  // that came in on some accounts, once more without it, and for an hour so from the start.
  async #ask(request: ProviderRequest): Promise<BufferedResponse> {
    const { client } = this.#own;
    const { phoneNumberId } = this.#twin;
    if (phoneNumberId === undefined || this.now() < this.#withoutNumberUntil) return client.request(request);
    const response = await client.request({ ...request, path: `${request.path}?phone_number_id=${phoneNumberId}` });
    if (!refusesNumber(response, phoneNumberId)) return response;
    const again = await client.request(request);
    if (again.statusCode === 200) this.#withoutNumberUntil = this.now() + HOUR_MS;
    return again;
  }

  async #open(mediaId: string, asked: string, options: OpenMediaOptions): Promise<ByteStream> {
    const progress = { named: false };
    const named = () =>
      this.#inTurn(mediaId, options, async () => {
        progress.named = false;
        const metadata = await this.#metadata(mediaId, asked, options);
        progress.named = true;
        return this.#openNamed(metadata, mediaId, asked, options);
      });
    try {
      return await named().catch((thrown: unknown) => {
        if (progress.named && isStale(thrown)) return named();
        throw thrown;
      });
    } catch (thrown) {
      options.signal?.throwIfAborted();
      return this.#openInOneStep(mediaId, asked, options, { thrown, ...progress });
    }
  }

  // Where the address fails that the metadata named, or the metadata is not what it should be; of two ways that failed, the
  // first one says more.
  #openInOneStep(
    mediaId: string,
    asked: string,
    options: OpenMediaOptions,
    { thrown, named }: { readonly thrown: unknown; readonly named: boolean },
  ): Promise<ByteStream> {
    const path = this.#twin.bytesPath?.(mediaId);
    const mayHelp = named || (thrown instanceof MediagraphError && thrown.code === 'PROVIDER_PROTOCOL');
    if (path === undefined || !mayHelp || isAboutMedia(thrown)) throw thrown;
    return this.#inTurn(mediaId, options, async () => {
      const opened = await this.#openTrusted(this.#own, path, asked, options);
      return this.#bytes(opened, UNKNOWN_DETAILS, asked, options);
    }).catch(() => {
      options.signal?.throwIfAborted();
      throw thrown;
    });
  }

  async #openNamed(
    metadata: WhatsAppMetadata,
    mediaId: string,
    asked: string,
    options: OpenMediaOptions,
  ): Promise<ByteStream> {
    const details = whatsappDetails(metadata);
    return this.#bytes(await this.#openAddress(metadata.url, mediaId, asked, options), details, asked, options);
  }

  async #openAddress(url: string, mediaId: string, asked: string, options: OpenMediaOptions): Promise<Opened> {
    for (const trusted of this.#trusted) {
      const path = trusted.client.pathWithin(url, '');
      if (path !== null) return this.#openTrusted(trusted, path, asked, options);
    }
    const oneStep = this.#twin.bytesPath?.(mediaId);
    return oneStep === undefined
      ? this.#openForeign(url, options)
      : this.#openTrusted(this.#own, oneStep, asked, options);
  }

  // A redirect is opened like any address that a provider names, without the credentials.
  async #openTrusted(
    { origin, client }: TrustedOrigin,
    path: string,
    asked: string,
    options: OpenMediaOptions,
  ): Promise<Opened> {
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

  async #openForeign(url: string, { range, signal }: OpenMediaOptions): Promise<Opened> {
    const { safeFetch, maxDownloadBytes: maxBytes } = this.context;
    return { response: await safeFetch.open(url, { headers: rangeHeaders(range), signal, maxBytes }), trusted: false };
  }

  async #bytes(
    { response, trusted }: Opened,
    details: MediaDetails,
    asked: string,
    { range, signal }: OpenMediaOptions,
  ): Promise<ByteStream> {
    if (!isAboutBytes(response, range)) throw this.#bytesRefusal(await readRefusal(response, signal), trusted, asked);
    const stream = toByteStream(response, this.#faults, range);
    if (contradictsMetadata(stream.declaredMimeType, details.mimeType)) {
      stream.body.destroy();
      throw this.#faults.protocol(asked, 'a page or JSON', { upstreamStatus: response.statusCode });
    }
    // Its Content-Disposition names everything whatsapp.png, or the like.
    return { ...stream, filename: null, declaredMimeType: stream.declaredMimeType ?? details.mimeType };
  }

  // The metadata says that the media is there, so that a place without its bytes is no proof of the contrary.
  #bytesRefusal(response: BufferedResponse, trusted: boolean, asked: string): Error {
    const { statusCode, headers } = response;
    if (trusted && statusCode !== 404 && statusCode !== 410) return this.#faults.ofStatus(response, asked);
    const refusal = this.#faults.ofMediaUrlStatus(statusCode, headers);
    if (refusal.code !== 'MEDIA_NOT_FOUND') return refusal;
    return this.#faults.error(refusal.code, refusal.message, { ...refusal.details, retryable: true });
  }
}

function isStale(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && STALE.has(thrown.details.upstreamStatus);
}

function isAboutMedia(thrown: unknown): boolean {
  if (thrown instanceof RangeNotSatisfiable) return true;
  if (thrown instanceof MediagraphError) return ABOUT_THE_MEDIA.has(thrown.code);
  return thrown instanceof NetError && thrown.code === 'RESPONSE_TOO_LARGE';
}
