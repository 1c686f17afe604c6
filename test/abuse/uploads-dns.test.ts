import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJobs, type Jobs } from '../../src/app/background.js';
import { openMediaBytes } from '../../src/app/media-bytes.js';
import { openStores, type Stores } from '../../src/app/stores.js';
import { parseConfig } from '../../src/config/config.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { UrlSigner } from '../../src/links/signed-url.js';
import { Retention } from '../../src/media/retention.js';
import { MediagraphError } from '../../src/model/errors.js';
import { OriginPools } from '../../src/net/client/origin-pools.js';
import { AddressPolicy } from '../../src/net/guarded/public-address.js';
import { SafeFetch } from '../../src/net/guarded/safe-fetch.js';
import { connectChannels, userAgent } from '../../src/providers/connect-channels.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Canary } from '../support/canary.js';
import { copyTemplate } from '../support/copy-template.js';
import { DnsServer } from '../support/dns-server.js';
import { until } from '../support/eventually.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { kirimChannel, SECRETS } from '../support/test-bed.js';

const OPEN_TIMEOUT_MS = 60_000;
const NAME = 'media.example';

/**
 * Uploads as the server makes them, over its real stores, but for the resolver: the system's cannot be pointed at a name
 * server of ours. 127.0.0.1 and 127.0.0.3 are "public"; on 127.0.0.2, inside, a canary listens at the source's port.
 */
const policy = new AddressPolicy({ allowPrivate: ['127.0.0.1/32', '127.0.0.3/32'], allowedPorts: [80, 443] });

let folder: string;
let dns: DnsServer;
let source: RawServer;
let canary: Canary;
let database: Database;
let stores: Stores;
let jobs: Jobs;
let answer: (path: string, response: ServerResponse) => void;
const closings: Array<() => Promise<void>> = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-test-'));
  await copyTemplate(join(folder, 'database'));
  database = await openDatabase({ url: `pglite:${join(folder, 'database')}` });
  source = await RawServer.start((request, response) => answer(request.url ?? '', response));
  canary = await Canary.start('127.0.0.2', source.port);
}, OPEN_TIMEOUT_MS);

afterAll(async () => {
  await Promise.all([source.close(), canary.close()]);
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  dns = await DnsServer.start();
  // No connection is used twice, so that every request asks for the address anew.
  answer = (_path, response) => response.setHeader('connection', 'close').end(samples.photo.bytes);
  await start({ timeout: '30s' });
});

afterEach(async () => {
  for (const close of closings.splice(0)) await close();
  await dns.close();
});

async function start(upload: Readonly<Record<string, string>>): Promise<void> {
  const channels = [kirimChannel('https://api.example')];
  const config = parseConfig({ storage: { root: join(folder, 'blobs') }, upload, channels }, {});
  const logger = createLogger({ level: 'silent' });
  stores = await openStores(config, logger, database);
  const pools = new OriginPools();
  const providers = connectChannels(config, { pools, quota: stores.quota });
  const { timeoutMs } = config.upload;
  const timeouts = { headersTimeoutMs: timeoutMs, silenceTimeoutMs: timeoutMs };
  const fetch = new SafeFetch({ policy, ...timeouts, userAgent: userAgent(), lookup: dns.lookup });
  const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
  const urls = new UrlSigner({ keys, baseUrl: () => 'http://127.0.0.1', ttlMs: config.delivery.urlTtlMs });
  const { directory } = providers;
  const bytes = await openMediaBytes(config, stores, { logger });
  const lookup = { record: async () => {}, recordListed: async () => {} };
  const retention = new Retention();
  const parts = { config, channels: directory, stores, lookup, retention, urls, bytes, logger };
  jobs = createJobs({ ...parts, source: { fetch, policy } });
  await jobs.start();
  closings.push(async () => {
    await jobs.stop();
    await Promise.all([fetch.close(), providers.close(), pools.close(), bytes.close()]);
    await stores.close();
  });
}

/** The status of an upload from this name, or the code of its refusal. */
async function upload(path = '/photo.jpg', name = NAME): Promise<string> {
  const url = `http://${name}:${source.port}${path}`;
  const nothing = { filename: null, mimeType: null, messageId: null, idempotencyKey: null };
  try {
    const { media } = await jobs.upload.upload('default', { channelId: 'wa', url, ...nothing });
    return media.status;
  } catch (thrown) {
    if (!(thrown instanceof MediagraphError)) throw thrown;
    expect(thrown.message).not.toMatch(/127|media\.example/);
    return thrown.code;
  }
}

