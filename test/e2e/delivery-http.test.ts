import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { UrlSigner } from '../../src/links/signed-url.js';
import { eventually } from '../support/eventually.js';
import { RawServer } from '../support/raw-server.js';
import { receive, samples } from '../support/sample-messages.js';
import { errorOf, type Got, headerOf, SECRETS, sole, type TestBed, useBeds } from '../support/test-bed.js';

const beds = useBeds();
let bed: TestBed;

const { bytes } = samples.photo;
const size = bytes.length;
const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;

beforeEach(async () => {
  bed = await beds.shared();
});

/** A link to a photo whose bytes are here. */
async function storedPath(): Promise<string> {
  const path = await bed.pathOf(receive(bed, 'signalwire'));
  expect((await bed.get(path)).status).toBe(200);
  await bed.app.settled();
  bed.clearRequests();
  return path;
}

function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> {
  return bed.get(path, { headers });
}

/** Headers of several requests. */
function some(headers: ReadonlyArray<Readonly<Record<string, string>>>): typeof headers {
  return headers;
}

describe('a stored media', () => {
  let path: string;

  beforeEach(async () => {
    path = await storedPath();
  });

  it('has every header that caches and players need', async () => {
    const got = await get(path);
    expect(got.bytes.equals(bytes)).toBe(true);
    expect(got.headers).toMatchObject({
      etag,
      'accept-ranges': 'bytes',
      'content-length': String(size),
      'content-type': 'image/jpeg',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
      'access-control-allow-origin': '*',
    });
    expect(headerOf(got, 'last-modified')).toMatch(/ GMT$/);
    expect(headerOf(got, 'cache-control')).toMatch(/^private, max-age=\d+, immutable$/);
    expect(headerOf(got, 'access-control-expose-headers')).toMatch(/Content-Range.*ETag/);
    expect(got.headers['set-cookie']).toBeUndefined();
    expect(bed.providerCalls + bed.cdn.requestCount).toBe(0);
  });

  it.each<[string, number, number]>([
    ['bytes=0-1', 0, 1],
    ['bytes=0-0', 0, 0],
    ['bytes=10-', 10, size - 1],
    ['bytes=-5', size - 5, size - 1],
    [`bytes=-${size + 10}`, 0, size - 1],
    [`bytes=${size - 1}-${size + 100}`, size - 1, size - 1],
    ['BYTES=3-4', 3, 4],
    ['bytes= 3-4 ', 3, 4],
    [`bytes=3-4,${size}-`, 3, 4],
    ['bytes=0-99999999999999999999999', 0, size - 1],
  ])('answers a range: %s', async (range, start, end) => {
    const got = await get(path, { range });
    expect([got.status, got.headers['content-range']]).toEqual([206, `bytes ${start}-${end}/${size}`]);
    expect(headerOf(got, 'content-length')).toBe(String(end - start + 1));
    expect(got.bytes.equals(bytes.subarray(start, end + 1))).toBe(true);
    expect(headerOf(got, 'etag')).toBe(etag);
  });

  it.each(['bytes=5-4', 'bytes=', 'bytes=a-b', 'items=0-1', 'bytes=0-1,5-6', 'bytes=0 - 1', 'bytes=--1'])(
    'answers with the whole, as RFC 9110 section 14.2 requires: %s',
    async (range) => {
      const got = await get(path, { range });
      expect([got.status, got.headers['content-range'], got.bytes.length]).toEqual([200, undefined, size]);
    },
  );

  it.each([`bytes=${size}-`, 'bytes=-0', `bytes=${size}-${size + 5}`, 'bytes=99999999999999999999-'])(
    'refuses an unsatisfiable range: %s',
    async (range) => {
      const got = await get(path, { range });
      expect([got.status, got.headers['content-range']]).toEqual([416, `bytes */${size}`]);
      expect(errorOf(got).code).toBe('BAD_USER_INPUT');
      expect(headerOf(got, 'cache-control')).toBe('no-store');
    },
  );

  it('answers If-Range with a part only while the representation is unchanged', async () => {
    const range = 'bytes=0-1';
    const modified = headerOf(await get(path), 'last-modified');
    const status = async (ifRange: string) => (await get(path, { range, 'if-range': ifRange })).status;
    expect(await status(etag)).toBe(206);
    expect(await status(`W/${etag}`)).toBe(200);
    expect(await status('"other"')).toBe(200);
    expect(await status(modified)).toBe(206);
    expect(await status('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(200);
    expect(await status('nonsense')).toBe(200);
  });

  it('is not sent to a reader that has the current representation', async () => {
    const modified = headerOf(await get(path), 'last-modified');
    for (const headers of some([
      { 'if-none-match': etag },
      { 'if-none-match': `"a,b", W/${etag}` },
      { 'if-none-match': '*' },
      { 'if-modified-since': modified },
      { 'if-modified-since': 'Friday, 31-Dec-60 23:59:59 GMT' },
      { 'if-none-match': etag, range: 'bytes=0-1' },
      // A reader whose tag is current is not asked for its date (RFC 9110 section 13.2.2).
      { 'if-none-match': etag, 'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' },
    ])) {
      const got = await get(path, headers);
      expect([headers, got.status, got.bytes.length]).toEqual([headers, 304, 0]);
      expect(got.headers).toMatchObject({ etag, 'cache-control': expect.stringContaining('max-age=') });
      expect(got.headers['content-length']).toBeUndefined();
    }
  });

  it('is sent to a reader that has another representation', async () => {
    for (const headers of some([
      { 'if-none-match': '"other"' },
      { 'if-none-match': etag.replaceAll('"', '') },
      { 'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' },
      { 'if-modified-since': 'yesterday' },
      { 'if-none-match': '"other"', 'if-modified-since': new Date(Date.now() + 1e9).toUTCString() },
      { 'if-match': etag },
      { 'if-match': '*' },
      { 'if-unmodified-since': new Date(Date.now() + 1e9).toUTCString() },
    ])) {
      expect([headers, (await get(path, headers)).status]).toEqual([headers, 200]);
    }
  });

  it('is refused when a precondition of the reader fails', async () => {
    for (const headers of some([
      { 'if-match': '"other"' },
      { 'if-match': `W/${etag}` },
      { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' },
      { 'if-match': '"other"', 'if-none-match': etag },
    ])) {
      const got = await get(path, headers);
      expect([headers, got.status, headerOf(got, 'cache-control')]).toEqual([headers, 412, 'no-store']);
    }
  });

  it('answers HEAD like GET, without a body and without ranges', async () => {
    const [head, whole] = [await bed.get(path, { method: 'HEAD', headers: { range: 'bytes=0-1' } }), await get(path)];
    const same = ({ headers }: Got) => {
      const {
        date: _,
        'x-request-id': __,
        connection: ___,
        'keep-alive': ____,
        'cache-control': cached,
        ...rest
      } = headers;
      // A second may pass between the two.
      return { ...rest, cached: String(cached).replace(/\d+/, 'some') };
    };
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    expect(same(head)).toEqual(same(whole));
    expect((await bed.get(path, { method: 'HEAD', headers: { 'if-none-match': etag } })).status).toBe(304);
  });

  it('lets pages of other origins request ranges', async () => {
    const headers = {
      origin: 'https://app.example.com',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'range,if-range',
    };
    const got = await bed.get(path, { method: 'OPTIONS', headers });
    expect(got.status).toBe(204);
    expect(headerOf(got, 'access-control-allow-headers').toLowerCase()).toMatch(/^range, if-range/);
    expect(headerOf(got, 'access-control-allow-methods')).toContain('GET');
  });
});

describe('a media that is still at its provider', () => {
  const parts: ReadonlyArray<[string, number, number]> = [
    ['bytes=0-1', 0, 1],
    ['bytes=-4', size - 4, size - 1],
    ['bytes=100-', 100, size - 1],
  ];

  it.each(parts)('answers a range from the copy under way: %s', async (range, start, end) => {
    const path = await bed.pathOf(receive(bed, 'twilio'));
    const got = await get(path, { range });
    expect([got.status, got.headers['content-range']]).toEqual([206, `bytes ${start}-${end}/${size}`]);
    expect(got.bytes.equals(bytes.subarray(start, end + 1))).toBe(true);
    await bed.app.settled();
    bed.clearRequests();
    const whole = await get(path);
    expect([whole.status, whole.headers.etag, bed.cdn.requestCount]).toEqual([200, etag, 0]);
  });

  it.each(parts)('answers a range when nothing is stored: %s', async (range, start, end) => {
    const off = await beds.own({ config: { mirror: { mode: 'off' } } });
    const path = await off.pathOf(receive(off, 'twilio'));
    const got = await off.get(path, { headers: { range } });
    expect([got.status, got.headers['content-range']]).toEqual([206, `bytes ${start}-${end}/${size}`]);
    expect(got.bytes.equals(bytes.subarray(start, end + 1))).toBe(true);
    expect(got.headers.etag).toBeUndefined();
  });

  it('answers a range although the provider does not announce the length', async () => {
    const provider = await RawServer.start((_request, response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg' });
      response.write(bytes.subarray(0, 5_000));
      response.end(bytes.subarray(5_000));
    });
    try {
      const id = receive(bed, 'kirim');
      bed.kirim.fault = { kind: 'redirect', status: 302, location: provider.url };
      const path = await bed.pathOf(id);
      const got = await get(path, { range: 'bytes=-4' });
      expect([got.status, got.headers['content-range']]).toEqual([206, `bytes ${size - 4}-${size - 1}/${size}`]);
    } finally {
      await provider.close();
    }
  });
});

describe('links that are bound to origins', () => {
  const origin = 'https://inbox.example.com';

  it('work only for pages of those origins', async () => {
    const bound = await beds.own({ config: { delivery: { bindToOrigins: true, allowedOrigins: [origin] } } });
    const path = await bound.pathOf(receive(bound, 'signalwire'));
    const status = async (headers: Readonly<Record<string, string>>) => (await bound.get(path, { headers })).status;
    expect(await status({ origin })).toBe(200);
    expect(await status({ referer: `${origin}/conversations/7` })).toBe(200);
    expect(await status({ referer: 'https://evil.example.com/?https://inbox.example.com' })).toBe(403);
    expect(await status({ origin: 'https://evil.example.com', referer: `${origin}/` })).toBe(403);
    expect(await status({ origin: 'null' })).toBe(403);
    expect(await status({})).toBe(403);
    const got = await bound.get(path);
    expect([errorOf(got).code, headerOf(got, 'vary')]).toEqual(['FORBIDDEN', 'Origin, Referer']);
    expect((await bound.get(path.replace('&o=bound', ''))).status).toBe(403);
  });
});

describe('a link that is opened again and again', () => {
  it('works until it expires or the media ends', async () => {
    const [, , mediaId = '', filename = ''] = new URL(await storedPath(), 'http://any').pathname.split('/');
    const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
    const urls = new UrlSigner({ keys, baseUrl: () => '', ttlMs: 3_600_000 });
    const expiresAt = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2_000);
    const path = urls.sign({ mediaId, filename, disposition: 'inline', expiresAt });
    const statuses: number[] = [];
    await eventually(
      async () => {
        const got = await get(path);
        if (got.status === 200) expect(Date.now()).toBeLessThan(expiresAt.getTime() + 1_000);
        statuses.push(got.status);
        return got;
      },
      (got) => got.status === 403 && errorOf(got).code === 'URL_EXPIRED',
    );
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime());
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(2);
  });

  it('has the same answer each time, except for max-age', async () => {
    const path = await storedPath();
    const [first, second, third] = [await get(path), await get(path), await get(path, { range: 'bytes=1-2' })];
    const rest = ({ headers }: Got) =>
      Object.entries(headers).filter(
        ([name]) => !/^(date|x-request-id|cache-control|content-(length|range))$/.test(name),
      );
    expect(new Map(rest(second))).toEqual(new Map(rest(first)));
    expect(new Map(rest(third))).toEqual(new Map(rest(first)));
    expect(third.bytes.equals(bytes.subarray(1, 3))).toBe(true);
    expect(headerOf(second, 'x-request-id')).not.toBe(headerOf(first, 'x-request-id'));
    const named = await get(path, { 'x-request-id': 'from-a-proxy' });
    expect(headerOf(named, 'x-request-id')).toBe('from-a-proxy');
    expect(bed.logLines.join('')).toContain(
      '"requestId":"from-a-proxy","method":"GET","route":"/media/*","status":200',
    );
  });
});

describe('a blob that is shorter than it was', () => {
  it('is not served as a whole one', async () => {
    const own = await beds.own({ config: { delivery: { memoryCache: 0 } } });
    const path = await own.pathOf(receive(own, 'signalwire'));
    await own.get(path);
    await own.app.settled();
    await own.truncateBlobs(100);
    const got = await own.get(path);
    expect([got.status, got.bytes.equals(bytes)]).toEqual([200, true]);
  });
});

it('does not mix up two requests on one connection after a 304 and a 206', async () => {
  const path = await storedPath();
  const { host, port, hostname } = new URL(bed.app.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const ask = (headers: string) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${headers}\r\n\r\n`;
  socket.write(
    ask(`if-none-match: ${etag}`) + ask('range: bytes=0-3') + ask('range: bytes=-0') + ask('connection: close'),
  );
  const text = (await buffer(socket)).toString('latin1');
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['304', '206', '416', '200'].map((status) => `HTTP/1.1 ${status}`));
  expect(text.endsWith(bytes.toString('latin1'))).toBe(true);
});

it('reveals nothing about a media that is gone', async () => {
  const path = await storedPath();
  const id = sole(path.match(/(?<=^\/media\/)[^/]+/));
  const deleted = await bed.query('mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }', { id });
  expect(deleted.errors).toEqual([]);
  for (const headers of some([{}, { range: 'bytes=0-1' }, { 'if-none-match': etag }]))
    expect([headers, (await get(path, headers)).status]).toEqual([headers, 410]);
});
