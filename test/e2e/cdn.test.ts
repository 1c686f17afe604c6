import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import { signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { UrlSigner } from '../../src/links/signed-url.js';
import { copyTemplate } from '../support/copy-template.js';
import { CountedOrigin } from '../support/counted-origin.js';
import { describeWith } from '../support/daemon.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { eventually, until } from '../support/eventually.js';
import { isInstalled } from '../support/installed-tools.js';
import { Mutations } from '../support/mutations.js';
import { Nginx } from '../support/nginx.js';
import { OwnServer } from '../support/own-server.js';
import { samples } from '../support/sample-messages.js';
import { errorOf, type GetOptions, type Got, headerOf, nth, SECRETS, sole } from '../support/test-bed.js';
import { Varnish } from '../support/varnish.js';

const START_MS = 60_000;
const PURGE_SECRET = 'purge-secret-0123456789';
const LARGEST_KEPT = 1_000_000;
const READERS = 20;
const INBOX = 'https://inbox.example.com';
const { bytes } = samples.photo;

interface Cache extends Door {
  readonly url: string;
}

interface Kind {
  readonly name: string;
  readonly program: string;
  readonly isHere: boolean;
  /** Whether the server purges it after a deletion; else it revalidates each answer. */
  readonly isPurged: boolean;
  start(origin: URL): Promise<Cache>;
}

const NGINX: Kind = {
  name: 'nginx',
  program: 'nginx',
  isHere: await isInstalled('nginx', '-v'),
  isPurged: false,
  start: ({ host }) => Nginx.cache(host),
};

const VARNISH: Kind = {
  name: 'Varnish',
  program: 'varnishd',
  isHere: await isInstalled('varnishd', '-V'),
  isPurged: true,
  start: (origin) => Varnish.start({ origin, purgeSecret: PURGE_SECRET, largestBytes: LARGEST_KEPT }),
};

const KINDS = [NGINX, VARNISH];

/** A server, what stands between it and its caches, and the caches. */
class Site {
  #received = 0;

  private constructor(
    readonly origin: CountedOrigin,
    readonly server: OwnServer,
    private readonly caches: ReadonlyMap<Kind, Cache>,
    private readonly providers: EmulatedProviders,
    private readonly catalogue: EmbeddedCatalogue,
    private readonly doors: readonly Door[],
  ) {}

  static async start(): Promise<Site> {
    const doors: Door[] = [];
    const opened = <Opened extends Door>(door: Opened): Opened => {
      doors.unshift(door);
      return door;
    };
    try {
      const providers = opened(new EmulatedProviders());
      await providers.start();
      const origin = opened(await CountedOrigin.start());
      const catalogue = opened(await openCatalogue());
      const caches = new Map<Kind, Cache>();
      for (const kind of KINDS) if (kind.isHere) caches.set(kind, opened(await kind.start(origin.url)));
      const server = opened(await serve(catalogue, providers, purgeOf(caches)));
      origin.target = server.client.url;
      return new Site(origin, server, caches, providers, catalogue, doors);
    } catch (thrown) {
      await closeAll(doors);
      throw thrown;
    }
  }

  /** Puts another server in its place while `use` runs. @param catalogue its own, or the same */
  async withServer(
    delivery: Readonly<Record<string, unknown>>,
    use: (server: OwnServer) => Promise<void>,
    catalogue = this.catalogue,
  ): Promise<void> {
    const other = await serve(catalogue, this.providers, { ...purgeOf(this.caches), ...delivery });
    this.origin.target = other.client.url;
    try {
      await use(other);
    } finally {
      this.origin.target = this.server.client.url;
      await other.close();
    }
  }

  cache(kind: Kind): Cache {
    const cache = this.caches.get(kind);
    if (!cache) throw new Error(`expected ${kind.name} to run`);
    return cache;
  }

  /** Requests through a cache. */
  get(
    kind: Kind,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    options: GetOptions = {},
  ): Promise<Got> {
    return this.server.client.get(this.cache(kind).url + path, { ...options, headers });
  }

  async status(kind: Kind, path: string): Promise<number> {
    return (await this.get(kind, path)).status;
  }

  /** Resolves with the first status that is none of a media; a cache that is purged has it at once. */
  async over(kind: Kind, path: string): Promise<number> {
    if (kind.isPurged) return this.status(kind, path);
    const status = () => this.status(kind, path);
    return eventually(status, (seen) => seen !== 200);
  }

  /** The id of a message with one media, as callers name it. */
  receive(sample: MediaSample = samples.photo): string {
    this.#received += 1;
    const [sid, mediaSid] = [signalwireMessageSid(this.#received), signalwireMediaSid(this.#received)];
    this.providers.signalwire.addMessage({ sid, media: [{ ...sample, sid: mediaSid }] });
    return `sms:${sid}`;
  }

  /** A link to what was never asked for. */
  async linked(sample?: MediaSample, { client } = this.server): Promise<Link> {
    const { id, url } = sole(sole(await client.media([this.receive(sample)])));
    return { id, path: pathOf(url) };
  }

  /** A link to what a server has, and no cache does; nothing of it is counted. */
  async stored(sample?: MediaSample, server = this.server): Promise<Link> {
    const link = await this.linked(sample, server);
    await until('the bytes to be kept', async () => (await server.client.get(link.path)).headers.etag !== undefined);
    this.origin.clear();
    return link;
  }

  close(): Promise<void> {
    return closeAll(this.doors);
  }
}

interface Door {
  close(): Promise<void>;
}

/** Closes all in this order, also after a failure. */
async function closeAll(doors: readonly Door[]): Promise<void> {
  const faults: unknown[] = [];
  for (const door of doors) await door.close().catch((thrown: unknown) => faults.push(thrown));
  if (faults.length > 0) throw new AggregateError(faults, 'expected everything to close');
}

interface Link {
  readonly id: string;
  readonly path: string;
}

interface EmbeddedCatalogue extends Door {
  readonly database: Database;
}

async function openCatalogue(): Promise<EmbeddedCatalogue> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-cdn-'));
  await copyTemplate(folder);
  const database = await openDatabase({ url: `pglite:${folder}` });
  await migrate(database);
  let closed: Promise<void> | null = null;
  return {
    database,
    close: () => {
      closed ??= database.close().then(() => rm(folder, { recursive: true, force: true }));
      return closed;
    },
  };
}

/** The purge configuration for the cache that needs it. */
function purgeOf(caches: ReadonlyMap<Kind, Cache>): Readonly<Record<string, unknown>> {
  const varnish = caches.get(VARNISH);
  return varnish ? { purge: `${varnish.url}/purge`, purgeHeaders: { 'X-Purge-Secret': PURGE_SECRET } } : {};
}

function serve(
  { database }: EmbeddedCatalogue,
  providers: EmulatedProviders,
  delivery: Readonly<Record<string, unknown>>,
): Promise<OwnServer> {
  const signingKeys = [{ id: 'k1', secret: SECRETS.signingSecret }];
  const config = { channels: providers.channels(), delivery: { signingKeys, visibility: 'public', ...delivery } };
  return OwnServer.start({ config, database });
}

let site: Site;
beforeAll(async () => {
  site = await Site.start();
}, START_MS);
afterAll(() => site?.close());
beforeEach(() => site.origin.clear());

for (const kind of KINDS)
  describeWith(kind.program, kind.isHere, `behind ${kind.name}`, () => {
    const reader = readerOf(kind);
    reads(reader);
    refusals(reader);
    deletions(kind, reader);
  });

/** One cache, as a reader uses it. */
interface Reader {
  readonly isPurged: boolean;
  get(path: string, headers?: Readonly<Record<string, string>>, options?: GetOptions): Promise<Got>;
  /** Resolves when the cache answers for a deleted media that it is gone. */
  becomesGone(path: string): Promise<void>;
}

function readerOf(kind: Kind): Reader {
  const get: Reader['get'] = (path, headers = {}, options = {}) => site.get(kind, path, headers, options);
  return {
    isPurged: kind.isPurged,
    get,
    becomesGone: async (path) => {
      if (!kind.isPurged) await site.over(kind, path);
      site.origin.clear();
      const got = await get(path);
      expect([got.status, errorOf(got).code, site.origin.statuses]).toEqual([410, 'MEDIA_GONE', [410]]);
    },
  };
}

function reads({ isPurged, get }: Reader): void {
  it('a media has the same answers as without the cache', async () => {
    const { path } = await site.stored();
    const { headers } = await site.server.client.get(path);
    const [etag, modified] = [headerOf({ headers }, 'etag'), headerOf({ headers }, 'last-modified')];
    const requests: Array<[Record<string, string>, GetOptions?]> = [
      // The first meets an empty cache.
      [{ range: 'bytes=0-1' }],
      [{}],
      [{ range: 'bytes=0-1' }],
      [{ range: 'bytes=-5' }],
      [{ range: 'bytes=100-' }],
      [{ range: `bytes=${bytes.length}-` }],
      [{ range: 'bytes=0-1', 'if-range': etag }],
      [{ range: 'bytes=0-1', 'if-range': modified }],
      [{ range: 'bytes=0-1', 'if-range': '"other"' }],
      [{ 'if-none-match': etag }],
      [{ 'if-none-match': '"other"' }],
      [{ 'if-modified-since': modified }],
      [{ 'if-match': etag }],
      [{ 'if-match': '"other"' }],
      [{ 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' }],
      [{}, { method: 'HEAD' }],
      [{ 'if-none-match': etag }, { method: 'HEAD' }],
    ];
    const facts = ({ status, headers, bytes: body }: Got) => ({
      status,
      etag: headers.etag,
      range: headers['content-range'],
      disposition: headers['content-disposition'],
      policy: headers['content-security-policy'],
      origins: headers['access-control-allow-origin'],
      // Bodies of errors are the server's that refuses.
      ...(status < 400 && { length: headers['content-length'], body: body.toString('latin1') }),
    });
    for (const [given, options] of requests) {
      const [cached, direct] = [
        facts(await get(path, given, options)),
        facts(await site.server.client.get(path, { ...options, headers: given })),
      ];
      if (direct.status >= 400) expect([given, cached.status]).toEqual([given, direct.status]);
      else expect([given, options, cached]).toEqual([given, options, direct]);
    }
    // An exact query is part of what is granted.
    expect((await get(path.replace('d=inline', 'd=attachment'))).status).toBe(403);
  });

  it('the bytes are fetched once', async () => {
    const { path } = await site.stored();
    const first = await get(path);
    expect([first.bytes.equals(bytes), site.origin.statuses]).toEqual([true, [200]]);
    site.origin.clear();
    if (isPurged) {
      const others: GetOptions['headers'][] = [
        {},
        { range: 'bytes=5-9' },
        { 'if-none-match': headerOf(first, 'etag') },
      ];
      for (const headers of others) expect((await get(path, headers)).status).toBeLessThan(400);
      expect(site.origin.requests).toEqual([]);
      return;
    }
    // For a second the cache answers alone; after that it revalidates.
    const used = await eventually(
      () => get(path),
      ({ headers }) => headers['x-cache-status'] === 'HIT',
    );
    expect(used.bytes.equals(bytes)).toBe(true);
    const revalidated = () =>
      eventually(
        () => get(path),
        ({ headers }) => headers['x-cache-status'] === 'REVALIDATED',
      );
    const again = await revalidated();
    expect(again.bytes.equals(bytes)).toBe(true);
    expect(new Set(site.origin.requests.map(({ status, bodyBytes }) => `${status} ${bodyBytes}`))).toEqual(
      new Set(['304 0']),
    );
    // A reader counts max-age from here: it ends when the link ends, however long the cache has had the answer.
    for (const name of ['date', 'cache-control']) expect(headerOf(again, name)).toBe(headerOf(first, name));
  });

  it('simultaneous first requests are one request to the server', async () => {
    const { path } = await site.stored();
    const answers = await Promise.all(Array.from({ length: READERS }, () => get(path)));
    expect(answers.filter((got) => got.status === 200 && got.bytes.equals(bytes))).toHaveLength(READERS);
    expect(site.origin.requests.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('a range of media that is still at its provider is a range', async () => {
    const { path } = await site.linked();
    const got = await get(path, { range: 'bytes=2-4' });
    expect([got.status, got.headers['content-range']]).toEqual([206, `bytes 2-4/${bytes.length}`]);
    expect(got.bytes.equals(bytes.subarray(2, 5))).toBe(true);
  });

  it('large media can be read whole and in ranges', async () => {
    const large = { filename: 'large.bin', mimeType: 'application/octet-stream', bytes: randomBytes(2 * LARGEST_KEPT) };
    const { path } = await site.stored(large);
    const whole = await get(path);
    const part = await get(path, { range: 'bytes=1500000-1500009' });
    expect([whole.bytes.equals(large.bytes), part.status]).toEqual([true, 206]);
    expect(part.bytes.equals(large.bytes.subarray(1_500_000, 1_500_010))).toBe(true);
    // A cache that does not keep it has not asked for more than the part either.
    if (isPurged) expect(site.origin.requests.map(({ bodyBytes }) => bodyBytes)).toEqual([large.bytes.length, 10]);
  });
}

function refusals({ get }: Reader): void {
  it('credentials of readers do not reach our server, and request ids do', async () => {
    const { path } = await site.stored();
    const credentials = { authorization: 'Bearer secret', cookie: 'session=secret' };
    expect((await get(path, { ...credentials, 'x-request-id': 'first-1' })).headers['x-request-id']).toBe('first-1');
    expect((await get(path, { 'x-request-id': 'second-2' })).headers['x-request-id']).toBe('second-2');
    expect(headerOf(await get(path), 'x-request-id')).toMatch(/^[A-Za-z0-9]+$/);
    const { headers } = nth(site.origin.requests, 0);
    expect([headers['x-request-id'], headers.authorization, headers.cookie]).toEqual(['first-1', undefined, undefined]);
  });

  it('errors are not cached, and GraphQL is not reachable', async () => {
    const { path } = await site.stored();
    const forged = path.replace(/sig=./, 'sig=_');
    for (const status of [403, 403]) expect((await get(forged)).status).toBe(status);
    expect(site.origin.statuses).toEqual([403, 403]);
    expect((await get('/graphql', {}, { method: 'POST', body: '{}' })).status).toBe(404);
    expect((await get(path, {}, { method: 'POST', body: '{}' })).status).toBeGreaterThanOrEqual(400);
    expect(site.origin.requests).toHaveLength(2);
  });
}

function deletions(kind: Kind, { isPurged, get, becomesGone }: Reader): void {
  it('a deleted media is gone behind all of its links', async () => {
    const { id, path } = await site.stored();
    const kept = await site.stored();
    const paths = [path, pathOf(await saveOf(site.server, id))];
    for (const each of [...paths, kept.path]) {
      expect((await get(each)).status).toBe(200);
      expect((await get(each)).status).toBe(200);
    }
    await new Mutations(site.server.client).deleted(id);
    for (const each of paths) await becomesGone(each);
    expect((await get(path, { range: 'bytes=0-1' })).status).toBe(410);
    expect((await get(path, { 'if-none-match': '*' })).status).toBe(410);
    // And nothing else is.
    site.origin.clear();
    expect((await get(kept.path)).bytes.equals(bytes)).toBe(true);
    expect(site.origin.statuses).not.toContain(200);
  });

  if (isPurged) {
    it('only our server can purge', async () => {
      const { id, path } = await site.stored();
      await get(path);
      const headers = { 'x-purge-secret': PURGE_SECRET, xkey: id };
      const purge = async (given: Record<string, string>, method: 'GET' | 'POST' = 'POST') =>
        (await get('/purge', given, { method })).status;
      expect(await purge({ ...headers, 'x-purge-secret': 'guessed' })).toBe(403);
      expect(await purge({ xkey: id })).toBe(403);
      expect(await purge(headers, 'GET')).toBe(405);
      expect(await purge({ 'x-purge-secret': PURGE_SECRET })).toBe(400);
      expect(await purge({ ...headers, xkey: '" || obj.status == "200' })).toBe(400);
      expect(await statusFrom('127.0.0.2', `${site.cache(kind).url}/purge`, headers)).toBe(403);
      site.origin.clear();
      await get(path);
      expect(site.origin.requests).toEqual([]);
      expect(await purge(headers)).toBe(200);
      await get(path);
      expect(site.origin.statuses).toEqual([200]);
    });
  }

  it('a thumbnail has the type that its reader accepts', async () => {
    const { id } = await site.stored();
    const still = await eventually(
      () => stillOf(site.server, id),
      (url) => url !== null,
      { what: 'a thumbnail' },
    );
    const path = pathOf(still ?? '');
    const typeFor = async (accept: string) => {
      const got = await get(path, { accept });
      return [got.status, got.headers['content-type'], got.bytes.subarray(8, 12).toString('latin1') === 'WEBP'];
    };
    const [webp, jpeg] = [
      [200, 'image/webp', true],
      [200, 'image/jpeg', false],
    ];
    site.origin.clear();
    for (const _ of ['first request', 'cached']) {
      expect(await typeFor('image/avif,image/webp,image/apng,*/*;q=0.8')).toEqual(webp);
      expect(await typeFor('image/png,image/*;q=0.8')).toEqual(jpeg);
      expect(await typeFor('text/html, IMAGE/WEBP;q=0.9')).toEqual(webp);
      expect(await typeFor('image/webp;q=0, */*')).toEqual(jpeg);
    }
    expect(site.origin.requests.filter(({ status }) => status === 200)).toHaveLength(2);
    await new Mutations(site.server.client).deleted(id);
    await becomesGone(path);
  });
}

// Once for all caches, since starting servers is slow.
const here = KINDS.filter(({ isHere }) => isHere);
describeWith('nginx or varnishd', here.length > 0, 'behind any cache', () => {
  // The same holds for all links of a server whose `delivery.visibility` is private.
  it('links that are bound to origins are not cached', async () => {
    await site.withServer({ bindToOrigins: true, allowedOrigins: [INBOX] }, async (server) => {
      const { path } = await site.linked(samples.photo, server);
      const headers = { origin: INBOX };
      await until('the bytes to be kept', async () => {
        return (await server.client.get(path, { headers })).headers.etag !== undefined;
      });
      for (const kind of here) {
        site.origin.clear();
        for (const got of [await site.get(kind, path, headers), await site.get(kind, path, headers)]) {
          expect([kind.name, got.status, got.bytes.equals(bytes)]).toEqual([kind.name, 200, true]);
          expect(headerOf(got, 'cache-control')).toMatch(/^private,/);
        }
        expect([site.origin.statuses, await site.status(kind, path)]).toEqual([[200, 200], 403]);
      }
    });
  });

  it('an expired link is not answered from the cache', async () => {
    const { id } = await site.stored();
    const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
    const signer = new UrlSigner({ keys, baseUrl: () => '', ttlMs: 60_000 });
    const expiresAt = new Date((Math.floor(Date.now() / 1000) + 3) * 1000);
    const path = signer.sign({ mediaId: id, filename: 'photo.jpg', disposition: 'inline', expiresAt });
    await Promise.all(
      here.map(async (kind) => {
        const got = await eventually(
          () => site.get(kind, path),
          ({ status }) => status !== 200,
        );
        expect([kind.name, got.status, errorOf(got).code]).toEqual([kind.name, 403, 'URL_EXPIRED']);
        expect(await site.status(kind, path)).toBe(403);
      }),
    );
  });

  it('a deleted media does not come back while our server is unavailable', async () => {
    const own = await openCatalogue();
    const test = async (server: OwnServer) => {
      const { id, path } = await site.stored(samples.photo, server);
      for (const kind of here)
        for (const status of [200, 200])
          expect([kind.name, await site.status(kind, path)]).toEqual([kind.name, status]);
      await new Mutations(server.client).deleted(id);
      await own.close();
      for (const kind of here) {
        site.origin.clear();
        const first = await site.over(kind, path);
        expect([kind.name, first, site.origin.statuses.at(-1)]).toEqual([kind.name, 503, 503]);
        for (const range of ['bytes=0-1', 'bytes=0-'])
          expect([kind.name, (await site.get(kind, path, { range })).status]).toEqual([kind.name, 503]);
      }
      site.origin.target = null;
      const headerSets: GetOptions['headers'][] = [{}, { range: 'bytes=0-1' }, { 'cache-control': 'max-stale' }];
      for (const kind of here)
        for (const headers of headerSets) {
          const got = await site.get(kind, path, headers);
          expect(got.status).toBeGreaterThanOrEqual(500);
          expect(got.headers['cache-control'] ?? '').not.toContain('public');
        }
    };
    try {
      await site.withServer({}, test, own);
    } finally {
      await own.close();
    }
  });

  it('cached bytes are not used while they cannot be revalidated', async () => {
    const asking = here.filter(({ isPurged }) => !isPurged);
    const { path } = await site.stored();
    for (const kind of asking) expect(await site.status(kind, path)).toBe(200);
    const { target } = site.origin;
    site.origin.target = null;
    for (const kind of asking) expect(await site.over(kind, path)).toBeGreaterThanOrEqual(500);
    site.origin.target = target;
    for (const kind of asking) expect(await site.status(kind, path)).toBe(200);
  });
});

const SAVE = 'query($id: ID!) { media(id: $id) { save: url(disposition: ATTACHMENT) } }';
const STILL = 'query($id: ID!) { media(id: $id) { thumbnailUrl(width: 64) } }';

async function saveOf({ client }: OwnServer, id: string): Promise<string> {
  const { data, text } = await client.query<{ media: { save: string } | null }>(SAVE, { id });
  if (!data?.media) throw new Error(`expected a link, got ${text}`);
  return data.media.save;
}

async function stillOf({ client }: OwnServer, id: string): Promise<string | null> {
  const { data } = await client.query<{ media: { thumbnailUrl: string | null } | null }>(STILL, { id });
  return data?.media?.thumbnailUrl ?? null;
}

/** The status for a request from another address: all of 127.0.0.0/8 is this machine. */
async function statusFrom(localAddress: string, url: string, headers: Record<string, string>): Promise<number | null> {
  const sent = httpRequest(url, { method: 'POST', headers, localAddress, agent: false }).end();
  const [answered]: IncomingMessage[] = await once(sent, 'response');
  answered?.resume();
  return answered?.statusCode ?? null;
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
