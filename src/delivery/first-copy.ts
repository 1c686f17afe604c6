import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia, MediaCatalogue, StoredBytes } from '../catalogue/media-catalogue.js';
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

interface Opened {
  readonly spool: Spool;
  readonly facts: Omit<SniffedStream, 'body'>;
}

interface Download {
  readonly opened: Promise<Opened>;
  /** What `opened` came to. */
  first: Opened | null;
  /** Until the copy is stored and recorded, or could not be. */
  readonly kept: Promise<void>;
  /** Readers that wait for the first bytes; when the last of them leaves, nobody does. */
  waiting: number;
  readonly abandon: AbortController;
}

/** The longest that the last byte of a first reader waits for the copy, so that the next reader finds it. */
const COPY_PATIENCE_MS = 2_000;
/** A part that starts so far behind what is here is worth a request of its own. */
const FAR_AHEAD_BYTES = 4 * 1024 * 1024;

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

  /**
   * Where all bytes of a copy in the making have come, waits until it is stored, or could not be.
   * @returns whether there was such a copy
   */
  async finished(media: Pick<CataloguedMedia, 'tenant' | 'id'>): Promise<boolean> {
    const download = this.#downloads.get(nameOf(media));
    if (!download?.first || !hasAll(download.first)) return false;
    await download.kept;
    return true;
  }

  /** @param sized wait for the last byte rather than not tell a size */
  async open(
    channel: ConnectedChannel,
    media: CataloguedMedia,
    { signal, sized }: CallOptions & { readonly sized: boolean },
  ): Promise<ProviderBytes> {
    const download = this.#downloadOf(channel, media);
    const { spool, facts } = await this.#firstBytes(download, signal);
    let isJoined = true;
    const leave = () => {
      if (isJoined) spool.leave();
      isJoined = false;
    };
    try {
      const sizeBytes = facts.sizeBytes ?? (sized ? await ofProvider(channel, spool.complete) : null);
      return {
        ...facts,
        sizeBytes,
        open: (range) => this.#part({ spool, facts }, download, channel, media, range, { signal }).finally(leave),
        close: leave,
      };
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  /** Until a copy of the media is stored, or could not be; what happened, the catalogue knows. */
  async keep(channel: ConnectedChannel, media: CataloguedMedia, { signal }: CallOptions): Promise<void> {
    const download = this.#downloadOf(channel, media);
    const { spool } = await this.#firstBytes(download, signal);
    spool.leave();
    await download.kept;
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

  async #part(
    { spool, facts }: Opened,
    download: Download,
    channel: ConnectedChannel,
    media: CataloguedMedia,
    range: Parameters<ProviderBytes['open']>[0],
    options: CallOptions,
  ): ReturnType<ProviderBytes['open']> {
    if (range && range.start - spool.writtenBytes > FAR_AHEAD_BYTES) {
      // Whatever stands in the way of it, the copy in the making has the bytes, too, though later.
      const part = await openPart(channel, media, range, options).catch(() => null);
      if (part) return part;
    }
    // So that a failure can still be told.
    await ofProvider(channel, spool.reach(range?.start ?? 0));
    // Where a length was announced, a reader that gets less must learn of it.
    const whole = facts.sizeBytes ? { start: 0, end: facts.sizeBytes - 1 } : undefined;
    if (range) return spool.reader(range);
    // Then the next reader, of this or another replica, finds the copy and its hash.
    return spool.reader(whole, () => orAfter(COPY_PATIENCE_MS, download.kept));
  }

  #downloadOf(channel: ConnectedChannel, media: CataloguedMedia): Download {
    const key = nameOf(media);
    const under = this.#downloads.get(key);
    if (under && !under.abandon.signal.aborted) return under;
    const download = this.#download(channel, media, key);
    this.#downloads.set(key, download);
    return download;
  }

  // Private: a reader that leaves waits no more; a download that nobody waits for, and that has nothing yet, ends.
  // Whoever gets the spool has joined it.
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
      opened.spool.join();
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
      const { spool, source } = await Spool.open(() => openSniffed(channel, media, { signal }));
      const { body: _, ...facts } = source;
      return { spool, facts };
    };
    const opened = open();
    const kept = opened
      .then((first) => {
        download.first = first;
        return (
          this.#keep(media, first.spool, first.facts)
            .finally(forget)
            // A reader that found the download before it was forgotten joins the spool within this turn.
            .finally(() => setImmediate(() => first.spool.leave()))
        );
      })
      .catch(forget)
      .finally(() => this.#copies.delete(kept));
    this.#copies.add(kept);
    const download: Download = { opened, first: null, kept, waiting: 0, abandon };
    return download;
  }

  async #keep(media: CataloguedMedia, spool: Spool, facts: Opened['facts']): Promise<void> {
    const { catalogue, blobs, maxBytes, clock, logger } = this.options;
    const { tenant, id } = media;
    const { mimeType } = facts;
    try {
      const how = { signal: this.#stopping.signal, maxBytes };
      const stored = await writeBytes(this.options, media, { body: spool.reader(), mimeType }, how);
      if (differsFrom(media, stored) || (facts.sizeBytes ?? stored.sizeBytes) !== stored.sizeBytes) {
        await removeAttempt(blobs, stored);
        throw new Error('expected the bytes that were told of, got others');
      }
      const details = { mimeType, filename: media.filename ?? facts.filename };
      // What the store has lost, this takes the place of.
      const replacing = media.stored?.key ?? null;
      const kept = await catalogue.markStored(tenant, id, { stored, details, replacing }, dateOf(clock));
      if (kept.isNamed) this.#inspect(media, stored, mimeType);
      else await removeAttempt(blobs, stored);
    } catch (err) {
      if (!this.#stopping.signal.aborted) logger.warn({ err, media: id }, 'a delivered media was not kept');
    }
  }

  /** Readers do not wait for what the bytes show; the sweep looks at what a crash keeps this from. */
  #inspect(media: CataloguedMedia, stored: StoredBytes, sniffed: string): void {
    const looking = this.#look(media, stored, sniffed)
      .catch((err: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.options.logger.warn({ err, media: media.id }, 'a delivered media was not looked at');
      })
      .finally(() => this.#copies.delete(looking));
    this.#copies.add(looking);
  }

  async #look(media: CataloguedMedia, stored: StoredBytes, sniffed: string): Promise<void> {
    const found = await inspectStored(this.options, stored, sniffed, this.#stopping.signal);
    await recordInspection(this.options, media, found);
    await recordLateFacts(this.options, media, found);
  }
}

function nameOf({ tenant, id }: Pick<CataloguedMedia, 'tenant' | 'id'>): string {
  return `${tenant}\n${id}`;
}

function hasAll({ spool, facts }: Opened): boolean {
  return spool.isComplete || (facts.sizeBytes !== null && spool.writtenBytes >= facts.sizeBytes);
}

async function orAfter(ms: number, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: over.signal }).catch(() => {})]);
  over.abort();
}
