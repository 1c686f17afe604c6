import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { kirimChannel, type MessagesData, SECRETS, sole } from '../support/test-bed.js';

// A process that compiles its own sources takes seconds to start on a busy machine.
const PATIENCE_MS = 60_000;
const KEYS = { first: 'first-key-0123456789', second: 'second-key-0123456789' };

let folder: string;
let commands: RunningCommand[];
let raws: RawServer[];
let agent: Agent;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-process-'));
  [commands, raws] = [[], []];
  agent = new Agent({ pipelining: 0 });
});

afterEach(async () => {
  for (const command of commands) command.kill('SIGKILL');
  await Promise.all(commands.map(({ ended }) => ended));
  await Promise.all(raws.map((raw) => raw.close()));
  await agent.destroy();
  await rm(folder, { recursive: true });
});

async function writeConfig(document: unknown): Promise<string> {
  const file = join(folder, 'config.json');
  await writeFile(file, typeof document === 'string' ? document : JSON.stringify(document));
  return file;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
  const command = new RunningCommand(args, env);
  commands.push(command);
  return command;
}

/** The files of an embedded database of its own for each process. */
async function copiedDatabase(): Promise<string> {
  const copy = await mkdtemp(join(folder, 'catalog-'));
  await copyTemplate(copy);
  return copy;
}

async function serve(
  document: unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<{ command: RunningCommand; url: string }> {
  const engines = { database: { url: `pglite:${await copiedDatabase()}` }, storage: { root: join(folder, 'blobs') } };
  const whole = typeof document === 'object' ? { ...engines, ...document } : document;
  const command = run(['serve', '--config', await writeConfig(whole)], env);
  const [, url = ''] = await command.printed(/mediagraph listens at (\S+)/);
  return { command, url };
}

async function get(url: string): Promise<{ status: number; body: string }> {
  const { statusCode, body } = await request(url, { dispatcher: agent });
  return { status: statusCode, body: await body.text() };
}

async function query<Data = MessagesData>(
  url: string,
  text: string,
  variables: unknown = {},
  key = '',
): Promise<{ status: number; data: Data }> {
  const { statusCode, body } = await request(`${url}/graphql`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === '' ? {} : { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query: text, variables }),
  });
  const answer: { data: Data } = JSON.parse(await body.text());
  return { status: statusCode, data: answer.data };
}

/** How a configuration file names a variable of the environment. */
function variable(name: string): string {
  return `\${${name}}`;
}

const FAULTY = {
  server: { port: 70_000, prot: 1 },
  log: { level: 'loud' },
  channels: [
    {
      id: 'Support',
      provider: 'kirim',
      baseUrl: 'https://example.com',
      credentials: { token: variable('NO_SUCH_TOKEN') },
    },
    { id: 'sms', provider: 'carrier-pigeon', baseUrl: 'https://example.com' },
  ],
};
const FAULTS = [
  'server.port',
  'server.prot',
  'log.level',
  'channels[0].id',
  'channels[0].credentials.token',
  'channels[1]',
];

describe('a faulty configuration', () => {
  it.each(['serve', 'check-config'])(
    'ends %s with status 2 before anything listens, and reports all faults at once',
    async (name) => {
      const command = run([name, '--config', await writeConfig(FAULTY)]);
      expect(await command.ended).toBe(2);
      for (const path of FAULTS) expect(command.stderr).toContain(path);
      expect(command.stdout).toBe('');
    },
    PATIENCE_MS,
  );

  it(
    'is also a missing file, and a missing path',
    async () => {
      const [missing, unnamed] = [run(['serve', '--config', join(folder, 'nowhere.yaml')]), run([])];
      expect(await missing.ended).toBe(2);
      expect(missing.stderr).toMatch(/ENOENT/);
      expect(await unnamed.ended).toBe(2);
      expect(unnamed.stderr).toMatch(/MEDIA_CONFIG/);
    },
    PATIENCE_MS,
  );
});

describe('check-config', () => {
  it(
    'accepts a valid configuration, whose secrets come from the environment and are not shown',
    async () => {
      const channels = [kirimChannel('https://example.com/v1', { credentials: { token: variable('KIRIM_TOKEN') } })];
      const MEDIA_CONFIG = await writeConfig({ channels });
      const command = run(['check-config'], { MEDIA_CONFIG, KIRIM_TOKEN: SECRETS.kirimToken });
      expect(await command.ended).toBe(0);
      expect(command.stdout).toMatch(/valid.*1 channel/);
      expect(command.stdout + command.stderr).not.toContain(SECRETS.kirimToken);
    },
    PATIENCE_MS,
  );
});

