import { LRUCache } from 'lru-cache';
import { MediagraphError } from '../../model/errors.js';
import { upTo } from '../../model/lru-limit.js';
import type { MediaDetails, MediaRef } from '../../model/media.js';
import { essenceOf } from '../../model/text/mime-type.js';
import { multipartBody } from '../../net/client/multipart.js';
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
import { checkByGet } from '../toolkit/credentials-check.js';
import { readGraphError } from '../toolkit/graph-error.js';
import { LookupBudget, type LookupVerdict } from '../toolkit/lookup-budget.js';
import { isFileTypeRefusal, isMediaId, WHATSAPP_UPLOAD_LIMITS } from '../toolkit/meta-media.js';
import { ProviderFaults, settleEach } from '../toolkit/provider-call.js';
import { MAX_REMEMBERED_MEDIA } from '../toolkit/remembered-media.js';
import { type ApiVariant, apiVariantOf, type UploadEndpoint } from './api-variant.js';
import { type TrustedOrigin, WhatsAppDownload } from './download.js';
import { whatsappDetails } from './mapping.js';
import { NumberedRequests } from './numbered-requests.js';
import { graphRefusal, isGone, uploadRefusal } from './refusal.js';
import type { WhatsAppChannel } from './settings.js';
import { cloudDeletion, readGraphFault, type WhatsAppMetadata, whatsappMetadata } from './wire.js';

/** The statuses of a metadata URL that has expired. */
const EXPIRED_URL_STATUSES: ReadonlySet<number | undefined> = new Set([401, 403, 404, 410]);
const HOUR_MS = 60 * 60 * 1000;
/**
 * "Does not exist, cannot be loaded due to missing permissions, or does not support this operation" is one answer for
 * three causes, so an absence is never final. Each such answer counts as one of few allowed failures: five calls within
 * half a minute, then rare ones.
 */
const ABSENCES = {
  pausesMs: [2_000, 6_000, 8_000, 10_000, 300_000, 600_000, 1_800_000, HOUR_MS],
  finalAfterMs: null,
} as const;
/** Errors that another path to the bytes cannot avoid. */
const MEDIA_ERROR_CODES: ReadonlySet<string> = new Set(['MEDIA_TOO_LARGE', 'PROVIDER_RATE_LIMITED']);

/**
 * Meta's WhatsApp Cloud API and ChakraHQ's pass-through of it. A media is identified by its own id, which only a
 * webhook contains: neither API lists the media of a message. A download takes two steps, because the metadata contains
 * a URL that is valid for five minutes. The metadata is fetched for every download and never stored. The URL in a
 * webhook is older than that and is not used.
 *
 * Meta takes uploads and deletions. Chakra takes uploads to its own public URL, if a plugin is configured, and
 * documents no deletion. Sources: Meta's Cloud API, "Media"; Chakra's API reference, "Media - Upload & Manage".
 */
export class WhatsAppAdapter implements ProviderAdapter {
  readonly provider: WhatsAppChannel['provider'];
  readonly mediaPerMessage = 'one';
  readonly uploadLimits?: ReadonlyMap<string, number>;
  readonly uploadMedia?: ProviderAdapter['uploadMedia'];
  readonly deleteMedia?: ProviderAdapter['deleteMedia'];
  readonly #own: TrustedOrigin;
  readonly #requests: NumberedRequests;
  readonly #faults: ProviderFaults;
  readonly #variant: ApiVariant;
  readonly #download: WhatsAppDownload;
  /** Deleted ids: repeating a deletion needs no call. */
  readonly #deleted = new LRUCache<string, true>({ ...upTo(MAX_REMEMBERED_MEDIA), ttl: HOUR_MS });
  readonly #lookups: LookupBudget;

