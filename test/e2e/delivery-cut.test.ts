import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { eventually } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { RawServer } from '../support/raw-server.js';
import { receive } from '../support/sample-messages.js';
import { type TestBed, useBeds } from '../support/test-bed.js';

const beds = useBeds();

/** Larger than what any socket takes at once. */
const bytes = Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'), randomBytes(3_000_000)]);
const HALF = bytes.length / 2;

type Answer = (response: ServerResponse, part: Buffer) => void;

const announce = (length: number) => ({ 'content-type': 'image/jpeg', 'content-length': length });
const sendHalf = (response: ServerResponse, end: () => void) => void response.write(bytes.subarray(0, HALF), end);

/** Ways to die in the middle of a body. */
const DEATHS: ReadonlyArray<[how: string, answer: Answer]> = [
  [
    'a body of an announced length that ends',
    (response) => {
      response.writeHead(200, announce(bytes.length));
      sendHalf(response, () => response.socket?.end());
    },
  ],
  [
    'a body of an announced length that is reset',
    (response) => {
      response.writeHead(200, announce(bytes.length));
      sendHalf(response, () => response.socket?.resetAndDestroy());
    },
  ],
  [
    'a chunked body that ends',
    (response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg' });
      sendHalf(response, () => response.socket?.end());
    },
  ],
  [
    'a chunk that is none',
    (response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg' });
      sendHalf(response, () => response.socket?.end('zz\r\nnonsense\r\n'));
    },
  ],
];

let answer: Answer;
let provider: RawServer;
let requestedRanges: Array<string | undefined>;

beforeEach(async () => {
  requestedRanges = [];
  provider = await RawServer.start((request, response) => {
    requestedRanges.push(request.headers.range);
    answer(response, bytes);
  });
});
afterEach(() => provider.close());

const well: Answer = (response, whole) => void response.writeHead(200, announce(whole.length)).end(whole);

/** A link to a media that is at that provider. */
async function linkIn(bed: TestBed): Promise<string> {
  const id = receive(bed, 'kirim');
  bed.kirim.fault = { kind: 'redirect', status: 302, location: provider.url };
  return bed.pathOf(id);
}

/** What a reader got: the bytes of an answer that looks complete, or the fact that it does not. */
async function read(bed: TestBed, path: string, range?: string): Promise<Buffer | 'cut' | number> {
  try {
    const got = await bed.get(path, { headers: range === undefined ? {} : { range } });
    return got.status < 300 ? got.bytes : got.status;
  } catch {
    return 'cut';
  }
}

const stored = async (bed: TestBed) => (await filesBelow(bed.blobs)).filter((file) => file.endsWith('.original'));

describe.each(['lazy', 'off'] as const)('with mirror.mode %s, a provider that dies in the middle', (mode) => {
  it.each(DEATHS)('%s: makes an incomplete answer, and leaves no copy', async (_how, death) => {
    const bed = await beds.own({ config: { mirror: { mode } } });
    const path = await linkIn(bed);
    answer = death;
    expect(await Promise.all([read(bed, path), read(bed, path)])).toEqual(['cut', 'cut']);
    await bed.app.settled();
    expect(await stored(bed)).toEqual([]);
    answer = well;
    const whole = await read(bed, path);
    expect(Buffer.isBuffer(whole) && whole.equals(bytes)).toBe(true);
  });
});

it('a range that arrived before the provider died is complete, and a later one is not', async () => {
  const bed = await beds.own();
  const path = await linkIn(bed);
  answer = DEATHS[0]?.[1] ?? well;
  const [first, last] = await Promise.all([read(bed, path, 'bytes=0-999'), read(bed, path, 'bytes=-10')]);
  expect(Buffer.isBuffer(first) && first.equals(bytes.subarray(0, 1_000))).toBe(true);
  // No byte had been sent, so the answer can be an error.
  expect([502, 503]).toContain(last);
  await bed.app.settled();
  expect(await stored(bed)).toEqual([]);
});

