import { asCatalogueFault, inTime } from '../catalogue/catalogue-fault.js';
import type { MediaChange } from '../catalogue/changes/change-log.js';
import type { MediaChangeListener, MediaChanges } from '../catalogue/changes/media-changes.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import type { TenantId } from '../model/channel.js';
import { type Clock, dateOf } from '../model/clock.js';
import { formatMessageId, type MessageId } from '../model/ids.js';
import type { Media, MediaId, MediaStatus, MessageKey } from '../model/media.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import { asOf } from './retention.js';

type Catalogue = Pick<MediaCatalogue, 'findByIds' | 'findByMessages'>;

export interface MediaWatchOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: Catalogue;
  readonly changes: Pick<MediaChanges, 'subscribe'>;
  readonly clock: Clock;
}

/** The maximum number of waiting changes of a slow reader. Beyond it, only the latest change of each media is kept. */
const MOST_WAITING = 500;
/** The maximum number of changes that one statement looks up. */
const BATCH = 100;

/** Yields every status change of the media of some messages, until its reader returns. It does not call providers. */
export class MediaWatch {
  constructor(private readonly options: MediaWatchOptions) {}

  /**
   * Watches from the moment when it resolves. It yields a media in its current state when it is read: a media that was
   * PENDING and is READY by then is yielded twice, any other media once. `return` ends the watch, and so does the removal of
   * a channel, with CHANNEL_NOT_FOUND.
   * @throws MediagraphError CHANNEL_NOT_FOUND; a retryable INTERNAL_SERVER_ERROR if the database is unavailable, also
   *   later
   */
  async watch(tenant: TenantId, keys: readonly MessageKey[]): Promise<AsyncIterableIterator<Media>> {
    const { channels, changes } = this.options;
    const watched = new WatchedMedia(tenant, keys, this.options);
    watched.requireChannels();
    watched.onReturn(channels.follow(() => watched.onChannels()));
    try {
      // A subscription that starts after the time limit ends immediately.
      await inTime(changes.subscribe(watched).then((unsubscribe) => watched.onReturn(unsubscribe)));
      await watched.start();
      return watched;
    } catch (thrown) {
      await watched.return();
      throw asCatalogueFault(thrown);
    }
  }
}

/** Serves one reader, which requests one value at a time. */
class WatchedMedia implements AsyncIterableIterator<Media>, MediaChangeListener {
  readonly #messages: ReadonlySet<MessageId>;
  /** The status that was last yielded, or found at the start. After a gap, rows are compared with it. */
  readonly #known = new Map<MediaId, MediaStatus>();
  /** The status that each media was last enqueued with. */
  readonly #lastEnqueued = new Map<MediaId, MediaStatus>();
  #waiting: MediaChange[] = [];
  #lookedUp: Media[] = [];
  #hasGap = false;
  #haveChannelsChanged = false;
  #isOver = false;
  #wake: () => void = () => {};
  readonly #ends: Array<() => void> = [];

  constructor(
    private readonly tenant: TenantId,
    private readonly keys: readonly MessageKey[],
    private readonly options: Pick<MediaWatchOptions, 'channels' | 'catalogue' | 'clock'>,
  ) {
    this.#messages = new Set(keys.map(formatMessageId));
  }

  /** Calls `end` when the watch ends. */
  onReturn(end: () => void): void {
    if (this.#isOver) end();
    else this.#ends.push(end);
  }

  /** @throws MediagraphError CHANNEL_NOT_FOUND */
  requireChannels(): void {
    for (const { channelId } of this.keys) this.options.channels.get(this.tenant, channelId);
  }

  onChannels(): void {
    this.#haveChannelsChanged = true;
    this.#wake();
  }

  async start(): Promise<void> {
    for (const { id, status } of await this.#find()) this.#known.set(id, status);
  }

  onChange(change: MediaChange): void {
    if (change.tenant !== this.tenant || !this.#messages.has(formatMessageId(change))) return;
    this.#waiting.push(change);
    if (this.#waiting.length > MOST_WAITING)
      this.#waiting = [...new Map(this.#waiting.map((waiting) => [waiting.id, waiting])).values()];
    this.#wake();
  }

  onGap(): void {
    this.#hasGap = true;
    this.#wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Media, undefined>> {
    while (!this.#isOver) {
      if (this.#haveChannelsChanged) await this.#checkChannels();
      const media = this.#lookedUp.shift();
      if (media) return { value: media, done: false };
      if (this.#hasGap || this.#waiting.length > 0) await this.#lookUp();
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    return { value: undefined, done: true };
  }

  async return(): Promise<IteratorResult<Media, undefined>> {
    this.#isOver = true;
    for (const end of this.#ends.splice(0)) end();
    this.#wake();
    return { value: undefined, done: true };
  }

  /** A removed channel is as if it had never existed. */
  async #checkChannels(): Promise<void> {
    this.#haveChannelsChanged = false;
    try {
      this.requireChannels();
    } catch (thrown) {
      await this.return();
      throw thrown;
    }
  }

  async #lookUp(): Promise<void> {
    try {
      if (this.#hasGap) {
        this.#hasGap = false;
        // The result includes the waiting changes.
        this.#waiting = [];
        for (const media of await this.#find()) if (this.#known.get(media.id) !== media.status) this.#enqueue(media);
        return;
      }
      const changes = this.#waiting.splice(0, BATCH);
      const ids = [...new Set(changes.map(({ id }) => id))];
      const found = await inTime(this.options.catalogue.findByIds(this.tenant, ids));
      const now = dateOf(this.options.clock);
      for (const { id, status } of changes) {
        const media = found.get(id);
        if (media) this.#enqueue(status === 'PENDING' ? { ...media, status } : asOf(media, now));
      }
    } catch (thrown) {
      await this.return();
      throw asCatalogueFault(thrown);
    }
  }

  // An earlier look-up may have enqueued this status already.
  #enqueue(media: CataloguedMedia): void {
    const { id, status } = media;
    if (this.#lastEnqueued.get(id) === status) return;
    this.#lastEnqueued.set(id, status);
    this.#known.set(id, status);
    this.#lookedUp.push(media);
  }

  async #find(): Promise<CataloguedMedia[]> {
    const records = await inTime(this.options.catalogue.findByMessages(this.tenant, this.keys));
    const now = dateOf(this.options.clock);
    return [...records.values()].flatMap(({ media }) => media.map((known) => asOf(known, now)));
  }
}
