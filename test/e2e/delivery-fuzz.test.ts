/**
 * Ranges and preconditions beside nginx, which serves the same file. `TEST_LONG=1` asks 10,000 times in place of 300;
 * `TEST_SEED` repeats the requests of a run whose seed stands in the name of its test.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Chance } from '../support/chance.js';
import { describeWith } from '../support/daemon.js';
import { until } from '../support/eventually.js';
import { isInstalled } from '../support/installed-tools.js';
import { Nginx } from '../support/nginx.js';
import { receive, samples } from '../support/sample-messages.js';
import { type Got, headerOf, type TestBed, useBeds } from '../support/test-bed.js';

const IS_LONG = process.env.TEST_LONG === '1';
const REQUESTS = IS_LONG ? 10_000 : 300;
const SEED = process.env.TEST_SEED ?? randomBytes(4).toString('hex');
/** Requests under way at once. */
const BATCH = 20;
const LONG_MS = 600_000;

const { bytes } = samples.photo;
const size = bytes.length;

const CONDITIONS = ['if-match', 'if-unmodified-since', 'if-none-match', 'if-modified-since', 'if-range'] as const;
const DATES = ['if-unmodified-since', 'if-modified-since'] as const;
const TAGS = ['if-match', 'if-none-match'] as const;

type Name = 'range' | (typeof CONDITIONS)[number];

/** What is asked of both. `{etag}` and `{modified}` in a value are each server's own. */
interface SentRequest {
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Partial<Record<Name, string>>>;
}

/** A server, and what it says of its file. */
interface Side {
  readonly url: string;
  readonly etag: string;
  readonly modified: Date;
}

interface Deviation {
  readonly why: string;
  /** RFC 9110, where it says that ours may or must be so. */
  readonly section: string;
  readonly applies: (sent: SentRequest) => boolean;
  /** The same request by that section, in words on which nginx and the RFC agree. */
  readonly plainly: (sent: SentRequest) => SentRequest;
}

/**
 * In which requests nginx 1.22 may answer otherwise. It is no excuse for any answer: where one applies, nginx is asked
 * again, plainly, and answers what ours has to be.
 */
const DEVIATIONS: readonly Deviation[] = [
  {
    why: 'ranges are defined for GET alone; nginx cuts HEAD too',
    section: '14.2',
    applies: ({ method, headers }) => method === 'HEAD' && headers.range !== undefined,
    plainly: (sent) => without(sent, 'range'),
  },
  {
    why: 'a header that is no valid set of ranges may be ignored; nginx answers 416, or takes what it can read',
    section: '14.2',
    applies: ({ headers }) => setOf(headers.range)?.some((spec) => !isValid(spec)) ?? false,
    plainly: (sent) => without(sent, 'range'),
  },
  {
    why: 'a set of nothing is no set; nginx answers 416',
    section: '14.1.1',
    applies: ({ headers }) => setOf(headers.range)?.length === 0,
    plainly: (sent) => without(sent, 'range'),
  },
  {
    why: 'many ranges may be ignored, satisfiable or not; nginx counts those that are',
    section: '17.15',
    applies: ({ headers }) => (setOf(headers.range)?.length ?? 0) > 64,
    plainly: (sent) => without(sent, 'range'),
  },
  {
    why: 'empty elements of a list count for nothing, and tabs are spaces; nginx answers 416',
    section: '5.6.1.2',
    applies: ({ headers }) => /\t|,\s*,|,\s*$|=\s*,/.test(headers.range ?? ''),
    plainly: (sent) => ranged(sent, (spec) => spec),
  },
  {
    why: 'a position beyond the end means the end, however many digits it has; nginx answers 416 from 19 on',
    section: '14.1.2',
    applies: ({ headers }) => /\d{19}/.test(headers.range ?? ''),
    plainly: (sent) => ranged(sent, (spec) => spec.replace(/\d{16,}/g, (digits) => String(clamped(digits)))),
  },
  {
    why: 'a date that is no HTTP-date is ignored; nginx answers 412, or does without the time zone',
    section: '13.1.3, 13.1.4',
    applies: ({ headers }) => DATES.some((name) => headers[name] !== undefined && !isDate(headers[name])),
    plainly: (sent) => without(sent, ...DATES.filter((name) => !isDate(sent.headers[name]))),
  },
  {
    why: 'If-Unmodified-Since does not count beside If-Match',
    section: '13.1.4',
    applies: ({ headers }) => headers['if-match'] !== undefined && headers['if-unmodified-since'] !== undefined,
    plainly: (sent) => without(sent, 'if-unmodified-since'),
  },
  {
    why: 'If-Modified-Since does not count beside If-None-Match',
    section: '13.1.3',
    applies: ({ headers }) => headers['if-none-match'] !== undefined && headers['if-modified-since'] !== undefined,
    plainly: (sent) => without(sent, 'if-modified-since'),
  },
  {
    why: 'what stands within or behind the quotes of another tag is no tag; nginx looks for its own after any comma',
    section: '8.8.3',
    applies: ({ headers }) => TAGS.some((name) => headers[name]?.includes('"x,{etag}')),
    plainly: ({ method, headers }) => {
      const others = TAGS.filter((name) => headers[name]?.includes('"x,{etag}')).map((name) => [name, '"other"']);
      return { method, headers: { ...headers, ...Object.fromEntries(others) } };
    },
  },
];

