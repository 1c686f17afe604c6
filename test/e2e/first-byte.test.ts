import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request } from 'undici';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { describeEngines } from '../support/databases.js';
import { eventually, until } from '../support/eventually.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { sole } from '../support/test-bed.js';

const SECRET = 'a secret of the gateway';
const MESSAGE = 'FIRSTBYTE';
// Nothing that the provider would be asked for: its requests are counted.
const URLS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url } } }';
/** Fewer bytes than every type needs to be recognised, more than a picture needs. */
const FIRST_BYTES = 600;

describeEngines('the first bytes of a provider that pauses', (engine) => {
  const startServer = useOwnServers();
  const ended: Array<() => Promise<unknown>> = [];
  afterEach(async () => {
    await Promise.all(ended.splice(0).map((end) => end()));
  });

  /** A gateway that sends the first bytes of a file, and the others when the test lets it. */
  async function startGateway(bytes: Buffer, contentType: string, mode: 'lazy' | 'off') {
    let paused: ServerResponse | null = null;
    const provider = await RawServer.start((_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200, { 'content-type': contentType, 'content-length': bytes.length });
      response.write(bytes.subarray(0, FIRST_BYTES));
      paused = response;
    });
    const agent = new Agent();
    ended.push(
      () => agent.destroy(),
      () => provider.close(),
    );
    const channel = {
      id: 'gateway',
      provider: 'wa-gateway',
      baseUrl: provider.url,
      credentials: { token: 'gateway-token' },
      webhook: { secret: SECRET },
    };
    const server = await startServer({
      config: { channels: [channel], mirror: { mode } },
      database: engine.shared(),
    });
    const announcer = new WaGatewayEmulator({ appId: 'app', token: 'gateway-token', webhookSecret: SECRET });
    announcer.addMedia({ ...samples.photo, bytes, deviceId: 'device', messageId: MESSAGE });
    expect((await server.client.deliver('gateway', announcer.messageEvent(MESSAGE))).status).toBe(200);
    const url = await urlFrom(server);
    return { url, agent, provider, goOn: () => paused?.end(bytes.subarray(FIRST_BYTES)) };
  }

  it.each(['off', 'lazy'] as const)(
    'reach the client before the provider continues, with mirror.mode %s',
    async (mode) => {
      const { bytes } = samples.photo;
      const { url, agent, provider, goOn } = await startGateway(bytes, 'image/jpeg', mode);
      // Would not resolve before the provider went on if its bytes were held back.
      const { statusCode, headers, body } = await request(url, { dispatcher: agent });
      expect([statusCode, headers['content-type']]).toEqual([200, 'image/jpeg']);
      const got: Buffer[] = [];
      let size = 0;
      for await (const chunk of body) {
        got.push(chunk);
        const before = size;
        size += chunk.length;
        if (before < FIRST_BYTES && size >= FIRST_BYTES) {
          expect(size).toBe(FIRST_BYTES);
          goOn();
        }
      }
      expect(Buffer.concat(got).equals(bytes)).toBe(true);
      expect(provider.requests).toHaveLength(1);
    },
  );

  it('wait for the following ones when they could be an HTML page', async () => {
    const page = Buffer.from(`${'<!-- '.padEnd(FIRST_BYTES, '-')} --><script>alert(1)</script>`);
    const { url, agent, provider, goOn } = await startGateway(page, 'text/plain', 'off');
    const answered = request(url, { dispatcher: agent });
    await until('the provider to be asked', () => provider.requests.length === 1);
    goOn();
    const { headers, body } = await answered;
    expect(headers).toMatchObject({ 'content-type': 'text/html' });
    expect(`${headers['content-disposition']}`).toMatch(/^attachment/);
    expect(Buffer.from(await body.arrayBuffer()).equals(page)).toBe(true);
  });
});

/** The media's link, once its webhook is processed. */
async function urlFrom({ client }: OwnServer): Promise<string> {
  const media = await eventually(
    async () => (await client.query(URLS, { ids: [`gateway:${MESSAGE}`] })).data?.messagesWithMedia[0]?.media ?? [],
    ([first]) => Boolean(first?.url),
    { what: 'a link' },
  );
  return sole(media).url;
}
