import type { Readable } from 'node:stream';
import type { CataloguedMedia, StoredBytes } from '../catalogue/media-catalogue.js';
import { keyOfStored } from '../inspection/stored-bytes.js';
import { isMarkupName, safeFilename, withExtension } from '../links/media-name.js';
import type { Disposition, MediaGrant } from '../links/signed-url.js';
import type { MediaLookup } from '../media/lookup/lookup.js';
import { asOf } from '../media/retention.js';
import type { ByteSpan } from '../model/byte-range.js';
import { type Clock, dateOf } from '../model/clock.js';
import { LinkFault, MediagraphError } from '../model/errors.js';
import { type DecodedMediaId, decodeMediaId } from '../model/ids.js';
import type { MediaId } from '../model/media.js';
import { isInlineSafe } from '../model/mime-type.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import type { Derived, Renditions, StoredRendition } from '../renditions/renditions.js';
import {
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  BlobStoreError,
  type PresignOptions,
  stemOf,
} from '../storage/blob-store.js';
import type { HotBytes } from '../storage/hot-bytes.js';
import type { Logger } from '../telemetry/logger.js';
import type { LazyMirror } from './first-copy.js';
import { openAtProvider, type ProviderBytes } from './provider-bytes.js';
import type { StoredRows } from './stored-rows.js';

export type { PresignOptions };

/** What a link grants, described before any of its bytes is sent. The caller calls `open` or `close`, once. */
export interface Delivery {
  /** Decided by the bytes. */
  readonly mimeType: string;
  /** null: the provider does not tell. */
  readonly sizeBytes: number | null;
  /** Lower-case hex; null: nobody has seen all bytes yet. */
  readonly sha256: string | null;
  readonly filename: string;
  /** What was granted, made safer where the type could run script. */
  readonly disposition: Disposition;
  readonly lastModified: Date | null;
  /** Whether another `Accept` could have got another format. */
  readonly negotiated: boolean;
  /** Has the store hand out all bytes itself, and says where; null: it is not to, or cannot. */
  readonly handOver: ((options: PresignOptions) => Promise<URL>) | null;
  /** All bytes, while they are in memory and the media is known to be there; null: they have to be opened. Absent: never. */
  readonly bytesInMemory?: () => Buffer | null;
  /** All bytes, or those of a range within `sizeBytes`. The caller drains or destroys a stream. */
  open(range: ByteSpan | null): Promise<Buffer | Readable>;
  close(): void;
}

export interface DeliveryRequest extends CallOptions {
  /** The reader's `Accept`. */
  readonly accept: string | undefined;
  /** A part is asked for, so that the size matters. */
  readonly partly: boolean;
}

export interface MediaDeliveryOptions {
  readonly channels: ChannelDirectory;
  readonly rows: StoredRows;
  readonly blobs: BlobStore;
  readonly hot: HotBytes;
  readonly renditions: Renditions;
  /** `storage.s3.redirect` */
  readonly redirects: boolean;
  /** Asks for media that no row tells of. */
  readonly lookup: Pick<MediaLookup, 'record'>;
  readonly clock: Clock;
  /** Keeps what is delivered for the first time; null where nothing is to be kept (`mirror.mode` off). */
  readonly lazyMirror: LazyMirror | null;
  readonly logger: Logger;
}

type Described = Omit<Delivery, 'filename' | 'disposition'> & { readonly filename: string | null };
type Stored = CataloguedMedia & { readonly stored: StoredBytes };

/** Serves what a signed URL grants: the bytes that are stored here, else the provider's, or what was made from them. */
export class MediaDelivery {
  constructor(private readonly options: MediaDeliveryOptions) {}

