import type { ChannelId } from '../../model/channel.js';
import type { MediaFault } from '../../model/media.js';
import type { ChannelFacts } from '../channel-facts.js';

export interface MediaPathOptions {
  readonly channelId: ChannelId;
  readonly facts: ChannelFacts;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const FACT = 'laml-media-path';
const METADATA = 'metadata';
const BYTES = 'bytes';
/** Afterwards the path is tried again, since a project's setup may change. */
const VALID_MS = 24 * 60 * 60 * 1000;
/** How soon the finding of another replica is seen. */
const RECALLED_MS = 30 * 1000;

/** The fault of listed media on a channel whose path returns metadata. */
export const METADATA_ONLY: MediaFault = {
  code: 'PROVIDER_PROTOCOL',
  message: 'expected the bytes of this media, got its metadata: only the MediaUrl of a webhook returns the bytes',
  retryable: false,
};

/**
 * Remembers what a channel's media path returns. SignalWire's reference says metadata, with and without `.json`
 * ("Retrieve Message Media"), but some projects return the bytes. The first opened media shows which. The catalogue
 * keeps the finding for a day, so that no replica reports a media as READY whose link cannot open.
 */
export class MediaPath {
  readonly #now: () => number;
  #givesMetadata = false;
  #knownUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: MediaPathOptions) {
    this.#now = options.now ?? Date.now;
  }

  /**
   * Whether the path is known to return metadata. Never rejects: while the store is unavailable, the last known value
   * counts.
   */
  async givesMetadata(): Promise<boolean> {
    if (this.#now() < this.#knownUntil) return this.#givesMetadata;
    const { facts, channelId } = this.options;
    const fact = await facts.recall(channelId, FACT).catch(() => undefined);
    if (fact !== undefined) this.#givesMetadata = fact?.value === METADATA;
    this.#knownUntil = this.#now() + Math.min(RECALLED_MS, fact?.leftMs ?? RECALLED_MS);
    return this.#givesMetadata;
  }

  /** Records what the path returned. Never rejects: a finding that cannot be stored is made again. */
  async note(answer: 'bytes' | 'metadata'): Promise<void> {
    const givesMetadata = answer === METADATA;
    if ((await this.givesMetadata()) === givesMetadata) return;
    this.#givesMetadata = givesMetadata;
    this.#knownUntil = this.#now() + RECALLED_MS;
    const { facts, channelId } = this.options;
    await facts.note(channelId, FACT, givesMetadata ? METADATA : BYTES, VALID_MS).catch(() => {});
  }
}