function without({ method, headers }: SentRequest, ...names: readonly Name[]): SentRequest {
  const left = Object.entries(headers).filter(([name]) => !names.some((given) => given === name));
  return { method, headers: Object.fromEntries(left) };
}

/** With each range said anew, and a plain list of them. */
function ranged({ method, headers }: SentRequest, say: (spec: string) => string): SentRequest {
  return { method, headers: { ...headers, range: `bytes=${(setOf(headers.range) ?? []).map(say).join(',')}` } };
}

/** The elements of a list of ranges of bytes; null: it is none. */
function setOf(range: string | undefined): string[] | null {
  if (range === undefined || !/^bytes=/i.test(range)) return null;
  const specs = range.slice('bytes='.length).split(',');
  return specs.map((spec) => spec.replace(/^[ \t]+|[ \t]+$/g, '')).filter((spec) => spec !== '');
}

function isValid(spec: string): boolean {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(spec) ?? [];
  if (first !== undefined && last !== undefined) return BigInt(first) <= BigInt(last);
  return /^(\d+-|-\d+)$/.test(spec);
}

function clamped(digits: string): bigint {
  const [given, limit] = [BigInt(digits), BigInt(10 * size)];
  return given < limit ? given : limit;
}

/** Whether a value is a date, or stands for one. */
function isDate(value: string | undefined): boolean {
  return value !== undefined && (value.startsWith('{modified') || / GMT$|^\w{3} \w{3} /.test(value));
}

/** Requests that readers send, and absurd ones. */
class Requests {
  constructor(private readonly chance: Chance) {}

