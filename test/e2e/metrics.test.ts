import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { Agent, request } from 'undici';
import { kirimDelivery } from '../../demo/src/emulators/kirim/kirim-webhook.js';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { JOB_KINDS, type JobKind } from '../../src/model/job-kind.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { describeServer, OPEN_TIMEOUT_MS } from '../support/databases.js';
import { emptyTables, openEmbeddedDatabase } from '../support/embedded-database.js';
import { eventually, until } from '../support/eventually.js';
import { jobStoreOf } from '../support/jobs.js';
import { leaksIn } from '../support/leaks.js';
import { type Family, family, parseMetrics, scrape, soleValue, sum, valuesBy } from '../support/metrics-text.js';
import { useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { receive, receiveEverywhere } from '../support/sample-messages.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { type Got, type GraphQLAnswer, type MessagesData, sole, type TestBed, useBeds } from '../support/test-bed.js';

const WEBHOOK_SECRET = 'a webhook secret of Kirim';
const TENANT = 'tenant-of-the-silent-line';
const { version: VERSION }: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
const PATIENCE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url } } }';
const STATUS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id status } } }';
const ONCE = { timeout: '1s', retries: 0 };
const beds = useBeds({
  config: {
    providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE },
    channels: [
      {
        id: 'silent',
        tenant: TENANT,
        provider: 'chakra',
        baseUrl: 'https://api.example.com',
        credentials: { token: 'chakra-token-0123456789' },
      },
    ],
  },
  channelKeys: { kirim: { webhook: { secret: WEBHOOK_SECRET } } },
  kirim: { webhookSecrets: [WEBHOOK_SECRET] },
});

/** What the callers of the scenario saw, and one scrape after it. */
interface Observed {
  readonly text: string;
  readonly metrics: Map<string, Family>;
  /** The number of errors in GraphQL answers, by code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly operations: number;
  readonly requestsAtProviders: Readonly<Record<string, number>>;
  /** Ids of messages and media that were asked for. */
  readonly seen: readonly string[];
}

/** Queries, failures of every provider, webhooks and a dead letter; then one scrape. */
async function observe(bed: TestBed): Promise<Observed> {
  const errors: Record<string, number> = {};
  const seen: string[] = [];
  let operations = 0;
  let text = '';

  async function ask(query: string, ids: readonly string[] = []): Promise<GraphQLAnswer<MessagesData>> {
    const answer = await bed.query(query, { ids });
    if (answer.status === 200) operations += 1;
    for (const { extensions } of answer.errors) errors[extensions.code] = (errors[extensions.code] ?? 0) + 1;
    seen.push(
      ...ids,
      ...(answer.data?.messagesWithMedia ?? []).flatMap((one) => one?.media?.map(({ id }) => id) ?? []),
    );
    return answer;
  }

  function deliver(channel: string, { body, headers }: WebhookDelivery): Promise<Got> {
    return bed.get(`/webhooks/${channel}`, { method: 'POST', headers, body: body.toString() });
  }

  await ask(MEDIA, receiveEverywhere(bed));
  const url = await bed.urlOf(receive(bed, 'kirim', 2));
  operations += 1;
  await bed.get(url);
  await bed.get(`${url}0`);
  await bed.get('/nothing/secret-in-a-path?sig=in-a-query');
  await bed.get('/%zz');
  await ask('{ nonsense }');
  await ask(MEDIA, ['nobody:tenant-text-of-an-id']);
  bed.kirim.fault = { kind: 'status', status: 503 };
  await ask(MEDIA, ['wa:msg_1001', 'wa:msg_1002']);
  bed.signalwire.fault = { kind: 'reset' };
  await ask(MEDIA, [receive(bed, 'signalwire', 3)]);
  bed.signalwire.fault = { kind: 'hang' };
  await ask(MEDIA, [receive(bed, 'signalwire', 4)]);
  bed.twilio.fault = { kind: 'status', status: 500 };
  await ask(
    MEDIA,
    Array.from({ length: 10 }, (_, index) => receive(bed, 'twilio', index + 10)),
  );
  await ask(
    MEDIA,
    Array.from({ length: 5 }, (_, index) => receive(bed, 'twilio', index + 30)),
  );

  bed.kirim.fault = null;
  const announced = receive(bed, 'kirim', 5);
  const good = bed.kirim.webhookOf(announced.slice('wa:'.length));
  await deliver('wa', good);
  await deliver('wa', good);
  await deliver('wa', { ...good, headers: { ...good.headers, 'x-kirim-signature': 't=1,v1=00' } });
  await deliver('wa', kirimDelivery('message.received', { text: 'a dead letter' }, [WEBHOOK_SECRET], new Date()));
  await deliver('wa', { ...good, body: Buffer.alloc(3_000_001, 'x') });
  await deliver('no-channel-of-ours', good);
  // Other signs come first, since a scrape refreshes its counts only after some seconds.
  const { logLines } = bed;
  await until('a dead letter', () => logLines.some((line) => line.includes('became a dead letter')));
  await until('the copy', async () => {
    const answer = await ask(STATUS, [announced]);
    return sole(sole(answer.data?.messagesWithMedia)?.media).status === 'READY';
  });
  await bed.app.settled();
  await until('nothing to be due', async () => {
    text = await scrape((path) => bed.get(path));
    return text.includes('{state="dead"} 1') && text.includes('{state="due"} 0') && text.includes('mirrors_due 0');
  });
  const { kirim, signalwire, twilio } = bed;
  const requestsAtProviders = { wa: kirim.requestCount, sms: signalwire.requestCount, mms: twilio.requestCount };
  return { text, metrics: parseMetrics(text), errors, operations, requestsAtProviders, seen };
}

