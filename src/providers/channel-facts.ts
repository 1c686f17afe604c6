import type { ChannelId } from '../model/channel.js';

/** What was found out about a channel's provider, the same for all replicas and after a restart. */
export interface ChannelFacts {
  /** What holds now; null = nothing is known (any more). Rejects when it cannot be asked. */
  recall(channelId: ChannelId, fact: string): Promise<ChannelFact | null>;
  /** Replaces what was known. Rejects when it cannot be kept. */
  note(channelId: ChannelId, fact: string, value: string, forMs: number): Promise<void>;
}

export interface ChannelFact {
  readonly value: string;
  /** How long it still holds. */
  readonly leftMs: number;
}

/** For a process without a catalogue: it finds everything out by itself. */
export const NO_FACTS: ChannelFacts = {
  recall: async () => null,
  note: async () => {},
};