  /** @param now milliseconds since the epoch */
  constructor(channel: WhatsAppChannel, context: AdapterContext, now: () => number = Date.now) {
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
    this.#variant = apiVariantOf(channel, this.#own.client, this.#faults);
    const { uploads, deletionPath, phoneNumberId } = this.#variant;
    this.#requests = new NumberedRequests({ client: this.#own.client, phoneNumberId, now });
    if (uploads) {
      this.uploadLimits = WHATSAPP_UPLOAD_LIMITS;
      this.uploadMedia = (source, options) => this.#upload(uploads, source, options);
    }
    if (deletionPath) this.deleteMedia = (ref, options) => this.#delete(ref, deletionPath, options);
    const { mediaOrigins = this.#variant.mediaOrigins } = channel.options;
    const trusted = [
      this.#own,
      ...mediaOrigins.map((origin) => ({ origin, client: context.createHttpClient(credentials, origin) })),
    ];
    this.#download = new WhatsAppDownload({ context, faults: this.#faults, own: this.#own, trusted });
  }

  checkCredentials({ signal }: CallOptions): Promise<void> {
    const { path, isAcceptance } = this.#variant.credentials;
    return checkByGet({ http: this.#own.client, path, isAcceptance, faults: this.#faults, signal });
  }

  describeMedia(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    const subject = 'the details of a media';
    return settleEach(
      refs,
      async (ref) => {
        const mediaId = this.#mediaIdOf(ref);
        return whatsappDetails(
          await this.#withPermit(mediaId, options, () => this.#metadata(mediaId, subject, options)),
        );
      },
      (thrown) => this.#faults.ofThrown(thrown, subject),
    );
  }

  async openMedia(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream> {
    const subject = 'the bytes of a media';
    try {
      return await this.#open(this.#mediaIdOf(ref), subject, options);
    } catch (thrown) {
      throw this.#faults.ofDownload(thrown, subject);
    }
  }

  // The part has the type without its parameters, which Meta refuses ("audio/ogg; codecs=opus").
  async #upload(endpoint: UploadEndpoint, source: UploadSource, { signal }: CallOptions): Promise<UploadedMedia> {
    const subject = 'the upload of a media';
    const { body, sizeBytes, filename } = source;
    const file = { body, sizeBytes, filename, mimeType: essenceOf(source.mimeType) };
    try {
      const { client } = this.#own;
      const fields = multipartBody(endpoint.fieldsOf(file));
      const response = await client.post({ path: endpoint.path, body: fields, signal });
      if (response.statusCode !== 200 || isFileTypeRefusal(response))
        throw uploadRefusal(response, subject, this.#faults);
      return { providerMediaId: endpoint.readAnswer(response, subject) };
    } catch (thrown) {
      throw this.#faults.ofThrown(thrown, subject);
    }
  }

  // A media without a valid id of Meta cannot exist there.
  async #delete(
    { providerMediaId }: MediaRef,
    pathOf: (mediaId: string) => string,
    { signal }: CallOptions,
  ): Promise<void> {
    const subject = 'the deletion of a media';
    if (providerMediaId === null || !isMediaId(providerMediaId) || this.#deleted.has(providerMediaId)) return;
    try {
      const response = await this.#requests.request({ method: 'DELETE', path: pathOf(providerMediaId), signal });
      if (response.statusCode === 200) {
        if (!this.#faults.parse(response, cloudDeletion, subject).success)
          throw this.#faults.error('PROVIDER_REJECTED', `expected ${subject}, got a refusal by the provider`, {
            upstreamStatus: 200,
          });
      } else {
        const refusal = graphRefusal(response, subject, this.#faults);
        if (!isGone(refusal, response)) throw refusal;
      }
      this.#deleted.set(providerMediaId, true);
    } catch (thrown) {
      throw this.#faults.ofDeletion(thrown, subject);
    }
  }

  // An id that the provider cannot have issued, or that was deleted through this adapter, is treated as permanently
  // gone.
  #mediaIdOf({ providerMediaId }: MediaRef): string {
    const isOurs = providerMediaId !== null && isMediaId(providerMediaId) && !this.#deleted.has(providerMediaId);
    if (isOurs) return providerMediaId;
    throw this.#faults.absent({ kind: 'gone' });
  }

  // Makes one look-up within the budget of failures. A look-up counts as one failure at most.
  async #withPermit<Result>(mediaId: string, options: CallOptions, lookUp: () => Promise<Result>): Promise<Result> {
    const permit = await this.#lookups.enter(mediaId, options);
    if (permit.kind === 'absent') throw this.#faults.absent(permit.verdict);
    if (permit.kind === 'wait') throw this.#faults.lookupsLimited(permit.retryAfterMs);
    let result: Result;
    try {
      result = await lookUp();
    } catch (thrown) {
      const absence = await permit.settle(this.#verdictOf(thrown));
      if (!(thrown instanceof MediagraphError)) throw thrown;
      if (!absence) throw thrown;
      const { retryable, retryAfterMs } = this.#faults.absent(absence).details;
      throw this.#faults.error(thrown.code, thrown.message, { ...thrown.details, retryable, retryAfterMs }, thrown);
    }
    // Not awaited: the bytes may already be arriving.
    void permit.settle('found');
    return result;
  }

  // How the provider counts a failed look-up: it counts refusals, but neither its own failures nor calls that never
  // reached it. An origin without the bytes (`retryable`) says nothing about the media. Only at Chakra is that origin
  // the API itself.
  #verdictOf(thrown: unknown): LookupVerdict {
    if (!(thrown instanceof MediagraphError)) return 'none';
    const { code, details } = thrown;
    const { upstreamStatus = 0, retryable } = details;
    if (code === 'MEDIA_NOT_FOUND' && !retryable) return 'absent';
    if (code === 'MEDIA_NOT_FOUND') return this.#variant.bytesPath ? 'refused' : 'none';
    return (code === 'PROVIDER_REJECTED' || code === 'PROVIDER_PROTOCOL') && upstreamStatus >= 400 ? 'refused' : 'none';
  }

  async #metadata(mediaId: string, subject: string, { signal }: CallOptions): Promise<WhatsAppMetadata> {
    const path = this.#variant.metadataPath(mediaId);
    const headers = { accept: 'application/json' };
    const response = await this.#requests.request({ method: 'GET', path, headers, signal }).catch((thrown: unknown) => {
      // Translated here, because a too large API answer must not be reported as a too large media.
      throw this.#faults.ofThrown(thrown, subject);
    });
    // An error envelope may have any status.
    if (response.statusCode === 200 && readGraphError(response)?.code === undefined)
      return this.#faults.parse(response, whatsappMetadata, subject);
    throw graphRefusal(response, subject, this.#faults);
  }

