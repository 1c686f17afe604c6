import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelId } from '../../model/channel.js';
import type { ChannelFacts } from '../channel-facts.js';

/** What the REST path of a media answers: its bytes, or JSON about it in their place. */
export type MediaPathAnswer = 'bytes' | 'metadata';

export interface MediaPathOptions {
  readonly channelId: ChannelId;
  readonly facts: ChannelFacts;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const FACT = 'laml-media-path';
/** Then it is tried again: a project may be set up anew. */
const VALID_MS = 24 * 60 * 60 * 1000;
/** How soon another replica's finding is heard of. */
const RECALLED_MS = 30 * 1000;
/** How long a listing waits to learn it; a probe that takes longer is heard by the next one. */
const PATIENCE_MS = 3_000;

interface Known {
  readonly answer: MediaPathAnswer | null;
  readonly until: number;
}

/**
 * SignalWire's reference answers the path of a media with metadata, "with or without `.json`" ("Retrieve Message Media"),
 * and yet projects have been seen that give the bytes there. Which one a channel's does is asked once, with the first media
 * that it lists, and kept in the catalogue for a day, so that no replica calls a media READY whose link cannot open.
 */
export class MediaPath {
  readonly #now: () => number;
  #known: Known = { answer: null, until: Number.NEGATIVE_INFINITY };
  #asking: Promise<MediaPathAnswer | null> | null = null;

  constructor(private readonly options: MediaPathOptions) {
    this.#now = options.now ?? Date.now;
  }

  /**
   * What is known, or what a probe finds out; one at a time. null = neither told, so that nothing may be concluded.
   * @param probe never rejects
   */
  async answer(probe: () => Promise<MediaPathAnswer | null>): Promise<MediaPathAnswer | null> {
    if (this.#now() < this.#known.until) return this.#known.answer;
    this.#asking ??= this.#findOut(probe).finally(() => {
      this.#asking = null;
    });
    const patience = new AbortController();
    const late = sleep(PATIENCE_MS, null, { signal: patience.signal }).catch(() => null);
    try {
      return await Promise.race([this.#asking, late]);
    } finally {
      patience.abort();
    }
  }

  /** A media was asked for and told. Never rejects: what cannot be kept is found out again. */
  async note(answer: MediaPathAnswer): Promise<void> {
    const isNews = this.#known.answer !== answer || this.#now() >= this.#known.until;
    this.#known = { answer, until: this.#now() + RECALLED_MS };
    const { facts, channelId } = this.options;
    if (isNews) await facts.note(channelId, FACT, answer, VALID_MS).catch(() => {});
  }

  async #findOut(probe: () => Promise<MediaPathAnswer | null>): Promise<MediaPathAnswer | null> {
    const { facts, channelId } = this.options;
    const kept = await facts.recall(channelId, FACT).catch(() => null);
    if (kept?.value === 'bytes' || kept?.value === 'metadata') {
      this.#known = { answer: kept.value, until: this.#now() + Math.min(RECALLED_MS, kept.leftMs) };
      return kept.value;
    }
    const found = await probe();
    if (found === null) this.#known = { answer: null, until: this.#now() + RECALLED_MS };
    else await this.note(found);
    return found;
  }
}
