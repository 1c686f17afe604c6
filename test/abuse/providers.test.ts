import { once } from 'node:events';
import { createServer } from 'node:net';
import { request } from 'undici';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../demo/src/emulators/faults.js';
import { signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { eventually } from '../support/eventually.js';
import { BODY_MARKER, leaksIn } from '../support/leaks.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, receive, receiveEverywhere, samples } from '../support/sample-messages.js';
import {
  ACCOUNTS,
  type BedOptions,
  CHANNELS,
  type GraphQLAnswer,
  type MessagesData,
  nth,
  type ProviderOfBed,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';

const PROVIDERS: readonly ProviderOfBed[] = ['kirim', 'signalwire', 'twilio'];
const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id channelId media { id status url } } }';
/** Short, so that what fails by the clock fails soon; one second leaves LaML's own waits for late messages out. */
const DEADLINE_MS = 1_000;
/** The default `timeout` of a provider. A call that ends earlier was ended by the configured one. */
const DEFAULT_DEADLINE_MS = 10_000;
const ONCE = { timeout: `${DEADLINE_MS}ms`, retries: 0 };
/** Where nothing is to fail by the clock. */
const UNHURRIED = { timeout: '20s', retries: 0 };

const beds = useBeds({ config: { providers: forAll(ONCE) } });
const unhurriedBeds = useBeds({ config: { providers: forAll(UNHURRIED) } });
const raws: RawServer[] = [];
let bed: TestBed;

beforeEach(async () => {
  bed = await beds.shared();
});

afterEach(async () => {
  await Promise.all(raws.splice(0).map((raw) => raw.close()));
});

function forAll(policy: Record<string, unknown>): Record<string, unknown> {
  return { kirim: policy, signalwire: policy, twilio: policy };
}

async function startBed(policy: Record<string, unknown>, options: BedOptions = {}): Promise<void> {
  bed = await beds.own({ ...options, config: { providers: forAll(policy), ...options.config } });
}

async function startRaw(handler?: Parameters<typeof RawServer.start>[0]): Promise<RawServer> {
  const raw = await RawServer.start(handler);
  raws.push(raw);
  return raw;
}

const emulatorOf = (provider: ProviderOfBed): EmulatorServer => bed[provider];

/** Asks all three providers in one query and expects that one of them alone is missing, with an error of its own. */
/** As the schema spells a provider. */
function enumValueOf(provider: string): string {
  return provider.toUpperCase().replaceAll('-', '_');
}

async function expectAlone(
  provider: ProviderOfBed,
  extensions: Record<string, unknown>,
): Promise<GraphQLAnswer<MessagesData>> {
  const answer = await bed.query(MEDIA, { ids: receiveEverywhere(bed) });
  const at = PROVIDERS.indexOf(provider);
  expect(answer.status).toBe(200);
  for (const [index, message] of (answer.data?.messagesWithMedia ?? []).entries()) {
    expect(message).toMatchObject({ id: messageId(nth(PROVIDERS, index)), channelId: CHANNELS[nth(PROVIDERS, index)] });
    if (index === at) expect(message?.media).toBeNull();
    else expect(sole(message?.media)).toMatchObject({ status: 'READY', url: expect.any(String) });
  }
  expect(answer.data?.messagesWithMedia).toHaveLength(PROVIDERS.length);
  expect(sole(answer.errors)).toMatchObject({
    path: ['messagesWithMedia', at, 'media'],
    extensions: {
      provider: enumValueOf(provider),
      channelId: CHANNELS[provider],
      requestId: answer.headers['x-request-id'],
      ...extensions,
    },
  });
  expect(leaksIn(answer.text, bed)).toEqual([]);
  return answer;
}

async function timed<Result>(work: Promise<Result>): Promise<{ result: Result; ms: number }> {
  const start = performance.now();
  const result = await work;
  return { result, ms: performance.now() - start };
}

const PAGE = `<!doctype html><html><body>${BODY_MARKER} 10.1.2.3</body></html>`;
const PROTOCOL = { code: 'PROVIDER_PROTOCOL' };
const UNAVAILABLE = { code: 'PROVIDER_UNAVAILABLE', retryable: true };
const CREDENTIALS = { code: 'PROVIDER_CREDENTIALS' };

