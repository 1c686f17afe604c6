/** Channels that a reload keeps, changes, adds and removes. */

import { parseConfig } from '../../../src/config/config.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { type ConnectedProviders, connectChannels } from '../../../src/providers/connect-channels.js';
import { MemoryQuota } from '../../support/adapter-context.js';
import { RawServer } from '../../support/raw-server.js';
import { kirimChannel } from '../../support/test-bed.js';

const configOf = (...channels: ReadonlyArray<Record<string, unknown>>) => parseConfig({ channels }, {});
const kirim = (id: string, keys: Readonly<Record<string, unknown>> = {}) =>
  kirimChannel('http://127.0.0.1:1/v1', { id, ...keys });

let pools: OriginPools;
let providers: ConnectedProviders;
const connect = (...channels: ReadonlyArray<Record<string, unknown>>) => {
  pools = new OriginPools();
  providers = connectChannels(configOf(...channels), { pools, quota: new MemoryQuota() });
};
const replace = (...channels: ReadonlyArray<Record<string, unknown>>) =>
  providers.replace(configOf(...channels).channels);
const at = (id: string) => providers.directory.find('default', id);

afterEach(() => Promise.all([providers.close(), pools.close()]));

test('equal settings keep a channel with all that it has learnt, in the order of the file', () => {
  connect(kirim('a'), kirim('b'), kirim('c'));
  const [a, b] = [at('a'), at('b')];
  const changes = replace(kirim('d'), kirim('b', { credentials: { token: 'another' } }), kirim('a'));
  expect(changes).toEqual({ added: ['d'], changed: ['b'], removed: ['c'] });
  expect(providers.directory.list('default').map(({ id }) => id)).toEqual(['d', 'b', 'a']);
  expect(providers.settings().map(({ id }) => id)).toEqual(['d', 'b', 'a']);
  expect([at('a') === a, at('b') === b, at('c')]).toEqual([true, false, null]);
  expect(providers.directory.all()).toBe(providers.directory.all());
});

test('work with a channel that was removed can still be finished', async () => {
  const api = await RawServer.start((_request, response) => void response.end('{}'));
  try {
    connect(kirimChannel(`${api.url}/v1`, { id: 'a' }));
    const before = at('a');
    replace();
    const [listed] = (await before?.adapter.listMedia?.(['msg_01HXN6EH31F653QDC288ERZHTG'], {})) ?? [];
    // The API's answer is no listing, but it was asked.
    expect([listed instanceof Error, api.requests.length]).toEqual([true, 1]);
  } finally {
    await api.close();
  }
});
