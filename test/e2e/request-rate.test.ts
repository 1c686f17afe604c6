/** The requests of a tenant per minute, at real servers. */
import { createHash } from 'node:crypto';
import type { Client } from '../support/client.js';
import { describeEngines, describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { useOwnServers } from '../support/own-server.js';
import { ServerFolder } from '../support/server-folder.js';
import { Subscriber, TRANSPORTS } from '../support/subscribers.js';
import { type GraphQLAnswer, headerOf, kirimChannel, sole } from '../support/test-bed.js';

const CHANNELS = '{ mediaChannels { id } }';
const KEYS = { acme: 'acme-key-0123456789', globex: 'globex-key-0123456789' };
const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const apiKeys = Object.entries(KEYS).map(([tenant, key]) => ({ sha256: digest(key), tenant, scopes: ['media:read'] }));
const auth = { mode: 'apiKey', apiKeys };
const channels = [kirimChannel('http://127.0.0.1:1/v1', { tenant: 'acme' })];

const TEST_MS = 120_000;

interface Asked {
  readonly client: Client;
}

interface Asking {
  readonly key?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(
  { client }: Asked,
  { key = KEYS.acme, body = JSON.stringify({ query: CHANNELS }), headers = {} }: Asking = {},
): Promise<GraphQLAnswer<unknown>> {
  const {
    status,
    headers: answered,
    bytes,
  } = await client.get('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers },
    body,
  });
  const { data, errors = [] }: Partial<GraphQLAnswer<unknown>> = JSON.parse(bytes.toString());
  return { status, headers: answered, text: bytes.toString(), data, errors };
}

/** The statuses of so many concurrent requests, and how often each occurs. */
async function statuses(server: Asked, count: number, asking?: Asking): Promise<Record<string, number>> {
  const counted: Record<string, number> = {};
  for (let at = 0; at < count; at += 20) {
    const answers = await Promise.all(Array.from({ length: Math.min(20, count - at) }, () => ask(server, asking)));
    for (const { status } of answers) counted[status] = (counted[status] ?? 0) + 1;
  }
  return counted;
}

describeEngines('the rate of a tenant', (bed) => {
  const start = useOwnServers();
  const startWith = (sections: Readonly<Record<string, unknown>>, database = bed.shared()) =>
    start({ config: { auth, channels, ...sections }, database });

  it('allows the configured number, tells what is left, and then answers 429', async () => {
    const server = await startWith({ tenants: { acme: { requestsPerMinute: 5 } } });
    const first = await ask(server);
    expect(first.status).toBe(200);
    expect(headerOf(first, 'ratelimit-policy')).toBe('"tenant";q=5;w=60');
    expect(headerOf(first, 'ratelimit')).toMatch(/^"tenant";r=4;t=(60|59)$/);
    expect(await statuses(server, 4)).toEqual({ 200: 4 });
    const refused = await ask(server);
    expect(refused.status).toBe(429);
    expect(sole(refused.errors).extensions).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    const { retryAfterMs } = sole(refused.errors).extensions;
    const retryAfter = Number(headerOf(refused, 'retry-after'));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBe(Math.ceil(Number(retryAfterMs) / 1000));
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(headerOf(refused, 'ratelimit')).toMatch(/^"tenant";r=0;t=\d+$/);
    expect(headerOf(refused, 'cache-control')).toBe('no-store');
    // Another tenant has no limit, and no headers of one.
    const other = await ask(server, { key: KEYS.globex });
    expect([other.status, other.headers.ratelimit]).toEqual([200, undefined]);
  });

  it('refuses before the body is read, and counts neither refused credentials nor other routes', async () => {
    const server = await startWith({ limits: { requestsPerMinute: 2 } });
    await ask(server, { key: 'unknown' });
    for (const path of ['/livez', '/readyz', '/webhooks/wa', '/media/x/y.png']) await server.client.get(path);
    expect(await statuses(server, 2)).toEqual({ 200: 2 });
    expect((await ask(server, { body: 'no JSON at all' })).status).toBe(429);
    const large = await ask(server, { body: JSON.stringify({ query: `#${'x'.repeat(1_000_000)}` }) });
    expect([large.status, large.headers.connection]).toEqual([429, 'close']);
    expect(await statuses(server, 2, { key: KEYS.globex })).toEqual({ 200: 2 });
    for (const path of ['/livez', '/readyz']) expect((await server.client.get(path)).status).toBe(200);
    const page = await server.client.get('/graphql', { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
  });

  it('counts operations over GET, and refuses them in the same form', async () => {
    const server = await startWith({ limits: { requestsPerMinute: 1 } });
    const get = () =>
      server.client.get(`/graphql?query=${encodeURIComponent(CHANNELS)}`, {
        headers: { authorization: `Bearer ${KEYS.acme}`, 'apollo-require-preflight': '1' },
      });
    expect((await get()).status).toBe(200);
    const refused = await get();
    expect(refused.status).toBe(429);
    const { errors }: GraphQLAnswer<unknown> = JSON.parse(refused.bytes.toString());
    expect(sole(errors).extensions).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    expect(Number(sole(errors).extensions.retryAfterMs)).toBeGreaterThan(0);
    expect(Number(headerOf(refused, 'retry-after'))).toBeGreaterThanOrEqual(1);
  });

  it.each(TRANSPORTS)('counts operations over %s', async (transport) => {
    const server = await startWith({ auth: { mode: 'none' }, limits: { requestsPerMinute: 2 } });
    const open = async () => {
      const subscriber = Subscriber.open({ transport, url: server.client.url, query: CHANNELS });
      const fault = await subscriber.ended();
      subscriber.close();
      return { fault, results: subscriber.results };
    };
    for (let count = 0; count < 2; count += 1) expect((await open()).results).toMatchObject([{ data: {} }]);
    const { fault, results } = await open();
    expect(results).toEqual([]);
    if (transport === 'websocket')
      expect(fault).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryable: true } }]);
    else expect(String(fault)).toContain('429');
  });

  it('follows a reload, and a tenant without a limit', async () => {
    const server = await startWith({
      limits: { requestsPerMinute: 3 },
      tenants: { globex: { requestsPerMinute: null } },
    });
    expect(await statuses(server, 5)).toEqual({ 200: 3, 429: 2 });
    expect(await statuses(server, 5, { key: KEYS.globex })).toEqual({ 200: 5 });
    await server.reload({ tenants: { acme: { requestsPerMinute: 6 } } });
    expect(await statuses(server, 5)).toEqual({ 200: 3, 429: 2 });
    await server.reload({ tenants: { acme: { requestsPerMinute: null } } });
    expect(await statuses(server, 5)).toEqual({ 200: 5 });
  });

  it('allows two replicas together no more than one', async () => {
    const config = { tenants: { acme: { requestsPerMinute: 400 } } };
    const [one, other] = [await startWith(config), await startWith(config, bed.replica())];
    const [first, second] = await Promise.all([statuses(one, 300), statuses(other, 300)]);
    const allowed = (first['200'] ?? 0) + (second['200'] ?? 0);
    expect(allowed).toBeGreaterThanOrEqual(380);
    expect(allowed).toBeLessThanOrEqual(420);
  });
});