  next(): SentRequest {
    const method = this.#happens(0.15) ? 'HEAD' : 'GET';
    const values: Array<[Name, number, () => string]> = [
      ['range', 0.75, () => this.#range()],
      ['if-range', 0.35, () => (this.#happens(0.5) ? this.#tag() : this.#date())],
      ['if-none-match', 0.2, () => this.#tags()],
      ['if-match', 0.15, () => this.#tags()],
      ['if-modified-since', 0.2, () => this.#date()],
      ['if-unmodified-since', 0.15, () => this.#date()],
    ];
    const given = values.filter(([, odds]) => this.#happens(odds)).map(([name, , value]) => [name, value()]);
    return { method, headers: Object.fromEntries(given) };
  }

  #range(): string {
    const unit = this.#happens(0.9)
      ? 'bytes='
      : this.#pick('Bytes=', 'BYTES=', 'items=', 'bytes =', 'bytes:', 'bytes', '');
    if (this.#happens(0.03)) return unit;
    const count = this.#happens(0.6) ? 1 : this.#happens(0.9) ? 2 + this.chance.below(4) : 60 + this.chance.below(10);
    const hostile = this.#happens(0.2);
    const specs = Array.from({ length: count }, () => (hostile && this.#happens(0.5) ? this.#oddSpec() : this.#spec()));
    const comma = hostile ? this.#pick(',', ' , ', ',\t', ', ,', ',,') : this.#pick(',', ', ');
    return (
      unit +
      (hostile ? this.#pick('', ' ', ',', '\t') : '') +
      specs.join(comma) +
      (hostile ? this.#pick('', ',', ' ,') : '')
    );
  }

  #spec(): string {
    const [one, other] = [this.chance.below(size), this.chance.below(size)];
    const [first, last] = [Math.min(one, other), Math.max(one, other)];
    switch (this.chance.below(8)) {
      case 0:
      case 1:
        return `${first}-${last}`;
      case 2:
        return `${first}-`;
      case 3:
        return `-${last}`;
      case 4:
        return `${first}-${size + last}`;
      case 5:
        return `${size + first}-${this.#happens(0.5) ? '' : size + last}`;
      case 6:
        return this.#pick(
          '0-0',
          '0-1',
          '0-',
          '-0',
          '-1',
          `-${size}`,
          `-${size + 1}`,
          `${size - 1}-`,
          `${size}-`,
          `0-${size - 1}`,
          `0-${size}`,
        );
      default:
        return `${first}-${first}`;
    }
  }

  #oddSpec(): string {
    const [first, last] = [this.chance.below(size), this.chance.below(size)];
    const huge = '9'.repeat(16 + this.chance.below(20));
    return this.#pick(
      `${Math.max(first, last) + 1}-${Math.min(first, last)}`,
      `${first} - ${last}`,
      `${first}- ${last}`,
      `- ${last}`,
      `${first}-${last}-${last}`,
      `--${last}`,
      `+${first}-${last}`,
      `0x${first}-`,
      `${first}`,
      '-',
      '*',
      'a-b',
      '1e3-',
      `${first}.5-`,
      `000${first}-`,
      `${first}-${huge}`,
      `${huge}-`,
      `${huge}-${huge}`,
      `-${huge}`,
      '',
    );
  }

  #tag(): string {
    return this.#pick('{etag}', '{etag}', 'W/{etag}', '"other"', 'W/"other"', '""', '*', 'unquoted', '');
  }

  #tags(): string {
    if (this.#happens(0.5)) return this.#tag();
    const count = 2 + this.chance.below(3);
    const list = Array.from({ length: count }, () => this.#pick('{etag}', 'W/{etag}', '"other"', 'W/"a"', '"a,b"'));
    return this.#happens(0.1) ? '"x,{etag}' : list.join(this.#pick(',', ', ', ' ,\t'));
  }

  #date(): string {
    return this.#pick(
      '{modified}',
      '{modified}',
      '{modified850}',
      '{modifiedasc}',
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
      'Fri, 31 Dec 2060 23:59:59 GMT',
      'Friday, 31-Dec-60 23:59:59 GMT',
      'Fri, 31 Dec 2060 23:59:59',
      'yesterday',
      '0',
      '',
    );
  }

  #happens(odds: number): boolean {
    return this.chance.next() < odds;
  }

  #pick<Item>(...items: readonly [Item, ...Item[]]): Item {
    return items[this.chance.below(items.length)] ?? items[0];
  }
}

/** A value in the words of one server. */
function said(value: string, { etag, modified }: Side): string {
  const [weekday = '', day, month, year = '', time] = modified.toUTCString().replace(',', '').split(' ');
  const long = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'][modified.getUTCDay()];
  return value
    .replaceAll('{etag}', etag)
    .replace('{modified}', modified.toUTCString())
    .replace('{modified850}', `${long}, ${day}-${month}-${year.slice(2)} ${time} GMT`)
    .replace('{modifiedasc}', `${weekday} ${month} ${String(modified.getUTCDate()).padStart(2)} ${time} ${year}`);
}

describeWith('nginx', await isInstalled('nginx', '-v'), 'ranges and preconditions', () => {
  const beds = useBeds();
  let bed: TestBed;
  let folder: string;
  let nginx: Nginx;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-static-'));
    await writeFile(join(folder, 'media'), bytes);
    // So that no second has to pass for a date to be earlier.
    await utimes(join(folder, 'media'), new Date(), new Date('2026-03-04T05:06:07Z'));
    nginx = await Nginx.serving(`root ${folder}; max_ranges 1; if_modified_since before;`);
  });
  afterAll(async () => {
    await nginx.close();
    await rm(folder, { recursive: true });
  });
  beforeEach(async () => {
    bed = await beds.shared();
  });

  /** What has to be alike. */
  async function answerOf(side: Side, { method, headers }: SentRequest) {
    const given = Object.entries(headers).map(([name, value]) => [name, said(value, side)]);
    const got = await bed.get(side.url, { method, headers: Object.fromEntries(given) });
    const isBody = got.status === 200 || got.status === 206;
    return {
      status: got.status,
      range: got.headers['content-range'],
      length: isBody ? got.headers['content-length'] : undefined,
      body: isBody || got.status === 304 ? createHash('sha256').update(got.bytes).digest('hex') : undefined,
    };
  }

  const sideOf = (url: string, got: Pick<Got, 'headers'>): Side => ({
    url,
    etag: headerOf(got, 'etag'),
    modified: new Date(headerOf(got, 'last-modified')),
  });

  it(
    `${REQUESTS} requests are answered as nginx and the RFC do, seed ${SEED}`,
    async () => {
      const url = await bed.urlOf(receive(bed, 'signalwire'));
      await until('the bytes to be kept', async () => (await bed.get(url)).headers.etag !== undefined);
      const ours = sideOf(url, await bed.get(url));
      const theirs = sideOf(`${nginx.url}/media`, await bed.get(`${nginx.url}/media`));
      const requests = new Requests(new Chance(SEED));
      const met = new Set<string>();
      const compare = async (sent: SentRequest) => {
        const [our, their] = await Promise.all([answerOf(ours, sent), answerOf(theirs, sent)]);
        if (JSON.stringify(our) === JSON.stringify(their)) return;
        const applying = DEVIATIONS.filter(({ applies }) => applies(sent));
        for (const { why } of applying) met.add(why);
        const plain = applying.reduce(
          (request, { plainly, applies }) => (applies(request) ? plainly(request) : request),
          sent,
        );
        const expected = applying.length === 0 ? their : await answerOf(theirs, plain);
        const names = applying.map(({ why, section }) => `${section}: ${why}`);
        expect({ seed: SEED, sent, names, answer: our }).toEqual({ seed: SEED, sent, names, answer: expected });
      };
      for (let sent = 0; sent < REQUESTS; sent += BATCH)
        await Promise.all(Array.from({ length: BATCH }, () => compare(requests.next())));
      // A deviation that ten thousand requests do not meet is none.
      if (IS_LONG) expect([...met].sort()).toEqual(DEVIATIONS.map(({ why }) => why).sort());
    },
    LONG_MS,
  );
});
