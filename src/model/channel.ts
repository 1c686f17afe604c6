/** The supported providers, by their names in the configuration. */
export const PROVIDER_NAMES = [
  'kirim',
  'signalwire',
  'twilio',
  'chakra',
  'whatsapp-cloud',
  'wa-gateway',
  'gupshup',
] as const;

/** A messaging service with a media API. */
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/** The owner of a channel and of its media. The tenant is `default` while authentication is off. */
export type TenantId = string;

/** UTF-8 bytes. A blob's key holds the tenant and the longest media id, and must stay within the store's limit. */
export const MAX_TENANT_BYTES = 350;

/** Identifies a channel in message ids, webhook routes and the configuration; see {@link CHANNEL_ID_PATTERN}. */
export type ChannelId = string;

/** One tenant's line at one provider. Only the adapter that was built for the channel holds its credentials. */
export interface Channel {
  readonly id: ChannelId;
  readonly tenant: TenantId;
  readonly provider: ProviderName;
}

export const CHANNEL_ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
