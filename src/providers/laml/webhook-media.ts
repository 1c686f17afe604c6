import { MAX_PROVIDER_MEDIA_ID_BYTES } from '../../model/ids.js';
import type { MediaRef, MessageKey } from '../../model/media.js';
import { webUrlOf } from '../webhooks/announced-media.js';
import type { WebhookFaults } from '../webhooks/faults.js';

export interface LamlMediaPlaceOptions {
  readonly provider: 'signalwire' | 'twilio';
  readonly accountSid: string;
  /** Without a trailing slash. */
  readonly baseUrl: string;
}

const SID = new RegExp(`^[A-Za-z0-9-]{1,${MAX_PROVIDER_MEDIA_ID_BYTES}}$`);

/**
 * Identifies the media of a `MediaUrl`. Twilio's must be the media's own resource: the channel's origin, its account
 * and this message. Any other URL is refused before credentials could be sent there (chatwoot #15504). SignalWire's is
 * public and may have any origin. It is kept as the download URL, and its last segment is the media id.
 * @throws MediagraphError PROVIDER_PROTOCOL
 */
export function lamlMediaRef(
  mediaUrl: string,
  providerMessageId: string,
  { provider, accountSid, baseUrl }: LamlMediaPlaceOptions,
  faults: WebhookFaults,
): MediaRef & Pick<MessageKey, 'providerMessageId'> {
  const base = new URL(baseUrl);
  const url = webUrlOf(mediaUrl);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== base.protocol))
    throw faults.protocol('a media address that is not https, or has user information');

  const isOwnOrigin = url.origin === base.origin;
  const basePath = base.pathname.replace(/\/$/, '');
  const folder = `${basePath}/Accounts/${accountSid}/Messages/${providerMessageId}/Media/`;
  const sid = url.pathname.startsWith(folder) ? url.pathname.slice(folder.length) : '';
  if (isOwnOrigin && SID.test(sid)) return { providerMessageId, providerMediaId: sid, downloadUrl: null };

  if (provider === 'twilio') throw faults.protocol('a media address outside of the message and account');
  if (isOwnOrigin && /\/accounts(\/|$)|%/i.test(url.pathname))
    throw faults.protocol('a media address of another message or account');
  const name = (url.pathname.split('/').at(-1) ?? '').replace(/\.[A-Za-z0-9]{1,8}$/, '');
  if (!SID.test(name)) throw faults.protocol('a media address that does not end in a name');
  return { providerMessageId, providerMediaId: name, downloadUrl: url.href };
}