  /**
   * @throws MediagraphError MEDIA_NOT_FOUND, MEDIA_NOT_READY, MEDIA_GONE, CONTENT_TYPE_NOT_ALLOWED for a rendition that
   * cannot be made, what the adapter's `openMedia` rejects with, and a retryable INTERNAL_SERVER_ERROR while the
   * catalogue cannot tell whether the media was deleted
   */
  async describe(grant: Required<MediaGrant>, request: DeliveryRequest): Promise<Delivery> {
    const parts = decodeMediaId(grant.mediaId);
    const channel = parts && this.options.channels.findForSignedLink(parts.channelId);
    if (!parts || !channel) throw notFound();
    const media = await this.#find(channel, grant.mediaId, parts, request);
    const described = await this.#describe(grant, channel, parts, media, request);
    const filename = nameFor(grant, described.filename, described.mimeType);
    const mayBeInline = isInlineSafe(described.mimeType) && !isMarkupName(filename);
    return { ...described, filename, disposition: mayBeInline ? grant.disposition : 'attachment' };
  }

  async #find(
    { tenant }: ConnectedChannel,
    id: MediaId,
    parts: DecodedMediaId,
    options: CallOptions,
  ): Promise<CataloguedMedia | null> {
    const { rows, lookup, clock } = this.options;
    let found = await rows.find(tenant, id);
    if (!found && 'providerMessageId' in parts) {
      // A link may be opened, here or on another replica, before the listing that it came from is recorded.
      await asLinkFault(lookup.record(tenant, id, options));
      rows.forget(tenant, id);
      found = await rows.find(tenant, id);
    }
    return found && asOf(found, dateOf(clock));
  }

  #describe(
    { rendition }: Required<MediaGrant>,
    channel: ConnectedChannel,
    parts: DecodedMediaId,
    media: CataloguedMedia | null,
    request: DeliveryRequest,
  ): Promise<Described> {
    // Neither known here nor listed by its provider: no link of it can have been given out.
    if (!media) throw notFound();
    assertServable(media);
    if (rendition.kind !== 'original') return this.#describeRendition(channel, media, parts, rendition, request);
    if (isStored(media)) return Promise.resolve(this.#stored(channel, media, request));
    return this.#notStored(channel, media, parts, request);
  }

  async #notStored(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    parts: DecodedMediaId,
    request: DeliveryRequest,
  ): Promise<Described> {
    if (await this.options.lazyMirror?.finished(media)) {
      const now = await this.#find(channel, media.id, parts, request);
      if (now && isStored(now)) return this.#stored(channel, now, request);
    }
    return asLinkFault(this.#atProvider(channel, media, request));
  }

  #stored(channel: ConnectedChannel, media: Stored, request: DeliveryRequest): Described {
    const { stored, createdAt, filename } = media;
    const key = keyOfStored(stored);
    return {
      mimeType: stored.mimeType ?? 'application/octet-stream',
      sizeBytes: stored.sizeBytes,
      sha256: stored.sha256,
      filename,
      lastModified: createdAt ?? stored.at,
      negotiated: false,
      // A provider that is about to fetch an upload need not follow anything.
      handOver: media.status === 'READY' ? this.#handOver(key) : null,
      bytesInMemory: () => this.#inMemory(media, key, stored),
      open: (range) => this.#openStored(channel, media, key, range, request),
      close: () => {},
    };
  }

  // Private: of the media, or made from it, while its row is remembered and tells what was told of it before.
  #inMemory(media: Stored, key: BlobKey, { sha256 }: { readonly sha256: string }): Buffer | null {
    const { rows, hot } = this.options;
    const row = rows.peek(media.tenant, media.id);
    const isThere = row !== null && asOf(row, dateOf(this.options.clock)).status === 'READY' && isStored(row);
    return isThere && looksLike(row, media) ? hot.get(key, sha256) : null;
  }

  #handOver(key: BlobKey): Delivery['handOver'] {
    const { blobs, redirects } = this.options;
    return (redirects && blobs.presign?.bind(blobs, key)) || null;
  }

  async #openStored(
    channel: ConnectedChannel,
    media: Stored,
    key: BlobKey,
    range: ByteSpan | null,
    request: DeliveryRequest,
  ): Promise<Buffer | Readable> {
    const { hot, blobs } = this.options;
    const { sizeBytes } = media.stored;
    try {
      if (hot.takes(sizeBytes)) {
        const bytes = await hot.read(key, media.stored, range, () => blobs.open(key, {}));
        if (!bytes) throw new BlobNotFound();
        return bytes;
      }
      return await blobs.open(key, { signal: request.signal, range: range ?? undefined, sizeBytes });
    } catch (thrown) {
      if (thrown instanceof BlobStoreError) throw storeFault(thrown);
      if (!(thrown instanceof BlobNotFound)) throw thrown;
      return this.#openLost(channel, media, range, request);
    }
  }

  // Private: the store has lost what the catalogue says is there; the provider may still have it.
  async #openLost(
    channel: ConnectedChannel,
    media: Stored,
    range: ByteSpan | null,
    request: DeliveryRequest,
  ): Promise<Readable> {
    this.options.logger.error({ media: media.id, channelId: media.channelId }, 'stored bytes are missing');
    this.options.rows.forget(media.tenant, media.id);
    if (media.uploaded || media.status !== 'READY') throw new LinkFault(notFound());
    const provided = await asLinkFault(this.#openProvided(channel, media, request));
    if (provided.sizeBytes === null || provided.sizeBytes === media.stored.sizeBytes)
      return asLinkFault(provided.open(range));
    provided.close();
    throw new LinkFault(notFound());
  }

  async #atProvider(channel: ConnectedChannel, media: CataloguedMedia, request: DeliveryRequest): Promise<Described> {
    const provided = await this.#openProvided(channel, media, request);
    const { mimeType, sizeBytes, filename, lastModified } = provided;
    return {
      mimeType,
      sizeBytes,
      sha256: null,
      filename,
      lastModified,
      negotiated: false,
      handOver: null,
      open: (range) => provided.open(range),
      close: () => provided.close(),
    };
  }

  #openProvided(channel: ConnectedChannel, media: CataloguedMedia, request: DeliveryRequest): Promise<ProviderBytes> {
    const { lazyMirror } = this.options;
    if (!lazyMirror) return openAtProvider(channel, media, request);
    return lazyMirror.open(channel, media, { signal: request.signal, sized: request.partly });
  }

  async #describeRendition(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    parts: DecodedMediaId,
    rendition: Derived,
    request: DeliveryRequest,
  ): Promise<Described> {
    const stored = isStored(media) ? media : await asLinkFault(this.#keep(channel, media, parts, request));
    if (!stored) throw notFound();
    const made = await asLinkFault(this.#made(stored, rendition, request));
    return {
      ...made,
      filename: stored.filename,
      lastModified: stored.stored.at,
      negotiated: rendition.kind === 'still',
      handOver: this.#handOver(made.key),
      bytesInMemory: () => this.#inMemory(stored, made.key, made),
      open: (range) => this.#openMade(made, range, request),
      close: () => {},
    };
  }

  /** Renditions are made from what is here. */
  async #keep(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    parts: DecodedMediaId,
    options: CallOptions,
  ): Promise<Stored | null> {
    const { lazyMirror, rows } = this.options;
    if (!lazyMirror || media.uploaded) return null;
    await lazyMirror.keep(channel, media, options);
    rows.forget(media.tenant, media.id);
    const kept = await this.#find(channel, media.id, parts, options);
    if (kept) assertServable(kept);
    if (kept && isStored(kept)) return kept;
    throw new MediagraphError('MEDIA_NOT_READY', 'the bytes of this media are not here yet', { retryable: true });
  }

  async #made({ tenant, id, stored }: Stored, rendition: Derived, { accept }: DeliveryRequest) {
    const { rows, renditions } = this.options;
    const original = {
      key: keyOfStored(stored),
      sha256: stored.sha256,
      mimeType: stored.mimeType ?? 'application/octet-stream',
    };
    if (!renditions.makes(rendition, original.mimeType))
      throw new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', `expected a type that is rendered here, got another`);
    const stillWanted = async () => {
      rows.forget(tenant, id);
      const now = await rows.find(tenant, id);
      return now?.stored?.sha256 === stored.sha256 && asOf(now, dateOf(this.options.clock)).status === 'READY';
    };
    try {
      return await renditions.open(original, rendition, accept, stillWanted);
    } catch (thrown) {
      if (thrown instanceof BlobStoreError) throw storeFault(thrown);
      if (thrown instanceof BlobNotFound) throw notFound();
      throw thrown;
    }
  }

  async #openMade(
    made: StoredRendition,
    range: ByteSpan | null,
    { signal }: DeliveryRequest,
  ): Promise<Buffer | Readable> {
    try {
      return await made.open(range, { signal });
    } catch (thrown) {
      if (thrown instanceof BlobStoreError) throw storeFault(thrown);
      if (!(thrown instanceof BlobNotFound)) throw thrown;
      this.options.renditions.forget(stemOf(made.key));
      const details = { retryable: true, retryAfterMs: 1_000 };
      throw new LinkFault(new MediagraphError('MEDIA_NOT_READY', 'this is being made anew', details));
    }
  }
}