async function storedFiles(): Promise<number> {
  const entries = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

describe('an upload from a name', () => {
  it.each<[string, readonly string[]]>([
    ['one address', ['127.0.0.1']],
    ['several, all of them allowed', ['127.0.0.1', '127.0.0.3']],
    ['several, where nobody listens at the first', ['127.0.0.3', '127.0.0.1']],
  ])('with %s is READY, and looks it up once', async (_what, addresses) => {
    dns.answers.set(NAME, [addresses, ['127.0.0.2']]);
    expect(await upload()).toBe('READY');
    expect(dns.questions.toSorted()).toEqual([`A ${NAME}`, `AAAA ${NAME}`]);
  });

  it.each<[string, readonly string[]]>([
    ['an address inside', ['127.0.0.2']],
    ['one inside behind one outside', ['127.0.0.1', '127.0.0.2']],
    ['one inside before one outside', ['127.0.0.2', '127.0.0.1']],
    ['the cloud’s metadata among others', ['127.0.0.1', '127.0.0.3', '169.254.169.254']],
    ['a private one as the last of sixty', [...Array.from({ length: 59 }, () => '127.0.0.1'), '10.0.0.1']],
    ['an IPv6 loopback beside an IPv4 address outside', ['127.0.0.1', '::1']],
    ['an IPv4 address in an IPv6 one', ['::ffff:127.0.0.1']],
    ['a translated IPv4 address', ['64:ff9b::7f00:1']],
    ['a link-local address', ['fe80::1']],
    ['a unique local address', ['fd00:ec2::254']],
    ['an unspecified address', ['0.0.0.0']],
    ['a public address, at a port that only private ones may use', ['8.8.8.8']],
  ])('with %s is refused', async (_what, addresses) => {
    const before = await storedFiles();
    dns.answers.set(NAME, [addresses]);
    expect(await upload()).toBe('URL_NOT_ALLOWED');
    expect([canary.connectionCount, await storedFiles()]).toEqual([0, before]);
  });

  it('that is an alias of an internal name is refused', async () => {
    dns.answers.set(NAME, [{ alias: 'db.internal', addresses: ['127.0.0.2'] }]);
    expect(await upload()).toBe('URL_NOT_ALLOWED');
    dns.answers.set('alias.example', [{ alias: 'cdn.example', addresses: ['127.0.0.1'] }]);
    expect(await upload('/photo.jpg', 'alias.example')).toBe('READY');
    expect(canary.connectionCount).toBe(0);
  });

  it('that changes between two uploads is judged each time', async () => {
    dns.answers.set(NAME, [['127.0.0.1'], ['127.0.0.2'], ['127.0.0.1']]);
    const first = await upload();
    const second = await upload();
    expect([first, second, await upload()]).toEqual(['READY', 'URL_NOT_ALLOWED', 'READY']);
    expect(canary.connectionCount).toBe(0);
  });

  it('that changes before a redirect to itself is judged again', async () => {
    dns.answers.set(NAME, [['127.0.0.1'], ['127.0.0.1', '127.0.0.2']]);
    answer = (_path, response) => response.writeHead(302, { location: '/inside.jpg', connection: 'close' }).end();
    source.requests.length = 0;
    expect(await upload()).toBe('URL_NOT_ALLOWED');
    expect([source.requests, canary.connectionCount]).toEqual([['GET /photo.jpg'], 0]);
  });

  it('whose redirect leads to an internal name is refused', async () => {
    dns.answers.set(NAME, [['127.0.0.1']]);
    dns.answers.set('inside.example', [['127.0.0.2']]);
    answer = (_path, response) =>
      response.writeHead(307, { location: `http://inside.example:${source.port}/`, connection: 'close' }).end();
    expect(await upload()).toBe('URL_NOT_ALLOWED');
    expect(canary.connectionCount).toBe(0);
  });

  it.each(['unknown', 'failure', []] as const)('that is answered with %j is SOURCE_FAILED', async (given) => {
    dns.answers.set(NAME, [given]);
    expect(await upload()).toBe('SOURCE_FAILED');
  });

  it('whose look-up is never answered is SOURCE_TIMEOUT, and delays nothing else', async () => {
    await start({ timeout: '300ms' });
    dns.answers.set(NAME, ['silence']);
    expect(await upload()).toBe('SOURCE_TIMEOUT');
    await until('the question to be asked', () => dns.questions.length === 2);
  });
});
