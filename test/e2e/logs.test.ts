import { createHash } from 'node:crypto';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { parseConfig } from '../../src/config/config.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { credentials, leaksIn } from '../support/leaks.js';
import { messageId, receiveEverywhere } from '../support/sample-messages.js';
import { nth, type TestBed, useBeds } from '../support/test-bed.js';

const API_KEY = 'api-key-0123456789-journey';
const ROUTER_SECRET = 'router-secret-0123456789';
const WEBHOOK_SECRET = 'webhook-secret-0123456789';
const ONCE = { timeout: '1s', retries: 0 };

const beds = useBeds({
  config: {
    server: { port: 0, routerSecret: ROUTER_SECRET },
    auth: {
      mode: 'apiKey',
      apiKeys: [
        { sha256: createHash('sha256').update(API_KEY).digest('hex'), tenant: 'default', scopes: ['media:read'] },
      ],
    },
    log: { level: 'trace' },
    mirror: { mode: 'lazy' },
    providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE },
  },
  channelKeys: { kirim: { webhook: { secret: WEBHOOK_SECRET } } },
});

const headers = {
  authorization: `Bearer ${API_KEY}`,
  'x-router-secret': ROUTER_SECRET,
  cookie: 'session=cookie-0123456789',
};
const MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id kind mimeType filename url } } }`;

describe('the logs of a whole journey, with errors', () => {
  let bed: TestBed;
  let signatures: string[];

  beforeAll(async () => {
    bed = await beds.shared();
    const ids = receiveEverywhere(bed);
    const { data } = await bed.query(MEDIA, { ids }, { headers });
    const urls = data?.messagesWithMedia.flatMap((message) => message?.media ?? []).map(({ url }) => url) ?? [];
    signatures = urls.map((url) => new URL(url).searchParams.get('sig') ?? '');
    const openAll = async () => {
      for (const url of urls) await bed.get(url, { headers });
    };
    await openAll();
    for (const url of urls) await bed.get(`${url}x`, { headers });
    for (const fault of [
      { kind: 'status', status: 401 },
      { kind: 'status', status: 500, body: 'a body' },
      { kind: 'body', body: '<html>' },
      { kind: 'reset' },
      { kind: 'redirect', status: 302, location: 'http://user:pass@10.0.0.1/?token=of-the-redirect' },
      { kind: 'hang' },
    ] as const) {
      for (const emulator of [bed.kirim, bed.signalwire, bed.twilio]) emulator.fault = fault;
      await bed.query(MEDIA, { ids }, { headers });
      await openAll();
      await bed.reset();
      bed.cdn.fault = fault;
      await openAll();
      await bed.reset();
    }
    await bed.query(
      MEDIA,
      { ids: ['sms:..', 'nobody:x', messageId('kirim')] },
      { headers: { ...headers, authorization: 'Bearer a-wrong-key-0123456789' } },
    );
    await bed.query('{ nonsense', {}, { headers });
    await bed.post('{"query":', { headers });
    await bed.get('/nothing?sig=in-a-query', { headers });
    await bed.app.reload(parseConfig({ channels: [] }, {}));
  }, 60_000);

  it('hold no credential, no signature, no cookie', () => {
    expect(bed.logLines.length).toBeGreaterThan(20);
    const secrets = [
      ...credentials(),
      ...signatures,
      API_KEY,
      createHash('sha256').update(API_KEY).digest('hex'),
      ROUTER_SECRET,
      WEBHOOK_SECRET,
      'a-wrong-key-0123456789',
      'cookie-0123456789',
      'of-the-redirect',
      'in-a-query',
      'user:pass',
    ];
    expect(signatures).toHaveLength(3);
    const found = secrets.flatMap((secret) =>
      bed.logLines.filter((line) => line.includes(secret)).map((line) => `${secret}: ${line}`),
    );
    expect(found).toEqual([]);
    expect(bed.logLines.filter((line) => /[?&]sig=/.test(line))).toEqual([]);
  });

  it('are one JSON object a line, with level and time', () => {
    for (const line of bed.logLines) {
      expect(JSON.parse(line)).toMatchObject({
        level: expect.stringMatching(/^[a-z]+$/),
        time: expect.stringMatching(/Z$/),
        msg: expect.any(String),
      });
    }
  });

  it('name the request in every line of a request, and the route without its query', () => {
    const lines: Array<Record<string, unknown>> = bed.logLines.map((line) => JSON.parse(line));
    const requests = lines.filter(({ msg }) => msg === 'request');
    expect(requests.length).toBeGreaterThan(20);
    for (const line of requests)
      expect(line).toMatchObject({
        requestId: expect.any(String),
        method: expect.any(String),
        route: expect.not.stringContaining('?'),
        status: expect.any(Number),
      });
    for (const line of lines.filter(({ msg }) => msg === 'request failed'))
      expect(line).toMatchObject({ requestId: expect.any(String), code: expect.any(String) });
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length);
  });

  it('have no level error for expected failures', () => {
    const unexpected = bed.logLines.filter((line) => /"level":"(error|fatal)"/.test(line));
    expect(unexpected).toEqual([]);
  });
});

describe('a trace that a router began', () => {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
  const traced = { ...headers, traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`, 'x-request-id': 'router-1' };

  beforeAll(() => provider.register());
  beforeEach(() => exporter.reset());
  afterAll(async () => {
    await provider.shutdown();
    trace.disable();
    context.disable();
    propagation.disable();
  });

  const propagated = ({ emulators }: TestBed) =>
    emulators.flatMap(({ requests }) => requests).map(({ headers: { traceparent } }) => traceparent);

  it('continues in the spans of provider calls, with the request id, and is not sent to providers', async () => {
    const bed = await beds.shared();
    const ids = receiveEverywhere(bed);
    bed.clearRequests();
    await bed.query(MEDIA, { ids }, { headers: traced });
    const spans = exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === TRACE_ID);
    const calls = spans.filter(({ attributes }) => attributes['mediagraph.provider'] !== undefined);
    for (const { kind } of calls) expect(kind).toBe(SpanKind.CLIENT);
    const channels = calls.map(({ attributes }) => attributes['mediagraph.channel']);
    expect([...new Set(channels)].sort()).toEqual(['mms', 'sms', 'wa']);
    const server = spans.filter(({ kind }) => kind === SpanKind.SERVER);
    expect(server).toHaveLength(1);
    for (const { attributes } of [...server, ...calls]) expect(attributes['mediagraph.request_id']).toBe('router-1');
    const facts = spans.map(({ name, attributes, status }) => [name, attributes, status]);
    expect(leaksIn(JSON.stringify(facts), bed)).toEqual([]);
    expect(propagated(bed).length).toBeGreaterThan(0);
    expect(propagated(bed).filter((header) => header !== undefined)).toEqual([]);
  });

  it('is sent to providers when the configuration allows it', async () => {
    const bed = await beds.own({ config: { tracing: { propagateToProviders: true } } });
    await bed.query(MEDIA, { ids: receiveEverywhere(bed) }, { headers: traced });
    const listings = propagated(bed).filter((header) => header !== undefined);
    expect(listings.length).toBeGreaterThan(0);
    for (const header of listings) expect(header).toMatch(new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`));
  });
});

describe('the logger', () => {
  it('removes secrets by their names, however nested', () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    const secrets = {
      authorization: 'secret-1',
      cookie: 'secret-2',
      token: 'secret-3',
      password: 'secret-4',
      secret: 'secret-5',
      secretAccessKey: 'secret-6',
      signingKeys: [{ id: 'k1', secret: 'secret-7' }],
      apiKeys: [{ sha256: 'secret-8' }],
      routerSecret: 'secret-9',
      'x-router-secret': 'secret-10',
      'set-cookie': ['secret-11'],
      credentials: { username: 'secret-12', password: 'secret-13' },
    };
    logger.info(secrets, 'at the top');
    logger.info({ headers: secrets }, 'one level down');
    logger.info({ request: { headers: secrets } }, 'two levels down');
    logger.info({ channels: [{ webhook: secrets }] }, 'in a list');
    logger.child({ request: { headers: secrets } }).info('in a child');
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line).not.toContain('secret-');
    expect(nth(lines, 1)).toContain('[redacted]');
  });

  it('removes the secrets of a whole configuration', () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    logger.info({ config: configOf() }, 'a configuration');
    for (const secret of credentials()) expect(lines.join('')).not.toContain(secret);
  });
});

function configOf(): unknown {
  const accountSid = 'AC1';
  return {
    server: { routerSecret: ROUTER_SECRET },
    delivery: { signingKeys: [{ id: 'k1', secret: nth(credentials(), 3) }] },
    channels: [
      { credentials: { token: nth(credentials(), 0) } },
      {
        credentials: { accountSid, username: accountSid, password: nth(credentials(), 1) },
        webhook: { secret: nth(credentials(), 2) },
      },
    ],
  };
}
