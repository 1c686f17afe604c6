import type { ChannelId } from '../../model/channel.js';
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
/** Then it is tried again: a project may be set up anew. */
const VALID_MS = 24 * 60 * 60 * 1000;
/** How soon another replica's finding is heard of. */
const RECALLED_MS = 30 * 1000;

/**
 * SignalWire's reference answers the path of a media with metadata, with and without `.json` ("Retrieve Message Media"), and
 * yet projects have been seen that give the bytes there. Which one a channel's does shows at the first media that is opened,
 * and is kept in the catalogue for a day, so that from then on no replica calls a media READY whose link cannot open.
 */
export class MediaPath {
  readonly #now: () => number;
  #givesMetadata = false;
  #knownUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: MediaPathOptions) {
    this.#now = options.now ?? Date.now;
  }

  /** Whether it is known to answer metadata. Never rejects: while it cannot be asked, what was known last counts. */
  async givesMetadata(): Promise<boolean> {
    if (this.#now() < this.#knownUntil) return this.#givesMetadata;
    const { facts, channelId } = this.options;
    const kept = await facts.recall(channelId, FACT).catch(() => undefined);
    if (kept !== undefined) this.#givesMetadata = kept?.value === METADATA;
    this.#knownUntil = this.#now() + Math.min(RECALLED_MS, kept?.leftMs ?? RECALLED_MS);
    return this.#givesMetadata;
  }

  /** A media was asked for and told. Never rejects: what cannot be kept is found out again. */
  async note(answer: 'bytes' | 'metadata'): Promise<void> {
    const givesMetadata = answer === METADATA;
    if ((await this.givesMetadata()) === givesMetadata) return;
    this.#givesMetadata = givesMetadata;
    this.#knownUntil = this.#now() + RECALLED_MS;
    const { facts, channelId } = this.options;
    await facts.note(channelId, FACT, givesMetadata ? METADATA : BYTES, VALID_MS).catch(() => {});
  }
}
