import { parseConfig } from '../../../src/config/config.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { connectChannels } from '../../../src/providers/connect-channels.js';
import { packageVersion } from '../../../src/telemetry/version.js';
import { MemoryQuota } from '../../support/adapter-context.js';
import { RawServer } from '../../support/raw-server.js';

/** Returns the User-Agent that the API and the media host receive. */
async function userAgentsSent(server: Readonly<Record<string, string>>): Promise<unknown[]> {
  const provider = await RawServer.start((request, response) => {
    if (request.url === '/photo.jpg') response.end('photo');
    else response.writeHead(302, { location: `${provider.url}/photo.jpg` }).end();
  });
  const pools = new OriginPools();
  const channel = { id: 'wa', provider: 'kirim', baseUrl: provider.url, credentials: { token: 'kc_live_0123456789' } };
  const network = { allowPrivate: ['127.0.0.0/8'] };
  const config = parseConfig({ server, network, channels: [channel] }, {});
  const { directory, close } = connectChannels(config, { pools, quota: new MemoryQuota() });
  try {
    const { adapter } = directory.get('default', 'wa');
    const ref = { providerMessageId: 'm', providerMediaId: null, downloadUrl: null };
    (await adapter.openMedia?.(ref, {}))?.body.resume();
    expect(provider.requests).toEqual(['GET /messages/m/media', 'GET /photo.jpg']);
    return provider.headers.map((headers) => headers['user-agent']);
  } finally {
    await close();
    await pools.close();
    await provider.close();
  }
}

describe('the User-Agent of calls to a provider', () => {
  const product = `mediagraph/${packageVersion()}`;

  it('names the version', async () => expect(await userAgentsSent({})).toEqual([product, product]));

  it('says where the server is, if the configuration does', async () => {
    const agent = `${product} (+https://media.example.com)`;
    expect(await userAgentsSent({ publicUrl: 'https://media.example.com/' })).toEqual([agent, agent]);
  });
});
