import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia, MediaCatalogue, StoredBytes } from '../catalogue/media/media-catalogue.js';
import {
  type ByteStorage,
  differsFrom,
  inspectStored,
  recordInspection,
  recordLateFacts,
  removeAttempt,
  writeBytes,
} from '../inspection/stored-bytes.js';
import { ofProvider, openSniffed, type SniffedStream } from '../media/sniffed-stream.js';
import type { ByteSpan } from '../model/byte-range.js';
import { dateOf } from '../model/clock.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import { Spool } from '../streams/spool.js';
import type { Logger } from '../telemetry/logger.js';
import { openPart, type ProviderBytes } from './provider-bytes.js';

export interface LazyMirrorOptions extends ByteStorage {
  readonly catalogue: MediaCatalogue;
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** A download whose first bytes have arrived. */
interface OpenDownload {
  readonly spool: Spool;
  readonly facts: Omit<SniffedStream, 'body'>;
}

interface Download {
  readonly opening: Promise<OpenDownload>;
  /** The value of `opening`, once it has resolved. */
  opened: OpenDownload | null;
  /** Resolves when the copy is stored and recorded, or has failed. Never rejects. */
  readonly storing: Promise<void>;
  /** The number of readers that wait for the first bytes. When the last one leaves, the download is abandoned. */
  waiting: number;
  readonly abandon: AbortController;
}

/** A download that a reader of a media has joined. */
interface JoinedDownload {
  readonly channel: ConnectedChannel;
  readonly media: CataloguedMedia;
  readonly download: Download;
  readonly opened: OpenDownload;
}

/** How long the end of a first delivery waits for the copy, so that the next reader finds it. */
const MAX_WAIT_FOR_COPY_MS = 2_000;
/** A range that starts this far behind the downloaded bytes is requested from the provider on its own. */
const FAR_AHEAD_BYTES = 4 * 1024 * 1024;

/**
 * Stores media on its first delivery. Concurrent readers and the blob store share one download. A reader that leaves
 * does not end it.
 */
export class LazyMirror {
  readonly #downloads = new Map<string, Download>();
  readonly #copies = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(private readonly options: LazyMirrorOptions) {
    // Each running download adds a listener, so many of them are no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  /**
   * Waits for a copy of the media whose bytes have all arrived, until it is stored or has failed.
   * @returns whether there was such a copy
   */
  async finished(media: Pick<CataloguedMedia, 'tenant' | 'id'>): Promise<boolean> {
    const download = this.#downloads.get(nameOf(media));
    if (!download?.opened || !hasAllBytes(download.opened)) return false;
    await download.storing;
    return true;
  }