const EVERYWHERE: ReadonlyArray<[string, Fault, Record<string, unknown>]> = [
  ['a page with status 200', { kind: 'body', body: PAGE, contentType: 'text/html' }, PROTOCOL],
  ['a page that says it is JSON', { kind: 'body', body: PAGE }, PROTOCOL],
  ['half a JSON', { kind: 'body', body: `{"media_list":[{"sid":"${BODY_MARKER}` }, PROTOCOL],
  ['nothing with status 200', { kind: 'body', body: '' }, PROTOCOL],
  ['JSON of another shape', { kind: 'body', body: JSON.stringify({ media_list: { [BODY_MARKER]: 1 } }) }, PROTOCOL],
  [
    'ten megabytes of JSON',
    { kind: 'body', body: JSON.stringify({ media_list: [], padding: BODY_MARKER.repeat(400_000) }) },
    PROTOCOL,
  ],
  ['401', { kind: 'status', status: 401, body: BODY_MARKER }, { ...CREDENTIALS, upstreamStatus: 401 }],
  ['403', { kind: 'status', status: 403, body: BODY_MARKER }, { ...CREDENTIALS, upstreamStatus: 403 }],
  ['400', { kind: 'status', status: 400, body: BODY_MARKER }, { code: 'PROVIDER_REJECTED', upstreamStatus: 400 }],
  [
    '429',
    { kind: 'status', status: 429, headers: { 'Retry-After': '30' } },
    { code: 'PROVIDER_RATE_LIMITED', retryable: true, retryAfterMs: 30_000 },
  ],
  ['500', { kind: 'status', status: 500, body: PAGE }, { ...UNAVAILABLE, upstreamStatus: 500 }],
  [
    '503 as a page',
    { kind: 'status', status: 503, body: PAGE, headers: { 'content-type': 'text/html' } },
    { ...UNAVAILABLE, upstreamStatus: 503 },
  ],
  ['a lost connection', { kind: 'reset' }, UNAVAILABLE],
];

describe.each(PROVIDERS)('%s alone is missing when it answers', (provider) => {
  it.each(EVERYWHERE)('%s', async (_name, fault, extensions) => {
    bed = await unhurriedBeds.shared();
    emulatorOf(provider).fault = fault;
    await expectAlone(provider, extensions);
  });

  it('nothing until the deadline', async () => {
    emulatorOf(provider).fault = { kind: 'hang' };
    const { ms } = await timed(expectAlone(provider, UNAVAILABLE));
    expect(ms).toBeGreaterThanOrEqual(DEADLINE_MS - 20);
    expect(ms).toBeLessThan(DEFAULT_DEADLINE_MS);
  });

  it('slowly, byte by byte, for longer than the deadline', async () => {
    const drips = await startRaw((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 50);
      response.once('close', () => clearInterval(timer));
    });
    await startBed(ONCE, { channelKeys: { [provider]: { baseUrl: `${drips.url}/v1` } } });
    const { ms } = await timed(expectAlone(provider, UNAVAILABLE));
    expect(ms).toBeLessThan(DEFAULT_DEADLINE_MS);
    await drips.allClosed();
  });

  it('bytes that are not HTTP', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(`SSH-2.0-${BODY_MARKER}\r\n\r\n`));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await startBed(ONCE, { channelKeys: { [provider]: { baseUrl: `http://127.0.0.1:${port}/v1` } } });
    await expectAlone(provider, PROTOCOL);
    server.close();
  });

  it('with a closed port', async () => {
    // No process listens on port 1; another process may have taken a port that was free a moment ago.
    await startBed(ONCE, { channelKeys: { [provider]: { baseUrl: 'http://127.0.0.1:1/v1' } } });
    await expectAlone(provider, UNAVAILABLE);
  });

  it('headers without an end', async () => {
    const shouts = await startRaw((_request, response) => {
      response.writeHead(200, { 'x-padding': BODY_MARKER.repeat(3_000) });
      response.end('{}');
    });
    await startBed(ONCE, { channelKeys: { [provider]: { baseUrl: `${shouts.url}/v1` } } });
    await expectAlone(provider, PROTOCOL);
  });
});

