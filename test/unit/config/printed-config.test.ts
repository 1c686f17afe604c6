import { parse } from 'yaml';
import { readSettings } from '../../../docs/reference/setting.js';
import { parseConfig } from '../../../src/config/config.js';
import { printedConfig } from '../../../src/config/printed-config.js';
import { MASK, withoutSecrets } from '../../../src/settings/masked.js';

let serial = 0;
const secret = () => {
  serial += 1;
  return `hunter2-${serial}`;
};

const laml = (provider: string) => ({
  provider,
  credentials: { accountSid: 'AC1', username: 'AC1', password: secret() },
  webhook: { secret: secret(), url: `https://media.example.com/webhooks/${provider}?key=${secret()}` },
});
const CHANNELS = [
  { provider: 'kirim', credentials: { token: secret() }, webhook: { secret: secret() } },
  laml('signalwire'),
  laml('twilio'),
  { provider: 'chakra', credentials: { token: secret() }, webhook: { secret: secret(), verifyToken: secret() } },
  {
    provider: 'whatsapp-cloud',
    credentials: { token: secret() },
    options: { phoneNumberId: '1' },
    webhook: { secret: secret(), verifyToken: secret() },
  },
  { provider: 'wa-gateway', credentials: { token: secret() }, webhook: { secret: secret() } },
  { provider: 'gupshup', credentials: { token: secret() }, options: { appId: 'a' }, webhook: { secret: secret() } },
];
const KEY = secret();
const DOCUMENT = {
  server: { routerSecret: secret(), publicUrl: `https://media.example.com/${KEY}` },
  metrics: { token: secret() },
  database: { url: `postgres://me:${secret()}@db/x?sslmode=require&password=${secret()}` },
  storage: { driver: 's3', s3: { bucket: 'b', accessKeyId: 'AKIA', secretAccessKey: secret() } },
  delivery: {
    signingKeys: [{ id: 'k1', secret: KEY }],
    urlTtl: '90m',
    purge: `https://cdn.example.com/purge?token=${secret()}`,
    purgeHeaders: { 'X-Key': secret() },
  },
  channels: CHANNELS.map((channel) => ({ id: channel.provider, baseUrl: 'https://api.example.com', ...channel })),
};

test('the printed configuration contains no secret and can be read again', () => {
  const printed = printedConfig(DOCUMENT);
  expect(printed).not.toContain('hunter2');
  const again: unknown = parse(printed);
  const { server, delivery, upload, channels } = parseConfig(again, {});
  expect(server.publicUrl).toBe(`https://media.example.com/${MASK}`);
  expect(delivery).toMatchObject({ urlTtlMs: 90 * 60_000, signingKeys: [{ id: 'k1', secret: MASK }] });
  expect(upload).toMatchObject({ timeoutMs: 60_000, maxBytes: 100_000_000 });
  expect(channels.map(({ provider }) => provider)).toEqual(CHANNELS.map(({ provider }) => provider));
  expect(printedConfig(again)).toBe(printed);
});

test('a secret that begins with another one is masked as a whole', () => {
  const keys = ['hunter2', 'hunter2-and-more'].map((text, index) => ({ id: `k${index}`, secret: text }));
  const server = { publicUrl: 'https://media.example.com/hunter2-and-more' };
  expect(printedConfig({ server, delivery: { signingKeys: keys }, channels: [] })).not.toContain('more');
});

test('every key with the name of a secret is masked', () => {
  const { sections, everyChannel, channels } = readSettings();
  const named = [...sections, { settings: everyChannel }, ...channels]
    .flatMap(({ settings }) => settings.map(({ path }) => path))
    .filter((path) => /(secret|token|password|secretAccessKey|sha256)$/i.test(path));
  const digest = { auth: { apiKeys: [{ sha256: 'ab'.repeat(32), tenant: 'acme', scopes: ['media:read'] }] } };
  const shown = masksIn(parse(printedConfig({ ...DOCUMENT, ...digest })));
  expect([...new Set(named)].filter((path) => !shown.has(path))).toEqual([]);
});

/** The paths whose values are masked, with `[]` for any entry of a list. */
function masksIn(value: unknown, path = ''): Set<string> {
  if (value === MASK) return new Set([path]);
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...masksIn(item, `${path}[]`)]));
  if (typeof value !== 'object' || value === null) return new Set();
  return new Set(
    Object.entries(value).flatMap(([key, item]) => [...masksIn(item, path === '' ? key : `${path}.${key}`)]),
  );
}

test.each([
  ['pglite:./data/catalog', 'pglite:./data/catalog'],
  ['https://example.com/a?b', 'https://example.com/a?b=********'],
  ['postgres://u:p@h/d', 'postgres://u:********@h/d'],
  ['postgres://u:p@ss/w@h1:1,h2:2/d', 'postgres://********@h1:1,h2:2/d'],
  ['postgres://u:p@h1:1,h2:2/d?password=x', 'postgres://********@h1:1,h2:2/d?********'],
  ['postgres://h1:1,h2:2/d', 'postgres://h1:1,h2:2/d'],
  ['https://example.com/@user', 'https://example.com/@user'],
])('of %s is shown %s', (text, shown) => {
  expect(withoutSecrets(text)).toBe(shown);
});