describe('after queries, failures of providers, webhooks and a dead letter', () => {
  let bed: TestBed;
  let observed: Observed;

  beforeAll(async () => {
    bed = await beds.shared();
    observed = await observe(bed);
  }, 2 * PATIENCE_MS);

  it('every family has help, a type, and a name as Prometheus wants it', () => {
    for (const [name, { help, type, samples: all }] of observed.metrics) {
      expect(help).toMatch(/^[A-Z].{10,}\.$/);
      expect(['counter', 'gauge', 'histogram']).toContain(type);
      expect(name).toMatch(/^(mediagraph|process|nodejs)_[a-z0-9_]+$/);
      expect({ name, total: name.endsWith('_total') }).toEqual({ name, total: type === 'counter' });
      // Base units, at the end; and no suffix that is a histogram's own (prometheus.io/docs/practices/naming).
      expect(name).not.toMatch(
        /(milli|micro|nano)seconds|_ms\b|(kilo|mega|kibi|mebi)bytes|_(count|sum|bucket|info_total)$/,
      );
      expect(name.replace(/_total$/, '')).not.toMatch(/(seconds|bytes)_./);
      if (type === 'histogram') expect(name).toMatch(/_(seconds|keys)$/);
      for (const { labels } of all) expect(Object.keys(labels)).not.toContain(name);
    }
  });

  it('histograms add up', () => {
    for (const [name, { type, samples: all }] of observed.metrics) {
      if (type !== 'histogram') continue;
      const counts = all.filter((sample) => sample.name === `${name}_count`);
      expect(counts.length > 0).toBe(all.length > 0);
      for (const { labels, value } of counts) {
        const buckets = all.filter(
          (sample) =>
            sample.name === `${name}_bucket` &&
            Object.entries(labels).every(([key, own]) => sample.labels[key] === own),
        );
        expect(buckets.at(-1)).toMatchObject({ labels: { le: '+Inf' }, value });
        expect(buckets.map((bucket) => bucket.value)).toEqual(
          buckets.map((bucket) => bucket.value).sort((a, b) => a - b),
        );
        const bounds = buckets.slice(0, -1).map((bucket) => Number(bucket.labels.le));
        expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
      }
    }
  });

  it('the process and its event loop are measured', () => {
    const now = Date.now() / 1000;
    expect(soleValue(observed.metrics, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(soleValue(observed.metrics, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(soleValue(observed.metrics, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(1_000_000);
    expect(soleValue(observed.metrics, 'process_start_time_seconds')).toBeGreaterThan(now - 86_400);
    expect(soleValue(observed.metrics, 'process_start_time_seconds')).toBeLessThan(now);
    expect(valuesBy(observed.metrics, 'nodejs_version_info', 'version')).toEqual({ [process.version]: 1 });
    expect(valuesBy(observed.metrics, 'mediagraph_build_info', 'version')).toEqual({
      [VERSION]: 1,
    });
  });

  it('the delay of the event loop is measured between scrapes', async () => {
    const lag = async () =>
      soleValue(parseMetrics(await scrape((path) => bed.get(path))), 'nodejs_eventloop_lag_max_seconds');
    await until('a delay', async () => (await lag()) > 0);
  });

  it('requests are counted by the pattern of their route', () => {
    const of = (route: string, method: string) =>
      valuesBy(observed.metrics, 'mediagraph_http_request_duration_seconds', 'status', { route, method });
    expect(of('/graphql', 'POST')).toEqual({ 200: observed.operations, 400: 1 });
    expect(of('/media/*', 'GET')).toEqual({ 200: 1, 403: 1 });
    expect(of('/webhooks/:channelId', 'POST')).toEqual({ 200: 3, 401: 1, 404: 1, 413: 1 });
    expect(of('(none)', 'GET')).toEqual({ 400: 1, 404: 1 });
  });

  it('errors of GraphQL answers are counted by their codes', () => {
    expect(Object.keys(observed.errors)).toEqual(
      expect.arrayContaining(['GRAPHQL_VALIDATION_FAILED', 'CHANNEL_NOT_FOUND', 'PROVIDER_UNAVAILABLE']),
    );
    expect(valuesBy(observed.metrics, 'mediagraph_graphql_errors_total', 'code')).toEqual(observed.errors);
  });

  it('every request to a provider is counted with its outcome', () => {
    const of = (provider: string, channel: string) =>
      valuesBy(observed.metrics, 'mediagraph_provider_request_duration_seconds', 'outcome', { provider, channel });
    expect(of('kirim', 'wa')).toMatchObject({ '5xx': 2 });
    expect(sum(of('kirim', 'wa'))).toBe(observed.requestsAtProviders.wa);
    expect(of('signalwire', 'sms')).toMatchObject({ '2xx': expect.any(Number), CONNECTION: 1, TIMEOUT: 1 });
    expect(sum(of('signalwire', 'sms'))).toBe(observed.requestsAtProviders.sms);
    const { CIRCUIT_OPEN = 0, ...outcomes } = of('twilio', 'mms');
    expect(CIRCUIT_OPEN).toBeGreaterThan(0);
    expect(sum(outcomes)).toBe(observed.requestsAtProviders.mms);
    expect(of('chakra', 'silent')).toEqual({});
  });

  it('an open circuit is shown', () => {
    expect(valuesBy(observed.metrics, 'mediagraph_provider_circuit_open', 'channel')).toEqual({
      wa: 0,
      sms: 0,
      mms: 1,
      silent: 0,
    });
  });

  it('webhooks are counted by channel, and those without a channel together', () => {
    const of = (channel: string) =>
      valuesBy(observed.metrics, 'mediagraph_webhook_deliveries_total', 'outcome', { channel });
    expect(of('wa')).toEqual({ accepted: 3, rejected: 2, failed: 0 });
    expect(of('sms')).toEqual({ accepted: 0, rejected: 0, failed: 0 });
    expect(of('(none)')).toEqual({ rejected: 1 });
  });

  it('dead letters and media are shown', () => {
    expect(valuesBy(observed.metrics, 'mediagraph_webhook_events', 'state')).toEqual({ due: 0, dead: 1 });
    expect(soleValue(observed.metrics, 'mediagraph_webhook_oldest_due_age_seconds')).toBe(0);
    expect(soleValue(observed.metrics, 'mediagraph_mirrors_due')).toBe(0);
    expect(soleValue(observed.metrics, 'mediagraph_database_up')).toBe(1);
    expect(valuesBy(observed.metrics, 'mediagraph_media', 'status')).toEqual({
      PENDING: 0,
      READY: 2,
      FAILED: 0,
      DELETED: 0,
      EXPIRED: 0,
    });
  });

  it('the text contains no tenant, caller or secret', () => {
    expect(observed.seen.length).toBeGreaterThan(20);
    const strangers = [TENANT, 'chakra-token', WEBHOOK_SECRET, 'secret-in-a-path', 'in-a-query', 'no-channel-of-ours'];
    const forbidden = [
      ...observed.seen,
      ...strangers,
      'tenant-text-of-an-id',
      'dead letter',
      'msg_',
      'nobody',
      '127.0.0.1',
    ];
    expect(forbidden.filter((one) => observed.text.includes(one))).toEqual([]);
    expect(leaksIn(observed.text, bed)).toEqual([]);
    const labels = [...observed.metrics.values()].flatMap(({ samples: all }) =>
      all.flatMap((sample) => Object.keys(sample.labels)),
    );
    expect([...new Set(labels)].sort()).toEqual(
      [
        'channel',
        'code',
        'kind',
        'le',
        'loader',
        'method',
        'operation',
        'outcome',
        'priority',
        'provider',
        'reason',
        'result',
        'route',
        'source',
        'state',
        'status',
        'tenant',
        'transport',
        'type',
        'version',
        'work',
      ].sort(),
    );
  });
});

describe('metrics.port', () => {
  it('serves only /metrics, without credentials, and measures the main port', async () => {
    const bed = await beds.own({
      config: {
        metrics: { port: 0 },
        server: { port: 0, routerSecret: 'router-secret-0123456789' },
        auth: { mode: 'apiKey', apiKeys: [{ sha256: '0'.repeat(64), tenant: 'default', scopes: ['media:read'] }] },
      },
    });
    const line = bed.logLines.find((one) => one.includes('metrics listening')) ?? '{}';
    const { url }: { url?: string } = JSON.parse(line);
    expect((await bed.get('/metrics')).status).toBe(404);
    for (const path of ['/readyz', '/graphql', '/']) expect((await bed.get(`${url}${path}`)).status).toBe(404);
    const metrics = parseMetrics(await scrape((path) => bed.get(path), url));
    const routes = valuesBy(metrics, 'mediagraph_http_request_duration_seconds', 'status', { route: '(none)' });
    expect(routes).toEqual({ 404: 1 });
  });

  describe('of a process', () => {
    let folder: string;
    let command: RunningCommand;
    let taken: RawServer;
    const agent = new Agent({ pipelining: 0 });

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mediagraph-metrics-'));
      taken = await RawServer.start();
    });
    afterEach(async () => {
      command.kill('SIGKILL');
      await command.ended;
      await taken.close();
      await rm(folder, { recursive: true });
    });
    afterAll(() => agent.destroy());

    async function serve(port: number): Promise<RunningCommand> {
      const catalog = join(folder, 'catalog');
      await copyTemplate(catalog);
      const file = join(folder, 'config.json');
      const database = { url: `pglite:${catalog}` };
      const storage = { root: join(folder, 'blobs') };
      await writeFile(
        file,
        JSON.stringify({ server: { port: 0 }, metrics: { port }, database, storage, channels: [] }),
      );
      return new RunningCommand(['serve', '--config', file]);
    }

    it(
      'that is taken ends the process with status 1 and one plain line, before it accepts a request',
      async () => {
        command = await serve(taken.port);
        expect(await command.ended).toBe(1);
        expect(command.stderr).toMatch(/could not start: metrics\.port .*EADDRINUSE/);
        expect(command.stderr.trim().split('\n')).toHaveLength(1);
        expect(command.stdout).not.toContain('listening');
      },
      PATIENCE_MS,
    );

    it(
      'is closed at SIGTERM with the main port, and measuring does not keep the process alive',
      async () => {
        command = await serve(0);
        const [line] = await command.printed(/^.*metrics listening.*$/m);
        const { url }: { url: string } = JSON.parse(line);
        await command.printed(/mediagraph listens at/);
        const { statusCode, body } = await request(`${url}/metrics`, { dispatcher: agent });
        expect(statusCode).toBe(200);
        parseMetrics(await body.text());
        command.kill('SIGTERM');
        expect(await command.ended).toBe(0);
        expect(command.stderr).toBe('');
      },
      PATIENCE_MS,
    );
  });
});

describe('while the database', () => {
  const start = useOwnServers();
  const JOBS = [
    'open',
    'due',
    'running',
    'dead',
    'paused',
    'oldest_due_age_seconds',
    'deadline_left_seconds',
    'deadline_used_ratio',
  ].map((name) => `jobs_${name}`);
  const STORED = [
    'media',
    'stored_bytes',
    'mirrors_due',
    'webhook_events',
    'webhook_oldest_due_age_seconds',
    ...JOBS,
  ].map((name) => `mediagraph_${name}`);

  /** The values from the database are absent; everything else is there. */
  function expectAway(metrics: Map<string, Family>): void {
    expect(soleValue(metrics, 'mediagraph_database_up')).toBe(0);
    for (const name of STORED) expect(family(metrics, name).samples).toEqual([]);
    expect(soleValue(metrics, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(valuesBy(metrics, 'mediagraph_build_info', 'version')).not.toEqual({});
  }

  describe('of its own', () => {
    let database: Database;
    beforeAll(async () => {
      database = await openEmbeddedDatabase();
    }, OPEN_TIMEOUT_MS);
    afterAll(() => database.close());

    it('is open, simultaneous scrapes query it once, and the next one soon after not at all', async () => {
      const counts = { pings: 0, media: 0, events: 0, jobs: 0, bytes: 0 };
      const counting = <Answer>(question: keyof typeof counts, ask: () => Promise<Answer>) => {
        counts[question] += 1;
        return ask();
      };
      const [catalogue, inbox] = [new SqlMediaCatalogue(database), new SqlWebhookInbox(database)];
      const metrics = new Metrics({
        channels: [],
        store: {
          clock: database.clock,
          ping: () => counting('pings', () => database.ping()),
          mediaCounts: () => counting('media', () => catalogue.counts()),
          eventCounts: () => counting('events', async () => ({ ...(await inbox.counts()), oldestDueAt: null })),
          jobCounts: () => counting('jobs', () => jobStoreOf(database).counts()),
          storedBytes: () => counting('bytes', () => catalogue.storedBytes()),
        },
        resources: { connections: () => database.connections() },
        logger: createLogger({ level: 'silent' }),
      });
      try {
        const texts = await Promise.all(Array.from({ length: 10 }, () => metrics.text()));
        for (const one of texts)
          expect(valuesBy(parseMetrics(one), 'mediagraph_webhook_events', 'state')).toEqual({ due: 0, dead: 0 });
        expect(counts).toEqual({ pings: 1, media: 1, events: 1, jobs: 1, bytes: 1 });
        expect(soleValue(parseMetrics(await metrics.text()), 'mediagraph_mirrors_due')).toBe(0);
        expect(counts).toEqual({ pings: 2, media: 1, events: 1, jobs: 1, bytes: 1 });
      } finally {
        metrics.close();
      }
    });

    it('is open, a scrape counts the jobs of each kind by state, with the age of the oldest that is due', async () => {
      const add = (kind: JobKind, key: string, dueInMs: number) =>
        jobStoreOf(database).add({
          kind,
          tenant: 'default',
          key,
          channelId: null,
          dueAt: new Date(Date.now() + dueInMs),
        });
      const operator = jobStoreOf(database);
      for (const key of ['1', '2']) {
        await add('webhook', key, 0);
        await operator.bury(sole(await operator.claim([{ kind: 'webhook', limit: 1 }])), 'given up');
      }
      // The server that is scraped must not begin what this test adds.
      for (const kind of JOB_KINDS) if (kind !== 'removal') await operator.pause(kind);
      await add('copy', 'is in progress', -HOUR_MS);
      await add('copy', 'is due', -HOUR_MS);
      await add('copy', 'is due for less time', -1);
      await add('copy', 'waits', HOUR_MS);
      await add('removal', 'waits', HOUR_MS);
      const { client } = await start({ config: { channels: [] }, database });
      // On the embedded engine, a server ends the leases of other processes when it starts.
      await sql`update jobs set lease_owner = 'another process', lease_until = ${new Date(Date.now() + HOUR_MS)}
        where key = 'is in progress'`.execute(database.kysely);
      const metrics = parseMetrics(await scrape((path) => client.get(path)));
      const none = Object.fromEntries(JOB_KINDS.map((kind) => [kind, 0]));
      const of = (name: string) => valuesBy(metrics, `mediagraph_jobs_${name}`, 'kind');
      // The server schedules its next sweep.
      expect(of('open')).toEqual({ ...none, copy: 4, removal: 1, sweep: 1 });
      expect(of('due')).toEqual({ ...none, copy: 2 });
      expect(of('running')).toEqual({ ...none, copy: 1 });
      expect(of('dead')).toEqual({ ...none, webhook: 2 });
      expect(of('paused')).toEqual({ ...Object.fromEntries(JOB_KINDS.map((kind) => [kind, 1])), removal: 0 });
      const { copy = 0, ...others } = of('oldest_due_age_seconds');
      expect(copy).toBeGreaterThanOrEqual(3_600);
      expect(copy).toBeLessThan(3_700);
      expect(sum(others)).toBe(0);
      await emptyTables(database);
    });

    it('is closed, a scrape is answered without the counts that it had before', async () => {
      const inbox = new SqlWebhookInbox(database);
      const anHourAgo = new Date(Date.now() - 3_600_000);
      const event = { tenant: 'default', channelId: 'wa', contentType: '', rawBody: Buffer.from('x'), now: anHourAgo };
      await inbox.receive({ ...event, dedupeKey: 'k' });
      const jobs = jobStoreOf(database);
      const job = sole(await jobs.claim([{ kind: 'webhook', limit: 1 }]));
      await jobs.retry(job, new Date(Date.now() + 3_600_000), 'not now');

      const { client } = await start({ config: { channels: [] }, database });
      const now = () => scrape((path) => client.get(path)).then(parseMetrics);
      const before = await now();
      expect(soleValue(before, 'mediagraph_database_up')).toBe(1);
      expect(valuesBy(before, 'mediagraph_webhook_events', 'state')).toEqual({ due: 1, dead: 0 });
      const age = soleValue(before, 'mediagraph_webhook_oldest_due_age_seconds');
      expect(age).toBeGreaterThanOrEqual(3_600);
      expect(age).toBeLessThan(3_700);
      await database.close();
      expectAway(await now());
    });
  });

  describeServer('answers nothing', (server) => {
    let proxy: TcpProxy;
    let database: Database;
    beforeAll(async () => {
      proxy = await TcpProxy.start(server.url());
      database = await openDatabase({ url: proxy.url });
    });
    afterAll(async () => {
      await database.close();
      await proxy.close();
    });

    it(
      'a scrape is still answered, and has all counts again afterwards',
      async () => {
        const { client } = await start({ config: { channels: [] }, database });
        const now = () => scrape((path) => client.get(path)).then(parseMetrics);
        expect(soleValue(await now(), 'mediagraph_database_up')).toBe(1);
        proxy.silence();
        for (const one of await Promise.all([now(), now(), now()])) expectAway(one);
        await proxy.restore();
        const again = await eventually(now, (one) => soleValue(one, 'mediagraph_database_up') === 1);
        expect(valuesBy(again, 'mediagraph_webhook_events', 'state')).toEqual({ due: 0, dead: 0 });
      },
      PATIENCE_MS,
    );
  });
});
