import { z } from 'zod';
import { PROVIDER_NAMES } from '../model/channel.js';
import { kirimChannel } from './kirim/settings.js';
import { signalwireChannel, twilioChannel } from './laml/settings.js';

/** One entry of `channels`: the providers that this version has an adapter for, each with its own keys. */
export const channelSettings = z.discriminatedUnion('provider', [kirimChannel, signalwireChannel, twilioChannel], {
  error: (issue) => (issue.code === 'invalid_union' ? expectedProvider(issue.input) : undefined),
});

export type ChannelSettings = z.infer<typeof channelSettings>;

const adapterNames: readonly string[] = channelSettings.options.map((option) => option.shape.provider.value);

function expectedProvider(channel: unknown): string {
  const provider = z.object({ provider: z.unknown() }).safeParse(channel).data?.provider;
  const planned = PROVIDER_NAMES.find((name) => name === provider && !adapterNames.includes(name));
  if (planned !== undefined) {
    return `this version has no adapter for ${planned}; it has ${adapterNames.join(', ')}`;
  }
  return `expected one of ${PROVIDER_NAMES.join(', ')} (adapters in this version: ${adapterNames.join(', ')})`;
}