  async #open(mediaId: string, subject: string, options: OpenMediaOptions): Promise<ByteStream> {
    const progress = { hasMetadata: false };
    const openByMetadata = () =>
      this.#withPermit(mediaId, options, async () => {
        progress.hasMetadata = false;
        const metadata = await this.#metadata(mediaId, subject, options);
        progress.hasMetadata = true;
        return this.#download.open(metadata, this.#variant.bytesPath?.(mediaId), options);
      });
    try {
      return await openByMetadata().catch((thrown: unknown) => {
        if (progress.hasMetadata && isExpiredUrl(thrown)) return openByMetadata();
        throw thrown;
      });
    } catch (thrown) {
      options.signal?.throwIfAborted();
      return this.#openInOneStep(mediaId, options, { thrown, ...progress });
    }
  }

  // Used where the metadata's URL fails or the metadata is invalid. If this fails too, the first error says more.
  #openInOneStep(
    mediaId: string,
    options: OpenMediaOptions,
    { thrown, hasMetadata }: { readonly thrown: unknown; readonly hasMetadata: boolean },
  ): Promise<ByteStream> {
    const path = this.#variant.bytesPath?.(mediaId);
    const mayHelp = hasMetadata || (thrown instanceof MediagraphError && thrown.code === 'PROVIDER_PROTOCOL');
    if (path === undefined || !mayHelp || isAboutMedia(thrown)) throw thrown;
    return this.#withPermit(mediaId, options, () => this.#download.openPath(path, options)).catch(() => {
      options.signal?.throwIfAborted();
      throw thrown;
    });
  }
}

function isExpiredUrl(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && EXPIRED_URL_STATUSES.has(thrown.details.upstreamStatus);
}

function isAboutMedia(thrown: unknown): boolean {
  if (thrown instanceof RangeNotSatisfiable) return true;
  if (thrown instanceof MediagraphError) return MEDIA_ERROR_CODES.has(thrown.code);
  return thrown instanceof NetError && thrown.code === 'RESPONSE_TOO_LARGE';
}