function isStored(media: CataloguedMedia): media is Stored {
  return media.stored !== null;
}

/** Whether all that a delivery tells is the same. */
function looksLike(a: Stored, b: Stored): boolean {
  return (
    a === b ||
    (a.stored.sha256 === b.stored.sha256 &&
      a.stored.at.getTime() === b.stored.at.getTime() &&
      a.createdAt?.getTime() === b.createdAt?.getTime() &&
      a.filename === b.filename)
  );
}

/** @throws MediagraphError MEDIA_GONE, MEDIA_NOT_READY; LinkFault */
function assertServable(media: CataloguedMedia): void {
  switch (media.status) {
    case 'DELETED':
    case 'EXPIRED':
      throw new MediagraphError('MEDIA_GONE', 'this media is gone for good');
    case 'FAILED': {
      const { code, message, retryable } = media.failure ?? UNKNOWN_FAULT;
      throw new LinkFault(new MediagraphError(code, message, { retryable }));
    }
    case 'PENDING':
      // An upload that its provider is about to fetch is here; what was READY before is fetched for its links.
      if (isStored(media) || (media.wasReady && !media.uploaded)) return;
      throw new MediagraphError('MEDIA_NOT_READY', 'the bytes of this media are not here yet', { retryable: true });
    case 'READY':
      if (media.uploaded && !isStored(media)) throw new LinkFault(notFound());
  }
}

