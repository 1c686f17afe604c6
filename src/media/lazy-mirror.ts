import { setMaxListeners } from 'node:events';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media-catalogue.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import { type BlobStore, mediaBlobKey } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { openSniffed, type SniffedStream } from './sniffed-stream.js';
import { Spool } from './spool.js';
import { removeBytes, storeBytes } from './stored-bytes.js';

export interface LazyMirrorOptions {
  readonly catalogue: MediaCatalogue;
  readonly blobs: BlobStore;
  readonly maxBytes: number;
  readonly logger: Logger;
}

interface Opened {
  readonly spool: Spool;
  readonly facts: Omit<SniffedStream, 'body'>;
}

interface Download {
  readonly opened: Promise<Opened>;
  /** Readers that wait for the first bytes; when the last of them leaves, nobody does. */
  waiting: number;
  readonly abandon: AbortController;
}

/**
 * Keeps the bytes of media whose first reader asks for them: one download, however many ask at once, followed by all of
 * them and by the blob store. The download belongs to none of its readers: one that leaves ends nothing.
 */
export class LazyMirror {
  readonly #downloads = new Map<string, Download>();
  readonly #copies = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(private readonly options: LazyMirrorOptions) {
    // Every download under way listens: many, and no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  async open(channel: ConnectedChannel, media: CataloguedMedia, { signal }: CallOptions): Promise<SniffedStream> {
    const key = mediaBlobKey(media.tenant, media.id);
    let download = this.#downloads.get(key);
    if (!download || download.abandon.signal.aborted) {
      download = this.#download(channel, media, key);
      this.#downloads.set(key, download);
    }
    const { spool, facts } = await this.#firstBytes(download, signal);
    return { ...facts, body: spool.reader() };
  }

  /** Until everything that is being kept is here, or has failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#copies);
  }

  /** Ends the downloads under way; what was not stored yet is asked for again by its next reader. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the server stops'));
    await Promise.all(this.#copies);
  }

  // Private: a reader that leaves waits no more; a download that nobody waits for, and that has nothing yet, ends.
  async #firstBytes(download: Download, signal: AbortSignal | undefined): Promise<Opened> {
    signal?.throwIfAborted();
    download.waiting += 1;
    const leave = () => {
      download.waiting -= 1;
      if (download.waiting === 0) download.abandon.abort(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      const opened = await download.opened;
      signal?.throwIfAborted();
      return opened;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #download(channel: ConnectedChannel, media: CataloguedMedia, key: string): Download {
    const abandon = new AbortController();
    const { signal } = abandon;
    // Not AbortSignal.any, which leaves something behind at a signal that lives as long as the process.
    const stop = () => abandon.abort(this.#stopping.signal.reason);
    this.#stopping.signal.addEventListener('abort', stop, { once: true });
    const forget = () => {
      this.#stopping.signal.removeEventListener('abort', stop);
      if (this.#downloads.get(key) === download) this.#downloads.delete(key);
    };
    const open = async (): Promise<Opened> => {
      const { body, ...facts } = await openSniffed(channel, media, { signal });
      const spool = await Spool.open(body);
      const copy = this.#keep(media, spool, facts).finally(() => {
        forget();
        this.#copies.delete(copy);
        spool.leave();
      });
      this.#copies.add(copy);
      return { spool, facts };
    };
    const download: Download = { opened: open(), waiting: 0, abandon };
    download.opened.catch(forget);
    return download;
  }

  async #keep(media: CataloguedMedia, spool: Spool, facts: Opened['facts']): Promise<void> {
    const { catalogue, blobs, maxBytes, logger } = this.options;
    const { mimeType } = facts;
    try {
      const how = { signal: this.#stopping.signal, maxBytes };
      const stored = await storeBytes(blobs, media, { body: spool.reader(), mimeType }, how);
      if (facts.sizeBytes !== null && facts.sizeBytes !== stored.sizeBytes) {
        await removeBytes(blobs, media);
        throw new Error(`expected ${facts.sizeBytes} bytes, got ${stored.sizeBytes}`);
      }
      const details = { mimeType, filename: media.filename ?? facts.filename };
      const kept = await catalogue.markStored(media.tenant, media.id, stored, details, stored.at);
      // Deleted meanwhile: what nobody may have any more is not kept either.
      if (!kept) await removeBytes(blobs, media);
    } catch (err) {
      if (!this.#stopping.signal.aborted) logger.warn({ err, media: media.id }, 'a delivered media was not kept');
    }
  }
}
