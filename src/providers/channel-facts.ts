import type { ChannelId } from '../model/channel.js';

/**
 * Facts about a channel's provider that were learned from its answers. All replicas share them, and they survive a
 * restart.
 */
export interface ChannelFacts {
  /** Returns a fact that is still valid, or null. Rejects when the store is unavailable. */
  recall(channelId: ChannelId, fact: string): Promise<ChannelFact | null>;
  /** Replaces a fact. Rejects when the store is unavailable. */
  note(channelId: ChannelId, fact: string, value: string, forMs: number): Promise<void>;
}

export interface ChannelFact {
  readonly value: string;
  /** The remaining validity. */
  readonly leftMs: number;
}

/** For a process without a catalogue, which learns every fact itself. */
export const NO_FACTS: ChannelFacts = {
  recall: async () => null,
  note: async () => {},
};
