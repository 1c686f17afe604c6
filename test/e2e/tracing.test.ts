import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { Client } from '../support/client.js';
import { type CollectedSpan, Collector } from '../support/collector.js';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { until } from '../support/eventually.js';
import { samples } from '../support/sample-messages.js';
import { SECRETS, sole, WITHOUT_PLACEHOLDERS } from '../support/test-bed.js';

const PATIENCE_MS = 60_000;
const SDK = fileURLToPath(new URL('../support/tracing-sdk.js', import.meta.url));
const WEBHOOK_SECRET = 'webhook-secret-0123456789';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const ROUTER_SPAN = 'b7ad6b7169203331';
const QUERY = `query Inbox($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url status thumbnailUrl(width: 64) } } }`;
const CLIENT = 3;
const CONSUMER = 5;

describe('a process with an OpenTelemetry SDK that is loaded by --import', () => {
  let folder: string;
  let cdn: CdnEmulator;
  let kirim: KirimEmulator;
  let collector: Collector;
  let command: RunningCommand;
  let client: Client;

  const named = (name: string) => collector.spans.filter((span) => span.name === name);
  const idOf = (index: number) => `wa:${kirimMessageId(index)}`;
  const parentOf = ({ parentSpanId }: CollectedSpan) => collector.spans.find(({ spanId }) => spanId === parentSpanId);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-tracing-'));
    cdn = await new CdnEmulator().start();
    kirim = await new KirimEmulator({ token: SECRETS.kirimToken, cdn, webhookSecrets: [WEBHOOK_SECRET] }).start();
    collector = await Collector.start();
    const catalog = join(folder, 'catalog');
    await copyTemplate(catalog);
    const file = join(folder, 'config.json');
    const channel = {
      ...{ id: 'wa', provider: 'kirim', baseUrl: kirim.baseUrl, credentials: { token: SECRETS.kirimToken } },
      webhook: { secret: WEBHOOK_SECRET },
    };
    const config = {
      server: { port: 0 },
      database: { url: `pglite:${catalog}` },
      storage: { root: join(folder, 'blobs') },
      network: { allowPrivate: ['127.0.0.0/8'] },
      ...WITHOUT_PLACEHOLDERS,
      channels: [channel],
    };
    await writeFile(file, JSON.stringify(config));
    command = new RunningCommand(['serve', '--config', file], {
      NODE_OPTIONS: `--import ${SDK}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    });
    const [, url = ''] = await command.printed(/mediagraph listens at (\S+)/);
    client = new Client(url);
  }, PATIENCE_MS);

  afterAll(async () => {
    command.kill('SIGKILL');
    await Promise.all([command.ended, collector.close(), cdn.close(), kirim.close(), client.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  it('continues the trace of the router in the operation, its batches, statements and provider calls', async () => {
    kirim.addMessage({ id: kirimMessageId(1), media: samples.photo });
    const traceparent = `00-${TRACE_ID}-${ROUTER_SPAN}-01`;
    const body = JSON.stringify({ query: QUERY, variables: { ids: [idOf(1)] } });
    const headers = { 'content-type': 'application/json', traceparent };
    await client.get('/graphql', { method: 'POST', headers, body });
    await until('the span of the request', async () => named('POST /graphql').length === 1);
    const server = sole(named('POST /graphql'));
    expect(server).toMatchObject({ traceId: TRACE_ID, parentSpanId: ROUTER_SPAN });
    const operation = sole(named('graphql query'));
    expect(operation.attributes).toEqual({ 'graphql.operation.type': 'query', 'graphql.operation.name': 'Inbox' });
    expect(parentOf(operation)).toBe(server);
    const batch = sole(named('load mediaByMessage'));
    expect(batch.attributes).toEqual({ 'mediagraph.batch.keys': 1 });
    expect(parentOf(batch)).toBe(operation);
    const below = collector.spans.filter((span) => span.traceId === TRACE_ID && parentOf(span) === batch);
    const statement = below.find(({ name }) => name.startsWith('select') || name.startsWith('with'));
    expect(statement).toMatchObject({ kind: CLIENT, attributes: { 'db.system.name': 'postgresql' } });
    const call = below.find(({ attributes }) => attributes['mediagraph.provider'] === 'kirim');
    expect(call).toMatchObject({ kind: CLIENT, attributes: { 'mediagraph.channel': 'wa' } });
    expect(kirim.requests.filter(({ headers }) => headers.traceparent !== undefined)).toEqual([]);
  });

  it('links the job of a webhook to its request, and the copy to that job', async () => {
    kirim.addMessage({ id: kirimMessageId(2), media: samples.photo });
    const { body, headers } = kirim.webhookOf(kirimMessageId(2));
    await client.get('/webhooks/wa', { method: 'POST', headers, body: body.toString() });
    await until('the span of the copy', async () => named('job copy').length === 1);
    const request = sole(named('POST /webhooks/:channelId'));
    const webhook = sole(named('job webhook'));
    expect(webhook).toMatchObject({ kind: CONSUMER, parentSpanId: '' });
    expect(sole(webhook.links).traceId).toBe(request.traceId);
    const copy = sole(named('job copy'));
    expect(copy.attributes).toMatchObject({ 'mediagraph.job.kind': 'copy', 'mediagraph.channel': 'wa' });
    expect(sole(copy.links).traceId).toBe(webhook.traceId);
    expect(new Set([request.traceId, webhook.traceId, copy.traceId]).size).toBe(3);
    // What the job does is part of its trace.
    const inCopy = collector.spans.filter(({ traceId }) => traceId === copy.traceId);
    expect(inCopy.map(({ name }) => name)).toContain('fetch');
    expect(inCopy.some(({ attributes }) => attributes['db.system.name'] === 'postgresql')).toBe(true);
  });

  it('records deliveries and renditions, also answers from memory', async () => {
    const { data } = await client.query<{
      readonly messagesWithMedia: ReadonlyArray<{
        readonly media: ReadonlyArray<{ readonly url: string; readonly thumbnailUrl: string }>;
      }>;
    }>(QUERY, { ids: [idOf(2)] });
    const { url, thumbnailUrl } = sole(sole(data?.messagesWithMedia).media);
    await until('a delivery without a route', async () => {
      expect((await client.get(url)).status).toBe(200);
      return named('GET /media/*').some(({ spanId }) => !named('deliver').some((one) => one.parentSpanId === spanId));
    });
    expect((await client.get(thumbnailUrl)).status).toBe(200);
    await until('the span of the still', async () => named('rendition still').length === 1);
    const still = sole(named('rendition still'));
    expect(parentOf(still)?.name).toBe('deliver');
    const sources = named('deliver').map(({ attributes }) => attributes['mediagraph.delivery.source']);
    expect(sources).toContain('store');
  });

  it('keeps secrets, links, ids and values of statements out of the spans', () => {
    const signatures = ['sig=', 'exp=', 'kid='];
    const ids = [kirimMessageId(1), kirimMessageId(2)];
    const forbidden = [...signatures, ...ids, SECRETS.kirimToken, WEBHOOK_SECRET, 'messagesWithMedia(', 'where '];
    expect(forbidden.filter((one) => collector.text.includes(one))).toEqual([]);
  });
});
