import type { Readable } from 'node:stream';
import type { CataloguedMedia, StoredBytes } from '../catalogue/media/media-catalogue.js';
import type { Disposition } from '../links/signed-url.js';
import type { ByteSpan } from '../model/byte-range.js';
import type { DecodedMediaId } from '../model/ids.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import type { PresignOptions } from '../storage/blob-store.js';

/** What a link grants, described before any byte is sent. The caller calls either `open` or `close`, once. */
export interface Delivery {
  /** The type that the bytes were sniffed as. */
  readonly mimeType: string;
  /** Null: the provider does not tell. */
  readonly sizeBytes: number | null;
  /** Lower-case hex. Null: the bytes have not been read to their end yet. */
  readonly sha256: string | null;
  readonly filename: string;
  /** The granted disposition, or `attachment` where the type could run script. */
  readonly disposition: Disposition;
  readonly lastModified: Date | null;
  /** Whether another `Accept` header could have selected another format. */
  readonly negotiated: boolean;
  /** Makes a URL from which the store itself serves the bytes. Null: disabled, or the store has no such URLs. */
  readonly handOver: ((options: PresignOptions) => Promise<URL>) | null;
  /** The file of the bytes, for a proxy to send. Null: disabled, or the bytes are no file of this machine. */
  readonly offload: OffloadedFile | null;
  /** All bytes, if they are in memory and the media is known to exist; otherwise null, and `open` has to be called. */
  readonly bytesInMemory?: () => Buffer | null;
  /** All bytes, or those of a range within `sizeBytes`. The caller drains or destroys a stream. */
  open(range: ByteSpan | null): Promise<Buffer | Readable>;
  close(): void;
}

/** A file that a proxy sends in place of this server. */
export interface OffloadedFile {
  /** The path by which the proxy knows the file. Null: there is no such file, or it has another size. */
  find(): Promise<string | null>;
  /** Whether the file was found a moment ago and the media is known to exist; otherwise `find` has to be called. */
  isKnown(): boolean;
}

export interface DeliveryRequest extends CallOptions {
  /** The client's `Accept` header. */
  readonly accept: string | undefined;
  /** Whether a range is requested, for which the size must be known. */
  readonly partly: boolean;
}

/** A delivery before its file name and disposition are decided. */
export type DescribedBytes = Omit<Delivery, 'filename' | 'disposition'> & { readonly filename: string | null };

export type StoredMedia = CataloguedMedia & { readonly stored: StoredBytes };

/** A request for media that is in the catalogue and may be served. */
export interface MediaRequest<Requested extends CataloguedMedia = CataloguedMedia> {
  readonly channel: ConnectedChannel;
  readonly parts: DecodedMediaId;
  readonly media: Requested;
  readonly request: DeliveryRequest;
}

export function isStored(media: CataloguedMedia): media is StoredMedia {
  return media.stored !== null;
}