describe.each(['signalwire', 'twilio'] as const)('%s alone is missing when its list', (provider) => {
  it.each<[string, unknown]>([
    ['has sids that are no sids', { media_list: [{ sid: '../../../Accounts', content_type: 'image/jpeg' }] }],
    ['has sids of a megabyte', { media_list: [{ sid: 'a'.repeat(1_000_000), content_type: 'image/jpeg' }] }],
    ['has media that are null', { media_list: [null] }],
    ['is null', { media_list: null }],
    ['has a next page that is no text', { media_list: [], next_page_uri: { toString: BODY_MARKER } }],
  ])('%s', async (_name, body) => {
    emulatorOf(provider).fault = { kind: 'body', body: JSON.stringify(body) };
    await expectAlone(provider, PROTOCOL);
  });

  it('ends in the middle', async () => {
    emulatorOf(provider).fault = { kind: 'cut', afterBytes: 20 };
    const { errors } = await expectAlone(provider, {});
    expect(['PROVIDER_PROTOCOL', 'PROVIDER_UNAVAILABLE']).toContain(sole(errors).extensions.code);
  });

  it('stops in the middle', async () => {
    emulatorOf(provider).fault = { kind: 'hang-in-body', afterBytes: 20 };
    const { ms } = await timed(expectAlone(provider, UNAVAILABLE));
    expect(ms).toBeLessThan(DEFAULT_DEADLINE_MS);
  });

  it('is a redirect: the credentials stay', async () => {
    const trap = await startRaw();
    emulatorOf(provider).fault = { kind: 'redirect', status: 302, location: `${trap.url}/${BODY_MARKER}` };
    await expectAlone(provider, { ...PROTOCOL, upstreamStatus: 302 });
    expect(trap.connectionCount).toBe(0);
  });

  it('is unknown: the message has no media, without an error', async () => {
    const { data, errors } = await bed.query(MEDIA, { ids: [messageId(provider, 404)] });
    expect([data?.messagesWithMedia[0]?.media, errors]).toEqual([[], []]);
  });

  it('has invalid types: the types are unknown, and nothing else fails', async () => {
    const body = {
      media_list: [{ sid: signalwireMediaSid(1), content_type: '<script>\r\n', date_created: 'yesterday' }],
    };
    emulatorOf(provider).fault = { kind: 'body', body: JSON.stringify(body) };
    const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { kind mimeType createdAt } } }';
    const { data, errors } = await bed.query(query, { ids: [messageId(provider)] });
    expect(errors).toEqual([]);
    expect(data?.messagesWithMedia[0]?.media).toEqual([{ kind: 'OTHER', mimeType: null, createdAt: null }]);
  });
});