const UNKNOWN_FAULT = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'this media could not be fetched',
  retryable: false,
} as const;

/** What goes wrong behind a link of READY media, but for its end and for bytes that give no such rendition. */
function asLinkFault<Result>(work: Promise<Result>): Promise<Result> {
  return work.catch((thrown: unknown) => {
    const isOurs = !(thrown instanceof MediagraphError) || thrown instanceof LinkFault;
    if (isOurs || thrown.code === 'MEDIA_GONE' || thrown.code === 'CONTENT_TYPE_NOT_ALLOWED') throw thrown;
    throw new LinkFault(thrown);
  });
}

function storeFault(cause: BlobStoreError): MediagraphError {
  const details = { retryable: true, retryAfterMs: 5_000 };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes cannot be read at the moment', details, {
    cause,
  });
}

function notFound(): MediagraphError {
  return new MediagraphError('MEDIA_NOT_FOUND', 'there is no such media (any more)');
}

// Private: the name in the URL, unless it only says what kind of media this is and the provider knows better.
function nameFor(grant: MediaGrant, known: string | null, mimeType: string): string {
  const generic = /^(image|video|audio|document|sticker|other|media)(\.[a-z0-9]+)?$/.test(grant.filename);
  const name = (generic && safeFilename(known)) || grant.filename;
  return withExtension(name, mimeType);
}
