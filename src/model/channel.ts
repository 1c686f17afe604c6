/** The providers that the contract knows, by their configuration names. */
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

/** Who owns a channel and sees its media; `default` where authentication is off. */
export type TenantId = string;

/** UTF-8 bytes: what fits into the key of a blob together with the longest media id. */
export const MAX_TENANT_BYTES = 350;

/** Names a channel in message ids, webhook routes and the configuration; see {@link CHANNEL_ID_PATTERN}. */
export type ChannelId = string;

/** One tenant's line at one provider. Its credentials never leave the adapter that was built for it. */
export interface Channel {
  readonly id: ChannelId;
  readonly tenant: TenantId;
  readonly provider: ProviderName;
}

export const CHANNEL_ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