describe('an invalid next page', () => {
  it.each(['signalwire', 'twilio'] as const)(
    'of %s on another origin is not asked, and gets no credentials',
    async (provider) => {
      const trap = await startRaw();
      bed[provider].pageFault = { kind: 'other-origin', origin: trap.url };
      await expectAlone(provider, PROTOCOL);
      expect(trap.connectionCount).toBe(0);
    },
  );

  it.each(['signalwire', 'twilio'] as const)('of %s in another account is not asked', async (provider) => {
    bed[provider].pageFault = { kind: 'other-account', accountSid: 'AC99' };
    await expectAlone(provider, PROTOCOL);
    expect(emulatorOf(provider).requests.filter(({ path }) => path.includes('AC99'))).toEqual([]);
  });

  it.each(['signalwire', 'twilio'] as const)('of %s that names itself ends the walk', async (provider) => {
    bed[provider].pageFault = { kind: 'endless' };
    await expectAlone(provider, PROTOCOL);
    expect(emulatorOf(provider).requestCount).toBeLessThan(5);
  });

  it('that is always another one ends the walk too', async () => {
    let page = 0;
    const path = `/api/laml/2010-04-01/Accounts/${ACCOUNTS.signalwire}/Messages/${signalwireMessageSid(1)}/Media`;
    const endless = await startRaw((_request, response) => {
      page += 1;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ media_list: [], next_page_uri: `${path}?Page=${page}` }));
    });
    await startBed(ONCE, { channelKeys: { signalwire: { baseUrl: `${endless.url}/api/laml/2010-04-01` } } });
    await expectAlone('signalwire', PROTOCOL);
    expect(endless.requests.length).toBeGreaterThan(1);
    expect(endless.requests.length).toBeLessThanOrEqual(50);
  });

  it.each([
    ['an origin without a scheme', (own: string, trap: string) => `${trap.replace('http:', '')}${own}`],
    ['dot segments', (own: string) => `${own}/../../../../Accounts/AC99/Messages.json`],
    ['encoded dot segments', (own: string) => `${own}/%2e%2e/%2e%2e/AC99`],
    ['an encoded slash', (own: string) => `${own}/..%2f..%2fAC99`],
    ['backslashes', (own: string) => `${own}\\..\\..\\AC99`],
    ['user information', (own: string, trap: string) => `http://user:pass@${new URL(trap).host}${own}`],
    ['our own origin after an @', (own: string, trap: string) => `${bed.signalwire.url}@${new URL(trap).host}${own}`],
    ['another scheme', (own: string) => `file://${own}`],
    ['a script', () => 'javascript:alert(1)'],
    ['the message above', (own: string) => own.replace(/\/Messages.*/, '/Messages.json')],
  ])('with %s is not asked', async (_name, next) => {
    const trap = await startRaw();
    const own = `/api/laml/2010-04-01/Accounts/${ACCOUNTS.signalwire}/Messages/${signalwireMessageSid(1)}/Media`;
    bed.signalwire.fault = {
      kind: 'body',
      body: JSON.stringify({ media_list: [], next_page_uri: next(own, trap.url) }),
    };
    await expectAlone('signalwire', PROTOCOL);
    expect(trap.connectionCount).toBe(0);
    expect(bed.signalwire.requestCount).toBe(1);
  });
});

