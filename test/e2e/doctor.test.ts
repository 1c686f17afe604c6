/** `mediagraph doctor`, in processes of its own, against emulated providers and what can be wrong around a server. */
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GupshupPartnerEmulator } from '../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { runCheck } from '../../src/app/doctor/check.js';
import { openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import type { CommandOptions } from '../support/command.js';
import { describeServer } from '../support/databases.js';
import { APP_ID, EmulatedProviders, WEBHOOK_SECRETS } from '../support/emulated-providers.js';
import { filesBelow } from '../support/files-below.js';
import { Issuer } from '../support/issuer.js';
import { RawServer } from '../support/raw-server.js';
import { S3TestServer } from '../support/s3.js';
import { ServerFolder } from '../support/server-folder.js';
import { kirimChannel, SECRETS } from '../support/test-bed.js';

/** Processes take seconds to start on a busy machine. */
const TEST_MS = 240_000;
const TOKENS = ['meta-token', 'chakra-token', 'gateway-token', 'gupshup-token'];
const ALL_SECRETS = [...Object.values(SECRETS), ...Object.values(WEBHOOK_SECRETS), ...TOKENS];
const WRONG = 'a-wrong-secret-0123456789';

interface CheckResult {
  readonly check: string;
  readonly channelId?: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
}

interface Diagnosis {
  readonly status: number | string;
  readonly results: readonly CheckResult[];
  /** The results of one check, as `status: message`. */
  of(check: string, channelId?: string): string[];
  readonly output: string;
}

const providers = new EmulatedProviders();
const partner = new GupshupPartnerEmulator({ appId: APP_ID, token: 'gupshup-token' });
const folders: ServerFolder[] = [];
let tools: string;

beforeAll(async () => {
  await Promise.all([providers.start(), partner.start()]);
  tools = await mkdtemp(join(tmpdir(), 'mediagraph-tools-'));
  for (const name of ['ffmpeg', 'pdftoppm', 'pdfinfo', 'heif-convert']) await makeTool(tools, name);
});
afterAll(() => Promise.all([providers.close(), partner.close(), rm(tools, { recursive: true })]));
afterEach(async () => {
  for (const emulator of emulators()) {
    emulator.fault = null;
    emulator.clearRequests();
  }
  await Promise.all(folders.splice(0).map((folder) => folder.close()));
});

function emulators() {
  const { kirim, signalwire, twilio, meta, chakra, gateway } = providers;
  return [kirim, signalwire, twilio, meta, chakra, gateway, partner];
}

async function makeTool(folder: string, name: string, interpreter = '/bin/sh'): Promise<void> {
  await writeFile(join(folder, name), `#!${interpreter}\nexit 0\n`);
  await chmod(join(folder, name), 0o755);
}

/** A channel of every provider. */
function channels(): Array<Readonly<Record<string, unknown>>> {
  return providers
    .channels()
    .map((channel) => (channel.provider === 'gupshup' ? { ...channel, baseUrl: partner.baseUrl } : channel));
}

async function makeFolder(config: Readonly<Record<string, unknown>>, databaseUrl?: string): Promise<ServerFolder> {
  const folder = await ServerFolder.make({ config, databaseUrl });
  folders.push(folder);
  return folder;
}

async function diagnose(folder: ServerFolder, options: CommandOptions = {}): Promise<Diagnosis> {
  const command = folder.run(['doctor', '--json'], { env: { PATH: tools }, ...options });
  const status = await command.ended;
  const output = command.stdout + command.stderr;
  for (const secret of [...ALL_SECRETS, WRONG]) expect(output).not.toContain(secret);
  const results: CheckResult[] = JSON.parse(command.stdout);
  const of = (check: string, channelId?: string) =>
    results
      .filter((result) => result.check === check && result.channelId === channelId)
      .map((result) => `${result.status}: ${result.message}`);
  return { status, results, of, output };
}

/** A database folder that does not exist, for tests that are not about it. */
const noDatabase = () => `pglite:${join(tools, 'no-database')}`;

describe('mediagraph doctor', () => {
  it(
    'reports what works, makes one GET for each account, and leaves nothing behind',
    async () => {
      const folder = await makeFolder({
        channels: [...channels(), kirimChannel(providers.kirim.baseUrl, { id: 'wa2' })],
      });
      await mkdir(folder.blobs);
      const { status, results, of } = await diagnose(folder);
      expect(results.filter((result) => result.status === 'fail')).toEqual([]);
      expect(status).toBe(0);
      for (const id of ['wa', 'sms', 'mms', 'cloud', 'chakra', 'gateway', 'gupshup'])
        expect([id, of('credentials', id)]).toEqual([id, ['ok: the provider accepts the credentials']]);
      expect(of('database')).toEqual([expect.stringMatching(/^ok: embedded PostgreSQL \d+\.\d+ answers$/)]);
      expect(of('database.migrations')).toEqual([expect.stringMatching(/^ok: all \d+ migrations/)]);
      expect(of('storage')).toEqual([expect.stringMatching(/^ok: a file was written/)]);
      expect(of('tools.ffmpeg')).toEqual(['ok: ffmpeg runs']);
      expect(of('signingKeys')).toEqual(['ok: k1 signs links; verified: k1']);
      // `wa` has another option than `wa2`: none. Both have one account.
      for (const emulator of emulators()) expect(emulator.requests.map(({ method }) => method)).toEqual(['GET']);
      expect(await filesBelow(folder.blobs)).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'prints one line for each check, with what to do, and a summary',
    async () => {
      const folder = await makeFolder({ channels: [kirimChannel(providers.kirim.baseUrl)] }, noDatabase());
      const command = folder.run(['doctor'], { env: { PATH: tools } });
      expect(await command.ended).toBe(0);
      const lines = command.stdout.trimEnd().split('\n');
      for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(ok {2}|warn|fail) {2}\S+( \S+)? +\S/);
      expect(lines).toContainEqual(
        expect.stringMatching(/^ok {4}credentials wa +the provider accepts the credentials$/),
      );
      expect(lines).toContainEqual(
        expect.stringMatching(/^warn {2}database +the embedded database does not exist yet; /),
      );
      expect(lines.at(-1)).toMatch(/^\d+ checks: \d+ ok, \d+ to look at, 0 failed$/);
      expect(command.stderr).toBe('');
    },
    TEST_MS,
  );

  it(
    'fails for refused credentials after one call for each account',
    async () => {
      const wrong = (channel: Readonly<Record<string, unknown>>) => {
        const key = 'password' in (channel.credentials as object) ? 'password' : 'token';
        return { ...channel, credentials: { ...(channel.credentials as object), [key]: WRONG } };
      };
      const all = channels().map(wrong);
      const folder = await makeFolder({ channels: [...all, { ...all[0], id: 'wa2' }] }, noDatabase());
      const { status, of } = await diagnose(folder);
      expect(status).toBe(1);
      for (const id of ['wa', 'wa2', 'sms', 'mms', 'cloud', 'chakra', 'gateway', 'gupshup'])
        expect([id, of('credentials', id)]).toEqual([
          id,
          [expect.stringMatching(/^fail: the provider refuses the credentials \(status 401.*; check credentials/)],
        ]);
      expect(emulators().map(({ requestCount }) => requestCount)).toEqual(emulators().map(() => 1));
    },
    TEST_MS,
  );

  it(
    'tells a provider that is away, hangs, throttles, or is another server from one that refuses',
    async () => {
      const page = await RawServer.start((_request, response) => {
        response.writeHead(404, { 'content-type': 'text/html' }).end('<html>internal.host.example</html>');
      });
      providers.kirim.fault = { kind: 'hang' };
      providers.signalwire.fault = { kind: 'status', status: 429 };
      providers.meta.fault = { kind: 'status', status: 503 };
      const [kirim, signalwire, , cloud] = channels();
      const away = kirimChannel('http://127.0.0.1:1/v1', { id: 'away' });
      const other = kirimChannel(`${page.url}/v1`, { id: 'other' });
      const gone = { ...cloud, id: 'gone', baseUrl: 'https://no-such-host.invalid' };
      const folder = await makeFolder({ channels: [kirim, signalwire, cloud, away, other, gone] }, noDatabase());
      const { status, of, output } = await diagnose(folder);
      await page.close();
      expect(status).toBe(1);
      const of1 = (id: string) => of('credentials', id);
      expect(of1('wa')).toEqual([expect.stringMatching(/^fail: (no answer within 10 s|the provider does not answer)/)]);
      expect(of1('sms')).toEqual([expect.stringMatching(/^warn: the provider's rate limit/)]);
      expect(of1('cloud')).toEqual([expect.stringMatching(/^fail: the provider cannot answer now \(status 503/)]);
      expect(of1('away')).toEqual([expect.stringMatching(/^fail: the provider does not answer; check baseUrl/)]);
      expect(of1('other')).toEqual([expect.stringMatching(/^fail: the answer is not that of the provider's API/)]);
      expect(of1('gone')).toEqual([expect.stringMatching(/^fail: the provider does not answer; check baseUrl/)]);
      expect(output).not.toMatch(/127\.0\.0\.1:1\b|internal\.host|no-such-host/);
    },
    TEST_MS,
  );

  it(
    'names missing programs and those that do not run',
    async () => {
      const folder = await makeFolder({ channels: [] }, noDatabase());
      const path = await mkdtemp(join(tmpdir(), 'mediagraph-path-'));
      await makeTool(path, 'ffmpeg');
      await makeTool(path, 'pdftoppm', '/no/such/interpreter');
      const { status, of } = await diagnose(folder, { env: { PATH: path } });
      await rm(path, { recursive: true });
      expect(status).toBe(0);
      expect(of('tools.ffmpeg')).toEqual(['ok: ffmpeg runs']);
      expect(of('tools.pdftoppm')).toEqual([expect.stringMatching(/^warn: installed, but it cannot be run; /)]);
      expect(of('tools.heif-convert')).toEqual([
        'warn: not found on PATH; without it the server makes no stills of HEIC; install libheif-examples',
      ]);
    },
    TEST_MS,
  );

  it(
    'ends with 2 for faults in the file, and with --json lists them as failed checks',
    async () => {
      const folder = await makeFolder({ channels: [], server: { prot: 1 } }, noDatabase());
      const { status, results, output } = await diagnose(folder);
      expect(status).toBe(2);
      expect(results).toEqual([
        { check: 'configuration', status: 'fail', message: 'server.prot: unknown key; did you mean port?' },
      ]);
      expect(output).toContain('1 fault in');
    },
    TEST_MS,
  );

  it(
    'reads the settings of webhooks and keys',
    async () => {
      const [, , , cloud, chakra, gateway] = channels();
      const unverified = { ...cloud, webhook: { secret: WRONG } };
      const folder = await makeFolder(
        {
          server: { port: 0, publicUrl: 'https://media.invalid' },
          delivery: { signingKeys: [{ id: 'short', secret: 'sh0rt' }] },
          channels: [unverified, chakra, { ...gateway, webhook: undefined }],
        },
        noDatabase(),
      );
      const { status, of } = await diagnose(folder);
      expect(status).toBe(0);
      expect(of('webhook', 'cloud')).toEqual([
        expect.stringMatching(/^warn: enter https:\/\/media\.invalid\/webhooks\/cloud at .*verifyToken is missing/),
      ]);
      expect(of('webhook', 'chakra')).toEqual([
        'ok: enter https://media.invalid/webhooks/chakra?token=<webhook.secret> at the provider',
      ]);
      expect(of('webhook', 'gateway')).toEqual([expect.stringMatching(/^warn: no webhook is configured, and/)]);
      expect(of('signingKeys')).toEqual([expect.stringMatching(/^warn: .*; short has 5 bytes; use 32 random bytes/)]);
      expect(of('publicUrl')).toEqual([expect.stringMatching(/^warn: this server does not answer at/)]);
    },
    TEST_MS,
  );

  it(
    'fetches the key set of the issuer of tokens',
    async () => {
      const issuer = await Issuer.start();
      const there = await makeFolder({ channels: [], auth: issuer.auth() }, noDatabase());
      expect((await diagnose(there)).of('auth.jwt')).toEqual(['ok: the key set has 1 usable keys']);
      issuer.answer = (_request, response) => response.end('{"keys":"none"}');
      expect((await diagnose(there)).of('auth.jwt')).toEqual([
        expect.stringMatching(/^fail: the document .* is not a/),
      ]);
      await issuer.close();
      const { status, of } = await diagnose(there);
      expect([status, of('auth.jwt')]).toEqual([1, [expect.stringMatching(/^fail: the key set cannot be fetched/)]]);
    },
    TEST_MS,
  );
});

it.each([
  ['fails', undefined, 'fail'],
  ['warns if it looks for programs', 'warn', 'warn'],
] as const)('a check that takes too long %s', async (_name, lateStatus, status) => {
  const check = { name: 'slow', limitMs: 1, lateStatus, run: () => new Promise<never>(() => {}) };
  expect(await runCheck(check)).toEqual([{ check: 'slow', status, message: expect.stringContaining('no answer') }]);
});

describe('the storage, for mediagraph doctor', () => {
  it(
    'fails on a full disk, and where its folder cannot be made; a missing folder is not made',
    async () => {
      const folder = await makeFolder({ channels: [] }, noDatabase());
      expect((await diagnose(folder)).of('storage')).toEqual([
        expect.stringMatching(/^warn: the folder .* not exist yet/),
      ]);
      await expect(readdir(folder.blobs)).rejects.toThrow(/ENOENT/);

      await mkdir(folder.blobs);
      const full = await diagnose(folder, { env: { PATH: `${tools}:/bin:/usr/bin` }, fileSizeKib: 1 });
      expect([full.status, full.of('storage')]).toEqual([1, [expect.stringMatching(/^fail: .*EFBIG; check storage/)]]);
      expect(await filesBelow(folder.blobs)).toEqual([]);

      const file = join(tools, 'ffmpeg');
      const below = await makeFolder({ channels: [], storage: { root: join(file, 'blobs') } }, noDatabase());
      expect((await diagnose(below)).of('storage')).toEqual([expect.stringMatching(/^fail: /)]);
    },
    TEST_MS,
  );

  it(
    'makes a round trip in a bucket, and fails without one',
    async () => {
      const bucket = await S3TestServer.start();
      const configOf = (options: object) => ({ channels: [], storage: { driver: 's3', s3: options } });
      const there = await diagnose(await makeFolder(configOf(bucket.options), noDatabase()));
      expect([there.status, there.of('storage')]).toEqual([0, [expect.stringMatching(/^ok: an object was written/)]]);
      const gone = await diagnose(
        await makeFolder(configOf({ ...bucket.options, bucket: 'no-such-bucket' }), noDatabase()),
      );
      expect([gone.status, gone.of('storage')]).toEqual([1, [expect.stringMatching(/^fail: .*; check storage\.s3/)]]);
      await bucket.close();
    },
    TEST_MS,
  );
});

describe('the database, for mediagraph doctor', () => {
  it(
    'may be held by a running server, which is no failure and no wait',
    async () => {
      const folder = await makeFolder({ channels: [] });
      await folder.serve();
      const { status, of } = await diagnose(folder);
      expect([status, of('database')]).toEqual([
        0,
        ['warn: another process has the embedded database open; stop it to check version and migrations'],
      ]);
    },
    TEST_MS,
  );

  it(
    'fails where it is away or hangs, without its password or address',
    async () => {
      const silent = await RawServer.start(() => {});
      const ports = [
        [1, /^fail: the server refuses the connection/],
        [silent.port, /^fail: the server does not answer in time/],
      ] as const;
      for (const [port, fault] of ports) {
        const url = `postgres://me:${WRONG}@127.0.0.1:${port}/none`;
        const { status, of, output } = await diagnose(await makeFolder({ channels: [] }, url));
        expect([status, of('database')]).toEqual([1, [expect.stringMatching(fault)]]);
        expect(output).not.toContain('127.0.0.1');
      }
      await silent.close();
    },
    TEST_MS,
  );
});

describeServer('the database of mediagraph doctor', (server) => {
  it(
    'is not migrated: pending migrations are named, and a newer schema fails',
    async () => {
      const folder = await makeFolder({ channels: [] }, server.url());
      const empty = await diagnose(folder);
      expect(empty.of('database')).toEqual([expect.stringMatching(/^(ok|warn): PostgreSQL \d+/)]);
      expect([empty.status, empty.of('database.migrations')]).toEqual([
        0,
        [expect.stringMatching(/^warn: (\d+) of \1 migrations are pending; serve applies them/)],
      ]);
      expect(await server.query("select tablename from pg_tables where schemaname = 'public'")).toEqual([]);

      const database = await openDatabase({ url: server.url() });
      await migrate(database);
      await database.close();
      const fresh = await diagnose(folder);
      expect(fresh.of('database.migrations')).toEqual([expect.stringMatching(/^ok: all \d+ migrations are applied/)]);
      expect(fresh.of('database.clock')).toEqual([expect.stringMatching(/^ok: /)]);

      await server.query("delete from mediagraph_migrations where name like '0009%'");
      expect((await diagnose(folder)).of('database.migrations')).toEqual([
        expect.stringMatching(/^warn: 1 of \d+ migrations are pending/),
      ]);
      await server.query("update mediagraph_migrations set name = '9999-later' where name like '0008%'");
      const newer = await diagnose(folder);
      expect([newer.status, newer.of('database.migrations')]).toEqual([
        1,
        [expect.stringMatching(/^fail: the schema is of a newer version/)],
      ]);
    },
    TEST_MS,
  );

  it(
    'may have another clock, which is noticed above a second and fails above half a minute',
    async () => {
      const folder = await makeFolder({ channels: [] }, server.url());
      const shifted = await diagnose(folder, { env: { PATH: tools }, clockOffsetMs: 5_000 });
      expect(shifted.of('database.clock')).toEqual([
        expect.stringMatching(/^warn: .* is 5\.\d s behind this machine's/),
      ]);
      const wrong = await diagnose(folder, { env: { PATH: tools }, clockOffsetMs: -60_000 });
      expect(wrong.of('database.clock')).toEqual([expect.stringMatching(/^fail: .* s ahead of this machine's/)]);
    },
    TEST_MS,
  );
});
