import type { AdapterContext } from './adapter-context.js';
import type { ChannelSettings } from './channel-schema.js';
import { GupshupAdapter } from './gupshup/adapter.js';
import { createGupshupWebhook } from './gupshup/webhook.js';
import { KirimAdapter } from './kirim/adapter.js';
import { createKirimWebhook } from './kirim/webhook.js';
import { LamlAdapter } from './laml/adapter.js';
import { createLamlWebhook } from './laml/webhook.js';
import type { ProviderAdapter, WebhookReceiver } from './provider-adapter.js';
import { WaGatewayAdapter } from './wa-gateway/adapter.js';
import { createWaGatewayWebhook } from './wa-gateway/webhook.js';
import { WhatsAppAdapter } from './whatsapp/adapter.js';
import { createChakraWebhook, createWhatsappWebhook } from './whatsapp/webhook.js';

/**
 * Creates the adapter of a channel. A provider with settings but without a case here does not compile.
 *
 * To add a provider: add its name to `PROVIDER_NAMES` (`model/channel.ts`), its schema to `channel-schema.ts`, and a
 * case to both functions of this file. `docs/adapters.md` describes every step.
 */
export function createAdapter(channel: ChannelSettings, context: AdapterContext): ProviderAdapter {
  switch (channel.provider) {
    case 'kirim':
      return new KirimAdapter(channel, context);
    case 'signalwire':
    case 'twilio':
      return new LamlAdapter(channel, context);
    case 'whatsapp-cloud':
    case 'chakra':
      return new WhatsAppAdapter(channel, context);
    case 'wa-gateway':
      return new WaGatewayAdapter(channel, context);
    case 'gupshup':
      return new GupshupAdapter(channel, context);
  }
}

/** Creates the webhook receiver of a channel; null where the configuration has no webhook for it. */
export function createWebhook(channel: ChannelSettings): WebhookReceiver | null {
  switch (channel.provider) {
    case 'kirim': {
      const { phoneNumberId } = channel.options;
      return channel.webhook ? createKirimWebhook({ channel, phoneNumberId, ...channel.webhook }) : null;
    }
    case 'signalwire':
    case 'twilio': {
      const { id, provider, baseUrl, credentials, webhook } = channel;
      if (!webhook) return null;
      const { accountSid } = credentials;
      const { secret, url: configuredUrl } = webhook;
      return createLamlWebhook({ channel: { id, provider }, accountSid, baseUrl, secret, configuredUrl });
    }
    case 'whatsapp-cloud': {
      const { phoneNumberId } = channel.options;
      return channel.webhook ? createWhatsappWebhook({ channel, phoneNumberId, ...channel.webhook }) : null;
    }
    case 'chakra':
      return channel.webhook ? createChakraWebhook({ channel, ...channel.webhook }) : null;
    case 'wa-gateway':
      return channel.webhook ? createWaGatewayWebhook({ channel, ...channel.webhook }) : null;
    case 'gupshup': {
      const { appId } = channel.options;
      return channel.webhook ? createGupshupWebhook({ channel, appId, ...channel.webhook }) : null;
    }
  }
}
