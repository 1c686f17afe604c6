import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Child, scratchFolder, startChild } from '../../support/child-processes.js';
import type { Provider } from '../provider.js';
import { CHANNEL_ID, DELIVERY_BASE_URL, SIGNING_KEY, URL_TTL_DAYS } from './settings.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** The product as `npm start` starts it, with the defaults of its configuration: logs, limits and policies included. */
export function startOurs({ baseUrl, accountSid, username, password }: Provider): Promise<Child> {
  const config = {
    server: { port: 0 },
    delivery: { baseUrl: DELIVERY_BASE_URL, signingKeys: [SIGNING_KEY], urlTtl: `${URL_TTL_DAYS}d` },
    channels: [{ id: CHANNEL_ID, provider: 'signalwire', baseUrl, credentials: { accountSid, username, password } }],
  };
  const file = join(scratchFolder(), 'ours.yaml');
  writeFileSync(file, stringify(config));
  return startChild({
    name: 'ours',
    args: ['--max-semi-space-size=32', MAIN, 'serve', '--config', file],
    ready: /^mediagraph listens at (\S+)$/m,
  });
}
