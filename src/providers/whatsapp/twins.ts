import type { ProviderHttpClient } from '../../net/provider-http-client.js';
import type { WhatsAppChannel } from './settings.js';

/** What Meta's Cloud API and Chakra's pass-through of it do not have in common. */
export interface Twin {
  /** Origins besides the channel's own that get its credentials, unless the configuration names others. */
  readonly mediaOrigins: readonly string[];
  metadataPath(mediaId: string): string;
  /** Opens a media in one step, for when the address in its metadata wants credentials that this channel does not have. */
  bytesPath?(mediaId: string): string;
}

export function twinOf({ provider, options }: WhatsAppChannel, http: ProviderHttpClient): Twin {
  if (provider === 'whatsapp-cloud') {
    return {
      mediaOrigins: ['https://lookaside.fbsbx.com'],
      metadataPath: (mediaId) => `${http.pathOf(options.apiVersion, mediaId)}?phone_number_id=${options.phoneNumberId}`,
    };
  }
  const path = (...segments: string[]) => http.pathOf('v1', 'whatsapp', options.apiVersion, 'media', ...segments);
  return {
    mediaOrigins: [],
    metadataPath: (mediaId) => path(mediaId),
    // "Show Whatsapp Media API". An address at Meta's lookaside origin wants Meta's token, which Chakra keeps.
    bytesPath: (mediaId) => path(mediaId, 'show'),
  };
}
