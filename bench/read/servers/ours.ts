import { type OursOptions, type Server, startOurs } from '../../support/ours.js';
import type { Provider } from '../provider.js';
import { CHANNEL_ID, DELIVERY_BASE_URL, SIGNING_KEY, URL_TTL_DAYS } from './settings.js';

/** Ours over the provider that the others ask, with links like theirs. */
export function startOursOver(
  provider: Provider,
  { limits, ...options }: Omit<OursOptions, 'config'> & { readonly limits?: Readonly<Record<string, number>> },
): Promise<Server> {
  const { baseUrl, accountSid, username, password } = provider;
  const config = {
    ...(limits && { limits }),
    delivery: { baseUrl: DELIVERY_BASE_URL, signingKeys: [SIGNING_KEY], urlTtl: `${URL_TTL_DAYS}d` },
    channels: [{ id: CHANNEL_ID, provider: 'signalwire', baseUrl, credentials: { accountSid, username, password } }],
  };
  return startOurs({ ...options, config });
}