describe('serve', () => {
  const ONE_MESSAGE = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url } } }';

  it(
    'is ready, writes nothing to standard error, and ends with status 0 at SIGTERM',
    async () => {
      const api = await startRaw((_request, response) =>
        response.writeHead(302, { location: 'http://127.0.0.1:9/x' }).end(),
      );
      const network = { allowPrivate: ['127.0.0.0/8'] };
      const { command, url } = await serve({ server: { port: 0 }, network, channels: [kirimChannel(`${api.url}/v1`)] });
      expect(await get(`${url}/readyz`)).toMatchObject({ status: 200 });
      // As many as a query may name: nothing may pile up, and nothing may warn of it.
      const ids = Array.from({ length: 100 }, (_, index) => `wa:msg_${index}`);
      const { data } = await query(url, ONE_MESSAGE, { ids });
      expect(data.messagesWithMedia.map((message) => message?.media?.length)).toEqual(ids.map(() => 1));
      command.kill('SIGTERM');
      expect(await command.ended).toBe(0);
      expect(command.stderr).toBe('');
      for (const line of command.stdout.trim().split('\n'))
        if (!line.startsWith('mediagraph listens')) JSON.parse(line);
    },
    PATIENCE_MS,
  );

  it(
    'drains at SIGTERM: an open delivery finishes, new connections are refused, the status is 0',
    async () => {
      const half = Math.floor(samples.video.bytes.length / 2);
      let finish: (() => void) | undefined;
      const cdn = await startRaw((_request, response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': samples.video.bytes.length });
        response.write(samples.video.bytes.subarray(0, half));
        finish = () => response.end(samples.video.bytes.subarray(half));
      });
      const api = await startRaw((_request, response) =>
        response.writeHead(302, { location: `${cdn.url}/video` }).end(),
      );
      const network = { allowPrivate: ['127.0.0.0/8'] };
      const { command, url } = await serve({ server: { port: 0 }, network, channels: [kirimChannel(`${api.url}/v1`)] });
      const { data } = await query(url, ONE_MESSAGE, { ids: ['wa:msg_1'] });
      const delivery = await request(sole(sole(data.messagesWithMedia)?.media).url, { dispatcher: agent });
      expect(delivery.statusCode).toBe(200);
      command.kill('SIGTERM');
      await refused(url);
      finish?.();
      expect(Buffer.from(await delivery.body.arrayBuffer()).equals(samples.video.bytes)).toBe(true);
      expect(await command.ended).toBe(0);
    },
    PATIENCE_MS,
  );

  it(
    'reloads the API keys at SIGHUP, and keeps them when the file is faulty',
    async () => {
      const config = (key: string) => {
        const sha256 = createHash('sha256').update(key).digest('hex');
        return {
          server: { port: 0 },
          auth: { mode: 'apiKey', apiKeys: [{ sha256, tenant: 'default', scopes: ['media:read'] }] },
          channels: [],
        };
      };
      const { command, url } = await serve(config(KEYS.first));
      const statusWith = async (key: string) => (await query(url, '{ mediaChannels { id } }', {}, key)).status;
      expect([await statusWith(KEYS.first), await statusWith(KEYS.second)]).toEqual([200, 401]);
      await writeConfig(config(KEYS.second));
      command.kill('SIGHUP');
      await command.printed(/the configuration was reloaded/);
      expect([await statusWith(KEYS.first), await statusWith(KEYS.second)]).toEqual([401, 200]);
      await writeConfig('{ this is no configuration');
      command.kill('SIGHUP');
      await command.printed(/the configuration could not be reloaded/);
      expect(await statusWith(KEYS.second)).toBe(200);
      command.kill('SIGINT');
      expect(await command.ended).toBe(0);
    },
    PATIENCE_MS,
  );

  it(
    'disables introspection with NODE_ENV=production',
    async () => {
      const { url } = await serve({ server: { port: 0 }, channels: [] }, { NODE_ENV: 'production' });
      expect((await query(url, '{ __schema { types { name } } }')).status).toBe(400);
      expect((await query(url, '{ _service { sdl } }')).status).toBe(200);
    },
    PATIENCE_MS,
  );

  it(
    'ends with status 1 and one plain line where its port is taken',
    async () => {
      const taken = await startRaw();
      const command = run(['serve', '--config', await writeConfig({ server: { port: taken.port }, channels: [] })]);
      expect(await command.ended).toBe(1);
      expect(command.stderr).toMatch(/could not start.*EADDRINUSE/);
      expect(command.stderr.trim().split('\n')).toHaveLength(1);
    },
    PATIENCE_MS,
  );
});

async function startRaw(handler?: Parameters<typeof RawServer.start>[0]): Promise<RawServer> {
  const raw = await RawServer.start(handler);
  raws.push(raw);
  return raw;
}

/** Resolves when new connections there are refused. */
async function refused(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  for (;;) {
    const socket = createConnection({ host: hostname, port: Number(port) });
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => 'connected'),
      once(socket, 'error').then(() => 'refused'),
    ]).catch(() => 'refused');
    socket.destroy();
    if (outcome === 'refused') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