describeEngines('the rate of a tenant while the database is away', (bed) => {
  const start = useOwnServers();

  it('is counted in memory', async () => {
    const server = await start({
      config: { auth, channels, tenants: { acme: { requestsPerMinute: 10 } } },
      database: bed.shared(),
    });
    expect(await statuses(server, 4)).toEqual({ 200: 4 });
    await bed.shared().kysely.schema.alterTable('request_counts').renameTo('request_counts_away').execute();
    try {
      expect(await statuses(server, 10)).toEqual({ 200: 6, 429: 4 });
    } finally {
      await bed.shared().kysely.schema.alterTable('request_counts_away').renameTo('request_counts').execute();
    }
    expect(server.logged('counted by this process alone')).toBe(1);
  });
});

describeServer('the rate of a tenant over two processes', (database) => {
  let folder: ServerFolder | null = null;
  afterEach(() => folder?.close());

  it(
    'is one limit for both, also after SIGHUP',
    async () => {
      const config = (requestsPerMinute: number) => ({ auth, channels, tenants: { acme: { requestsPerMinute } } });
      folder = await ServerFolder.make({ config: config(200), databaseUrl: database.url() });
      const servers = [await folder.serve(), await folder.serve()];
      const askBoth = async () => {
        const counted = await Promise.all(servers.map((server) => statuses(server, 200)));
        return counted.reduce((sum, { 200: allowed = 0 }) => sum + allowed, 0);
      };
      const allowed = await askBoth();
      expect(allowed).toBeGreaterThanOrEqual(190);
      expect(allowed).toBeLessThanOrEqual(210);
      await folder.configure(config(300));
      for (const { command } of servers) command.kill('SIGHUP');
      await until('the limit to be raised', async () => (await ask(servers[0] ?? fail())).status === 200);
      const more = await askBoth();
      expect(allowed + more).toBeGreaterThanOrEqual(285);
      expect(allowed + more).toBeLessThanOrEqual(315);
    },
    TEST_MS,
  );
});

function fail(): never {
  throw new Error('expected a server');
}