it('bytes with another hash than announced are delivered, and not stored', async () => {
  const bed = await beds.own();
  const id = receive(bed, 'kirim');
  await bed.recordHash(id.slice(id.indexOf(':') + 1), '0'.repeat(64));
  bed.kirim.fault = { kind: 'redirect', status: 302, location: provider.url };
  const path = await bed.pathOf(id);
  answer = well;
  const whole = await read(bed, path);
  expect(Buffer.isBuffer(whole) && whole.equals(bytes)).toBe(true);
  await bed.app.settled();
  expect(await stored(bed)).toEqual([]);
});

it('a reader that disconnects ends neither the copy nor the other readers', async () => {
  const bed = await beds.own();
  const path = await linkIn(bed);
  let finish = () => {};
  answer = (response) => {
    response.writeHead(200, announce(bytes.length));
    response.write(bytes.subarray(0, HALF));
    finish = () => void response.end(bytes.subarray(HALF));
  };
  const leaving = new AbortController();
  const left = bed.get(path, { signal: leaving.signal }).catch(() => 'left');
  const stays = read(bed, path);
  await eventually(
    () => Promise.resolve(requestedRanges.length),
    (count) => count === 1,
  );
  leaving.abort();
  expect(await left).toBe('left');
  finish();
  const whole = await stays;
  expect(Buffer.isBuffer(whole) && whole.equals(bytes)).toBe(true);
  await bed.app.settled();
  expect(await stored(bed)).toHaveLength(1);
  expect(requestedRanges).toEqual([undefined]);
});

describe('a range far ahead of the copy under way', () => {
  const large = Buffer.concat([bytes, randomBytes(9_000_000)]);
  const start = large.length - 1_000;

  /** Sends the first half, then nothing until the test lets it continue. */
  function slowly(partly: Answer): { goOn: () => void } {
    const state = { goOn: () => {} };
    answer = (response) => {
      if (requestedRanges.at(-1) !== undefined) return partly(response, large);
      response.writeHead(200, announce(large.length));
      response.write(large.subarray(0, HALF));
      state.goOn = () => void response.end(large.subarray(HALF));
    };
    return state;
  }

  it('comes from a provider that supports ranges', async () => {
    const bed = await beds.own();
    const path = await linkIn(bed);
    const slow = slowly((response) => {
      const part = large.subarray(start);
      const range = `bytes ${start}-${large.length - 1}/${large.length}`;
      response.writeHead(206, { ...announce(part.length), 'content-range': range }).end(part);
    });
    const whole = read(bed, path);
    await eventually(
      () => Promise.resolve(requestedRanges.length),
      (count) => count === 1,
    );
    const part = await read(bed, path, `bytes=${start}-`);
    expect(Buffer.isBuffer(part) && part.equals(large.subarray(start))).toBe(true);
    expect(requestedRanges).toEqual([undefined, `bytes=${start}-${large.length - 1}`]);
    slow.goOn();
    expect(Buffer.isBuffer(await whole)).toBe(true);
  });

  it.each<[string, Answer]>([
    ['gives no parts', (response, whole) => void response.writeHead(200, announce(whole.length)).end(whole)],
    ['fails', (response) => void response.writeHead(500).end()],
    ['says that there is no such part', (response) => void response.writeHead(416).end()],
    [
      'gives another part',
      (response, whole) =>
        void response
          .writeHead(206, { ...announce(10), 'content-range': `bytes 0-9/${whole.length}` })
          .end(whole.subarray(0, 10)),
    ],
  ])('comes eventually from one that %s', async (_what, partly) => {
    const bed = await beds.own({ config: { providers: { kirim: { retries: 0 } } } });
    const path = await linkIn(bed);
    const slow = slowly(partly);
    const whole = read(bed, path);
    await eventually(
      () => Promise.resolve(requestedRanges.length),
      (count) => count === 1,
    );
    const part = read(bed, path, `bytes=${start}-`);
    await eventually(
      () => Promise.resolve(requestedRanges.length),
      (count) => count > 1,
    );
    slow.goOn();
    const got = await part;
    expect(Buffer.isBuffer(got) && got.equals(large.subarray(start))).toBe(true);
    await whole;
  });
});