  /** @param sized whether to wait for the last byte if the provider tells no size */
  async open(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    { signal, sized }: CallOptions & { readonly sized: boolean },
  ): Promise<ProviderBytes> {
    const download = this.#downloadOf(channel, media);
    const { spool, facts } = await this.#firstBytes(download, signal);
    let isJoined = true;
    const leave = () => {
      if (isJoined) spool.release();
      isJoined = false;
    };
    try {
      const sizeBytes = facts.sizeBytes ?? (sized ? await ofProvider(channel, spool.complete) : null);
      return {
        ...facts,
        sizeBytes,
        open: (range) =>
          this.#openRange({ channel, media, download, opened: { spool, facts } }, range, signal).finally(leave),
        close: leave,
      };
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  /** Waits until a copy of the media is stored, or has failed. The catalogue tells which. */
  async keep(channel: ConnectedChannel, media: CataloguedMedia, { signal }: CallOptions): Promise<void> {
    const download = this.#downloadOf(channel, media);
    const { spool } = await this.#firstBytes(download, signal);
    spool.release();
    await download.storing;
  }

  /** Waits until all running copies are stored, or have failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#copies);
  }

  /** Aborts the running downloads. The next reader of a media that was not stored starts a new one. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the server stops'));
    await Promise.all(this.#copies);
  }

  async #openRange(
    { channel, media, download, opened: { spool, facts } }: JoinedDownload,
    range: ByteSpan | null,
    signal: AbortSignal | undefined,
  ): ReturnType<ProviderBytes['open']> {
    if (range && range.start - spool.writtenBytes > FAR_AHEAD_BYTES) {
      // If this request fails, the running download still reaches the range, though later.
      const part = await openPart(channel, media, range, { signal }).catch(() => null);
      if (part) return part;
    }
    // A failure before the first byte can still be answered with a status.
    await ofProvider(channel, spool.reach(range?.start ?? 0));
    // With an announced size, a stream that ends early must fail.
    const whole = facts.sizeBytes ? { start: 0, end: facts.sizeBytes - 1 } : undefined;
    if (range) return spool.reader(range);
    // The next reader, of this or another replica, then finds the copy and its hash.
    return spool.reader(whole, () => withTimeLimit(MAX_WAIT_FOR_COPY_MS, download.storing));
  }

  #downloadOf(channel: ConnectedChannel, media: CataloguedMedia): Download {
    const key = nameOf(media);
    const running = this.#downloads.get(key);
    if (running && !running.abandon.signal.aborted) return running;
    const download = this.#startDownload(channel, media, key);
    this.#downloads.set(key, download);
    return download;
  }

  /**
   * Waits for the first bytes, and joins the spool, which the caller has to leave. A download without any bytes ends
   * when its last waiting reader leaves.
   */
  async #firstBytes(download: Download, signal: AbortSignal | undefined): Promise<OpenDownload> {
    signal?.throwIfAborted();
    download.waiting += 1;
    const leave = () => {
      download.waiting -= 1;
      if (download.waiting === 0) download.abandon.abort(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      const opened = await download.opening;
      signal?.throwIfAborted();
      opened.spool.retain();
      return opened;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #startDownload(channel: ConnectedChannel, media: CataloguedMedia, key: string): Download {
    const abandon = new AbortController();
    const { signal } = abandon;
    // AbortSignal.any would leak memory on a signal that lives as long as the process (Node 20).
    const stop = () => abandon.abort(this.#stopping.signal.reason);
    this.#stopping.signal.addEventListener('abort', stop, { once: true });
    const forget = () => {
      this.#stopping.signal.removeEventListener('abort', stop);
      if (this.#downloads.get(key) === download) this.#downloads.delete(key);
    };
    const open = async (): Promise<OpenDownload> => {
      const { spool, source } = await Spool.open(() => openSniffed(channel, media, { signal }));
      const { body: _, ...facts } = source;
      return { spool, facts };
    };
    const opening = open();
    const storing = opening
      .then((opened) => {
        download.opened = opened;
        return (
          this.#store(media, opened)
            .finally(forget)
            // A reader that found the download before it was forgotten joins the spool within this turn of the event
            // loop.
            .finally(() => setImmediate(() => opened.spool.release()))
        );
      })
      .catch(forget)
      .finally(() => this.#copies.delete(storing));
    this.#copies.add(storing);
    const download: Download = { opening, opened: null, storing, waiting: 0, abandon };
    return download;
  }

  async #store(media: CataloguedMedia, { spool, facts }: OpenDownload): Promise<void> {
    const { catalogue, blobs, maxBytes, clock, logger } = this.options;
    const { tenant, id } = media;
    const { mimeType } = facts;
    try {
      const limits = { signal: this.#stopping.signal, maxBytes };
      const stored = await writeBytes(this.options, media, { body: spool.reader(), mimeType }, limits);
      if (differsFrom(media, stored) || (facts.sizeBytes ?? stored.sizeBytes) !== stored.sizeBytes) {
        await removeAttempt(blobs, stored);
        throw new Error('expected the announced bytes, got other bytes');
      }
      const details = { mimeType, filename: media.filename ?? facts.filename };
      // The copy replaces bytes that the row names and the store has lost.
      const replacing = media.stored?.key ?? null;
      const marked = await catalogue.markStored(tenant, id, { stored, details, replacing }, dateOf(clock));
      if (marked.isNamed) this.#inspectInBackground(media, stored, mimeType);
      else await removeAttempt(blobs, stored);
    } catch (err) {
      if (!this.#stopping.signal.aborted) logger.warn({ err, media: id }, 'a delivered media could not be stored');
    }
  }

  /** Readers do not wait for the inspection. The sweep inspects media whose inspection a crash prevented. */
  #inspectInBackground(media: CataloguedMedia, stored: StoredBytes, sniffed: string): void {
    const inspecting = this.#inspect(media, stored, sniffed)
      .catch((err: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.options.logger.warn({ err, media: media.id }, 'a delivered media could not be inspected');
      })
      .finally(() => this.#copies.delete(inspecting));
    this.#copies.add(inspecting);
  }

  async #inspect(media: CataloguedMedia, stored: StoredBytes, sniffed: string): Promise<void> {
    const inspected = await inspectStored(this.options, stored, sniffed, this.#stopping.signal);
    await recordInspection(this.options, media, inspected);
    await recordLateFacts(this.options, media, inspected);
  }
}

function nameOf({ tenant, id }: Pick<CataloguedMedia, 'tenant' | 'id'>): string {
  return `${tenant}\n${id}`;
}

function hasAllBytes({ spool, facts }: OpenDownload): boolean {
  return spool.isComplete || (facts.sizeBytes !== null && spool.writtenBytes >= facts.sizeBytes);
}

/** Resolves when `work` resolves, or after `ms`. */
async function withTimeLimit(ms: number, work: Promise<void>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