describe("Kirim's redirect", () => {
  type Location = [string, (port: number) => string];
  const NEVER: Location[] = [
    ['an address behind the link of a cloud', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a private network', () => 'http://10.0.0.1/'],
    ['an IPv4 address inside of IPv6', (port) => `http://[::ffff:127.0.0.1]:${port}/`],
    ['loopback in IPv6', (port) => `http://[::1]:${port}/`],
    ['a short spelling', (port) => `http://127.1:${port}/`],
    ['a decimal spelling', (port) => `http://2130706433:${port}/`],
    ['an octal spelling', (port) => `http://0177.0.0.1:${port}/`],
    ['a padded spelling', (port) => `http://127.000.000.001:${port}/`],
    ['user information', (port) => `http://user:pass@127.0.0.1:${port}/`],
    ['ftp', (port) => `ftp://127.0.0.1:${port}/`],
    ['a file', () => 'file:///etc/passwd'],
    ['a script', () => 'javascript:alert(1)'],
    ['a backslash', (port) => `http:\\\\127.0.0.1:${port}\\`],
  ];
  const WHERE_CLOSED: Location[] = [
    ['loopback', (port) => `http://127.0.0.1:${port}/`],
    ['port 1 of loopback', () => 'http://127.0.0.1:1/'],
    ['localhost', (port) => `http://localhost:${port}/`],
    ['no scheme', (port) => `//127.0.0.1:${port}/`],
    ['a public host on a port that is not open', () => 'http://93.184.215.14:6379/'],
  ];

  it.each(NEVER)('to %s is refused even where loopback is open, and nothing connects', async (_name, location) => {
    await expectRefused(location);
  });

  it.each(WHERE_CLOSED)(
    'to %s is refused where no private network is open, and nothing connects',
    async (_name, location) => {
      await startBed(ONCE, { config: { network: {} } });
      await expectRefused(location);
    },
  );

  it('is opened for the channel alone whose options say so', async () => {
    await startBed(ONCE, {
      config: { network: {} },
      channelKeys: { kirim: { options: { allowPrivate: ['127.0.0.0/8'] } } },
    });
    const ids = receiveEverywhere(bed);
    expect((await bed.get(await bed.urlOf(nth(ids, 0)))).status).toBe(200);
    expect((await bed.get(await bed.urlOf(nth(ids, 1)))).status).toBe(502);
  });

  it('without an address is no answer', async () => {
    bed.kirim.fault = { kind: 'redirect', status: 302, location: '' };
    await expectAlone('kirim', PROTOCOL);
  });

  async function expectRefused(location: (port: number) => string): Promise<void> {
    const trap = await startRaw();
    const target = location(trap.port);
    bed.kirim.fault = { kind: 'redirect', status: 302, location: target };
    const result = await expectAlone('kirim', { code: 'URL_NOT_ALLOWED' });
    expect(trap.connectionCount).toBe(0);
    expect(result.text).not.toContain(target);
  }
});

describe("Kirim's details", () => {
  const DETAILS =
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url mimeType filename sizeBytes } } }';

  it.each<[string, Fault]>([
    ['a page', { kind: 'body', body: PAGE, contentType: 'text/html' }],
    ['half a JSON', { kind: 'body', body: '{"type":"ima' }],
    ['ten megabytes', { kind: 'body', body: JSON.stringify({ padding: BODY_MARKER.repeat(400_000) }) }],
    ['nothing', { kind: 'hang' }],
    [
      'lies of other types',
      { kind: 'body', body: JSON.stringify({ type: 5, mime_type: { a: BODY_MARKER }, filename: [], caption: 7 }) },
    ],
  ])('come from the CDN where the message resource answers %s', async (_name, fault) => {
    bed.kirim.faults.push({ match: /messages\/[^/]+$/, fault });
    const { text, data, errors } = await bed.query(DETAILS, { ids: [receive(bed, 'kirim')] });
    expect(errors).toEqual([]);
    expect(sole(sole(data?.messagesWithMedia)?.media)).toMatchObject({
      mimeType: 'image/jpeg',
      filename: null,
      sizeBytes: samples.photo.bytes.length,
    });
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it('are null with an error each when no source has them, and the link still works', async () => {
    const ids = [receive(bed, 'kirim')];
    bed.kirim.faults.push({ match: /messages\/[^/]+$/, fault: { kind: 'status', status: 500, body: BODY_MARKER } });
    bed.cdn.faults.push({ match: ({ headers }) => headers.range !== undefined, fault: { kind: 'reset' } });
    const { text, data, errors } = await bed.query(DETAILS, { ids });
    const media = sole(sole(data?.messagesWithMedia)?.media);
    expect(media).toMatchObject({ id: expect.any(String), mimeType: null, filename: null, sizeBytes: null });
    expect(errors.map(({ path, extensions }) => [path?.at(-1), extensions.code]).sort()).toEqual([
      ['filename', 'PROVIDER_UNAVAILABLE'],
      ['mimeType', 'PROVIDER_UNAVAILABLE'],
      ['sizeBytes', 'PROVIDER_UNAVAILABLE'],
    ]);
    expect((await bed.get(media.url)).bytes.equals(samples.photo.bytes)).toBe(true);
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it('do not carry a type with a line break in it', async () => {
    const body = JSON.stringify({ type: 'image', mime_type: 'image/jpeg\r\nset-cookie: a=b', filename: 'a\r\nb.jpg' });
    bed.kirim.faults.push({ match: /messages\/[^/]+$/, fault: { kind: 'body', body } });
    const { data } = await bed.query(DETAILS, { ids: [receive(bed, 'kirim')] });
    expect(sole(sole(data?.messagesWithMedia)?.media).mimeType).toBe('image/jpeg');
  });
});

describe('calls that fail for a moment', () => {
  const PATIENT = { timeout: '5s', retries: 2 };

  it.each(PROVIDERS)('of %s are repeated: two failures, then the answer', async (provider) => {
    await startBed(PATIENT);
    emulatorOf(provider).faults.push({ match: /./, fault: { kind: 'status', status: 500 }, times: 1 });
    emulatorOf(provider).faults.push({ match: /./, fault: { kind: 'reset' }, times: 1 });
    const { errors } = await bed.query(MEDIA, { ids: receiveEverywhere(bed) });
    expect(errors).toEqual([]);
    expect(emulatorOf(provider).requestCount).toBe(3);
    expect(bed.providerCalls).toBe(5);
  });

  it.each(PROVIDERS)('of %s stop after the configured retries', async (provider) => {
    await startBed(PATIENT);
    emulatorOf(provider).fault = { kind: 'status', status: 502 };
    await expectAlone(provider, { ...UNAVAILABLE, upstreamStatus: 502 });
    expect(emulatorOf(provider).requestCount).toBe(3);
  });

  it.each(PROVIDERS)('of %s are not repeated when the answer is final', async (provider) => {
    await startBed(PATIENT);
    emulatorOf(provider).fault = { kind: 'status', status: 403 };
    await expectAlone(provider, CREDENTIALS);
    expect(emulatorOf(provider).requestCount).toBe(1);
  });

  it.each([
    ['seconds', () => '1', 950],
    // A date has whole seconds: this one is more than one second away, at most two.
    ['a date', () => new Date(Date.now() + 2_000).toUTCString(), 950],
    ['a date that has passed', () => new Date(Date.now() - 60_000).toUTCString(), 0],
    ['nonsense', () => 'soon', 0],
  ])('wait as Retry-After says in %s', async (_name, retryAfter, atLeastMs) => {
    await startBed(PATIENT);
    // A date counts from when it was made, which a busy machine may send much later.
    const madeAt = Date.now();
    bed.twilio.faults.push({
      match: /./,
      fault: { kind: 'status', status: 429, headers: { 'Retry-After': retryAfter() } },
      times: 1,
    });
    const { errors } = await bed.query(MEDIA, { ids: receiveEverywhere(bed) });
    expect(errors).toEqual([]);
    const [first, second] = bed.twilio.requests;
    expect((second?.at ?? 0) - madeAt).toBeGreaterThanOrEqual(atLeastMs);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeLessThan(2_500);
    expect(bed.twilio.requestCount).toBe(2);
  });

  it.each([
    ['seconds', () => '120', 120_000],
    ['a date', () => new Date(Date.now() + 120_000).toUTCString(), 120_000],
  ])('fail at once when Retry-After in %s is beyond the deadline', async (_name, retryAfter, ms) => {
    await startBed(PATIENT);
    bed.kirim.fault = { kind: 'status', status: 429, headers: { 'Retry-After': retryAfter() } };
    const { result, ms: took } = await timed(
      expectAlone('kirim', { code: 'PROVIDER_RATE_LIMITED', retryable: true, upstreamStatus: 429 }),
    );
    expect(took).toBeLessThan(1_000);
    expect(bed.kirim.requestCount).toBe(1);
    const { retryAfterMs } = sole(result.errors).extensions;
    expect(Math.abs(Number(retryAfterMs) - ms)).toBeLessThan(2_500);
  });
});

describe('a provider that keeps failing', () => {
  it('is not called for a moment, then called again', async () => {
    await startBed(ONCE);
    const ids = Array.from({ length: 20 }, (_, index) => receive(bed, 'signalwire', index));
    const other = receive(bed, 'twilio');
    bed.signalwire.fault = { kind: 'status', status: 500 };
    await bed.query(MEDIA, { ids });
    // A busy machine may be late for the moment, and makes the channel fail anew.
    const open = await eventually(
      async () => {
        bed.clearRequests();
        return bed.query(MEDIA, { ids: [...ids, other] });
      },
      () => bed.signalwire.requestCount === 0,
    );
    expect(open.errors.map(({ extensions }) => extensions.code)).toEqual(ids.map(() => 'PROVIDER_UNAVAILABLE'));
    expect(open.errors.every(({ extensions }) => extensions.retryable === true)).toBe(true);
    expect(open.data?.messagesWithMedia.at(-1)?.media).toHaveLength(1);
    bed.signalwire.fault = null;
    // The breaker decides when to try again; nothing but an answer tells.
    const closedAgain = async () => (await bed.query(MEDIA, { ids: ids.slice(0, 1) })).errors.length === 0;
    for (let tries = 0; !(await closedAgain()); tries++) {
      if (tries > 500) throw new Error('expected the circuit to close again');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await bed.query(MEDIA, { ids })).errors).toEqual([]);
  });

  it('is not considered down because it refuses a request', async () => {
    await startBed(ONCE);
    bed.kirim.fault = { kind: 'status', status: 403 };
    const ids = Array.from({ length: 30 }, (_, index) => receive(bed, 'kirim', index));
    await bed.query(MEDIA, { ids });
    bed.kirim.fault = null;
    expect((await bed.query(MEDIA, { ids })).errors).toEqual([]);
  });

  it('answers a hundred messages within two deadlines when it hangs', async () => {
    await startBed(ONCE);
    bed.signalwire.fault = { kind: 'hang' };
    const ids = Array.from({ length: 100 }, (_, index) => receive(bed, 'signalwire', index));
    const result = await bed.query(MEDIA, { ids });
    expect(result.errors).toHaveLength(100);
    expect(new Set(result.errors.map(({ extensions }) => extensions.code))).toEqual(new Set(['PROVIDER_UNAVAILABLE']));
    // Two lines of the default concurrency, each of which waits out its deadline once; what a busy machine adds is no third.
    expect(bed.signalwire.requestCount).toBeLessThanOrEqual(64);
  });
});

describe('calls to one channel', () => {
  const LATENCY_MS = 60;

  it('are never more at once than maxConcurrency', async () => {
    await startBed({ timeout: '10s', retries: 0, maxConcurrency: 4 });
    bed.signalwire.latencyMs = LATENCY_MS;
    const ids = Array.from({ length: 24 }, (_, index) => receive(bed, 'signalwire', index));
    const answers = await Promise.all([
      bed.query(MEDIA, { ids: ids.slice(0, 12) }),
      bed.query(MEDIA, { ids: ids.slice(12) }),
    ]);
    expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    const starts = bed.signalwire.requests.map(({ at }) => at);
    expect(starts).toHaveLength(24);
    // Timers and the clock of the log may differ by a few milliseconds.
    const atOnce = starts.map(
      (start) => starts.filter((other) => other <= start && start < other + LATENCY_MS - 5).length,
    );
    expect(Math.max(...atOnce)).toBeLessThanOrEqual(4);
    expect(Math.max(...atOnce)).toBeGreaterThan(1);
  });

  it('that still wait are dropped when the caller disconnects', async () => {
    await startBed({ timeout: '10s', retries: 0, maxConcurrency: 4 });
    bed.signalwire.latencyMs = LATENCY_MS;
    const ids = Array.from({ length: 50 }, (_, index) => receive(bed, 'signalwire', index));
    const caller = new AbortController();
    const gone = request(`${bed.app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: MEDIA, variables: { ids } }),
      signal: caller.signal,
    });
    await firstRequest(bed.signalwire);
    caller.abort();
    await expect(gone).rejects.toThrow();
    // A call that still waited in the queue would have been sent before this one.
    const { errors } = await bed.query(MEDIA, { ids: [receive(bed, 'signalwire', 99)] });
    expect(errors).toEqual([]);
    expect(bed.signalwire.requestCount).toBeLessThanOrEqual(9);
  });

  it('under way are aborted when the caller disconnects', async () => {
    const hangs = await startRaw(() => {});
    await startBed({ timeout: '60s', retries: 0 }, { channelKeys: { signalwire: { baseUrl: `${hangs.url}/v1` } } });
    const caller = new AbortController();
    const gone = bed.query(MEDIA, { ids: [messageId('signalwire')] }, { signal: caller.signal });
    while (hangs.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    caller.abort();
    await expect(gone).rejects.toThrow();
    await hangs.allClosed();
  });
});

describe('hostile ids at a provider', () => {
  it('stay one segment of the path', async () => {
    const ids = ['a/b', 'a?b=c', 'a#b', 'a b', 'ä', '%41', '%2525', 'a;b', 'a\\b', '@evil.example', '//evil.example/'];
    for (const id of ids) bed.kirim.addMessage({ id, media: samples.photo });
    const { errors, data } = await bed.query(MEDIA, { ids: ids.map((id) => `wa:${id}`) });
    expect(errors).toEqual([]);
    expect(data?.messagesWithMedia.map((message) => message?.media?.length)).toEqual(ids.map(() => 1));
    expect(bed.kirim.requests.map(({ path }) => path).sort()).toEqual(
      ids.map((id) => `/v1/messages/${encodeURIComponent(id)}/media`).sort(),
    );
  });
});

async function firstRequest(emulator: EmulatorServer): Promise<void> {
  while (emulator.requestCount === 0) await new Promise((resolve) => setImmediate(resolve));
}
