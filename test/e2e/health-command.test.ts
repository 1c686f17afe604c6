import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/database/database.js';
import { RunningCommand } from '../support/command.js';
import { freePort } from '../support/daemon.js';
import { OPEN_TIMEOUT_MS } from '../support/databases.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';

const start = useOwnServers();
let folder: string;
let database: Database;
let other: RawServer | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-health-'));
  database = await openEmbeddedDatabase();
}, OPEN_TIMEOUT_MS);

afterEach(async () => {
  await other?.close();
  other = null;
});

afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the command for a server's address, and resolves with its status and its only line. */
async function health(server: Readonly<Record<string, unknown>>, ...options: string[]) {
  const file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ server, auth: { allowOpen: true }, channels: [] }));
  const command = new RunningCommand(['health', '--config', file, ...options]);
  const status = await command.ended;
  return { status, said: command.stdout + command.stderr };
}

describe('mediagraph health', () => {
  it('ends with 0 while the server is alive, which it asks at an address that leads to it', async () => {
    const own = { server: { host: '0.0.0.0', port: 0 }, auth: { allowOpen: true }, channels: [] };
    const { client } = await start({ config: own, database });
    const { port } = new URL(client.url);
    for (const host of ['0.0.0.0', '127.0.0.1', 'localhost'])
      expect(await health({ host, port })).toEqual({ status: 0, said: expect.stringContaining(`:${port}/livez: 200`) });
    const asked = await health({ host: '0.0.0.0', port }, '--ready');
    expect(asked).toEqual({ status: 0, said: `http://127.0.0.1:${port}/readyz: 200\n` });
  });

  it('ends with 1 when no server listens, or another status is the answer', async () => {
    expect(await health({ port: await freePort() })).toMatchObject({
      status: 1,
      said: expect.stringContaining('ECONNREFUSED'),
    });
    other = await RawServer.start((request, response) => {
      response.statusCode = request.url === '/livez' ? 200 : 503;
      response.end();
    });
    const { port } = other;
    expect(await health({ port })).toMatchObject({ status: 0 });
    expect(await health({ port }, '--ready')).toMatchObject({
      status: 1,
      said: expect.stringContaining('readyz: 503'),
    });
  });

  it('ends with 1 when the port is not known, and with 2 for faults in the file', async () => {
    expect(await health({ port: 0 })).toMatchObject({ status: 1, said: expect.stringContaining('server.port is 0') });
    expect(await health({ port: 'x' })).toMatchObject({ status: 2, said: expect.stringContaining('server.port') });
  });
});
