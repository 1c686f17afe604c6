import { z } from 'zod';
import { PROVIDER_NAMES } from '../model/channel.js';
import { gupshupChannel } from './gupshup/settings.js';
import { kirimChannel } from './kirim/settings.js';
import { signalwireChannel, twilioChannel } from './laml/settings.js';
import { waGatewayChannel } from './wa-gateway/settings.js';
import { chakraChannel, whatsappCloudChannel } from './whatsapp/settings.js';

/** One entry of `channels`. The provider decides which keys it has. */
export const channelSettings = z.discriminatedUnion(
  'provider',
  [
    kirimChannel,
    signalwireChannel,
    twilioChannel,
    whatsappCloudChannel,
    chakraChannel,
    waGatewayChannel,
    gupshupChannel,
  ],
  {
    error: (issue) => (issue.code === 'invalid_union' ? expectedProvider() : undefined),
  },
);

export type ChannelSettings = z.infer<typeof channelSettings>;

function expectedProvider(): string {
  return `expected one of ${PROVIDER_NAMES.join(', ')}`;
}
