import type { AdapterContext } from './adapter-context.js';
import type { ChannelSettings } from './channel-schema.js';
import { KirimAdapter } from './kirim/adapter.js';
import { LamlAdapter } from './laml/adapter.js';
import type { ProviderAdapter } from './provider-adapter.js';

/** The adapter that speaks for a channel; settings without an adapter do not compile. */
export function createAdapter(channel: ChannelSettings, context: AdapterContext): ProviderAdapter {
  switch (channel.provider) {
    case 'kirim':
      return new KirimAdapter(channel, context);
    case 'signalwire':
    case 'twilio':
      return new LamlAdapter(channel, context);
  }
}
