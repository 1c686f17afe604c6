/** How often the keys of an issuer are fetched, and how long they last, by a clock that the test sets. */
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { fetchKeys } from '../../../src/server/jwt/fetch-keys.js';
import { KeySource } from '../../../src/server/jwt/key-source.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { until } from '../../support/eventually.js';
import { Issuer } from '../../support/issuer.js';

const logger = createLogger({ level: 'fatal' });
const SECOND = 1_000;
const HOUR = 3_600_000;

let issuer: Issuer;
let pools: OriginPools;
let source: KeySource;
let now: number;

beforeEach(async () => {
  issuer = await Issuer.start();
  pools = new OriginPools();
  now = 1_000_000;
  const read = fetchKeys({ url: issuer.jwksUrl, pools, userAgent: 'test' });
  source = new KeySource({ read, logger, now: () => now });
  await source.start();
});
afterEach(async () => {
  source.close();
  await pools.close();
  await issuer.close();
});

const away = () => {
  issuer.answer = (_request, response) => void response.writeHead(500).end();
};
const sizeOf = async (keys: ReturnType<KeySource['current']>) => (await keys)?.size ?? null;

it('uses keys of less than twenty seconds without a question, and older ones while it asks', async () => {
  now += 19 * SECOND;
  await source.current();
  expect(issuer.fetches).toBe(1);
  await issuer.addKey();
  now += SECOND;
  expect(await sizeOf(source.current())).toBe(1);
  await until('the keys to be fetched', async () => (await sizeOf(source.current())) === 2);
  expect(issuer.fetches).toBe(2);
});

it('waits for newer keys after an idle minute', async () => {
  await issuer.addKey();
  now += 60 * SECOND;
  expect(await sizeOf(source.current())).toBe(2);
});

it('keeps its keys when a key set has more entries than any issuer publishes', async () => {
  issuer.answer = (_request, response) => void response.end(`{"keys":[${'0,'.repeat(5_000)}0]}`);
  now += 60 * SECOND;
  expect(await sizeOf(source.current())).toBe(1);
});

it('asks for an unknown key once in ten seconds, whatever the answers', async () => {
  for (const answers of [true, false]) {
    const before = issuer.fetches;
    if (!answers) away();
    await Promise.all([source.afterUnknownKey(), source.afterUnknownKey()]);
    now += 9 * SECOND;
    await source.afterUnknownKey();
    expect(issuer.fetches - before).toBe(1);
    now += SECOND;
    await source.afterUnknownKey();
    expect(issuer.fetches - before).toBe(2);
    now += 10 * SECOND;
  }
});

it('keeps the keys for an hour while the issuer is away, and asks every ten seconds while tokens arrive', async () => {
  away();
  now += HOUR;
  expect(await sizeOf(source.current())).toBe(1);
  now += 1;
  expect(await sizeOf(source.current())).toBeNull();
  const before = issuer.fetches;
  for (let second = 0; second < 30; second++) {
    now += SECOND;
    await source.current();
  }
  expect(issuer.fetches - before).toBeLessThanOrEqual(3);
  issuer.answer = null;
  now += 60 * SECOND;
  expect(await sizeOf(source.current())).toBe(1);
});

it('drops a removed key at the next fetch', async () => {
  const [first] = issuer.keys.splice(0);
  await issuer.addKey();
  now += 60 * SECOND;
  const keys = await source.current();
  expect(keys?.candidates({ kid: first?.kid, alg: 'ES256' })).toEqual([]);
});

it('ends its attempts when it is closed', async () => {
  away();
  const read = fetchKeys({ url: issuer.jwksUrl, pools, userAgent: 'test' });
  const other = new KeySource({ read, logger, now: () => now });
  await other.start();
  expect(other.hasStarted).toBe(false);
  other.close();
  const before = issuer.fetches;
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(issuer.fetches).toBe(before);
});
