import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import { signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import type { Database } from '../../src/database/database.js';
import { UrlSigner } from '../../src/links/signed-url.js';
import { CountedOrigin } from '../support/counted-origin.js';
import { describeWith } from '../support/daemon.js';
import { OPEN_TIMEOUT_MS } from '../support/databases.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { eventually } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { isInstalled } from '../support/installed-tools.js';
import { Mutations } from '../support/mutations.js';
import { Nginx } from '../support/nginx.js';
import { OwnServer } from '../support/own-server.js';
import { samples } from '../support/sample-messages.js';
import { errorOf, type GetOptions, type Got, headerOf, SECRETS, sole } from '../support/test-bed.js';

const LARGE: MediaSample = {
  filename: 'large.bin',
  mimeType: 'application/octet-stream',
  bytes: randomBytes(3_000_000),
};
const PAST = 'Sun, 06 Nov 1994 08:49:37 GMT';
const signer = new UrlSigner({
  keys: [{ id: 'k1', secret: SECRETS.signingSecret }],
  baseUrl: () => '',
  ttlMs: 60_000,
});

let providers: EmulatedProviders;
let database: Database;
let folder: string;
/** Two servers over the same rows and files. Only the first one offloads. */
let server: OwnServer;
let plain: OwnServer;
let received = 0;

beforeAll(async () => {
  providers = new EmulatedProviders();
  await providers.start();
  database = await openEmbeddedDatabase();
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-offload-'));
  server = await serve({ offload: 'x-accel-redirect' });
  plain = await serve({});
}, OPEN_TIMEOUT_MS);

afterAll(async () => {
  await Promise.all([server?.close(), plain?.close()]);
  await Promise.all([database?.close(), providers?.close()]);
  await rm(folder, { recursive: true, force: true });
});

function serve(
  delivery: Readonly<Record<string, unknown>>,
  storage: Readonly<Record<string, unknown>> = { root: folder },
): Promise<OwnServer> {
  const signingKeys = [{ id: 'k1', secret: SECRETS.signingSecret }];
  const config = {
    channels: providers.channels(),
    storage,
    delivery: { signingKeys, ...delivery },
  };
  return OwnServer.start({ config, database });
}

interface Link {
  readonly id: string;
  readonly path: string;
}

/** A link to media that is still at its provider. */
async function linked(sample: MediaSample = samples.photo): Promise<Link> {
  received += 1;
  const [sid, mediaSid] = [signalwireMessageSid(received), signalwireMediaSid(received)];
  providers.signalwire.addMessage({ sid, media: [{ ...sample, sid: mediaSid }] });
  const { id, url } = sole(sole(await server.client.media([`sms:${sid}`])));
  return { id, path: pathOf(url) };
}

/** A link to stored media. */
async function stored(sample?: MediaSample): Promise<Link> {
  const link = await linked(sample);
  expect((await plain.client.get(link.path)).status).toBe(200);
  await plain.client.becomesStored(link.path);
  return link;
}

/** The file of the only original that holds these bytes. */
async function fileOf(link: Link): Promise<string> {
  const name = headerOf(await server.client.get(link.path), 'x-accel-redirect').replace('/blobs/', '');
  return join(folder, decodeURIComponent(name));
}

describe('responses for nginx', () => {
  it('stored media is answered with headers that name its file', async () => {
    const { id, path } = await stored();
    const [got, direct] = [await server.client.get(path), await plain.client.get(path)];
    expect([got.status, got.bytes.length, got.headers['content-length']]).toEqual([200, 0, '0']);
    const file = headerOf(got, 'x-accel-redirect');
    expect(file).toMatch(/^\/blobs\/media\/[0-9a-f]{2}\/t-[\w-]+\/i-[\w-]+\.[\w-]+\.original$/);
    expect(file).toContain(id.slice(0, 100));
    expect((await readFile(await fileOf({ id, path }))).equals(samples.photo.bytes)).toBe(true);
    const { 'content-length': _, 'accept-ranges': __, ...others } = factsOf(direct).headers;
    expect(factsOf(got).headers).toEqual({ ...others, 'content-length': '0', 'x-accel-redirect': file });
    // Again, from what the server remembers of the link.
    expect(factsOf(await server.client.get(path))).toEqual(factsOf(got));
  });

  it('a range of a file is left to nginx, and its If-Range', async () => {
    const { path } = await stored();
    const requests: Array<Record<string, string>> = [
      { range: 'bytes=0-1' },
      { range: 'bytes=5-' },
      { range: 'bytes=-5' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
      { range: 'bytes=0-1', 'if-range': PAST },
    ];
    for (const headers of requests) {
      const got = await server.client.get(path, { headers });
      expect([headers, got.status, got.bytes.length]).toEqual([headers, 200, 0]);
      expect(got.headers).toMatchObject({ 'x-accel-redirect': expect.stringMatching(/^\/blobs\//) });
      expect(got.headers['content-range']).toBeUndefined();
    }
  });

  it('conditions, refusals, HEAD and unusual ranges have the same responses as without offload', async () => {
    const { path } = await stored();
    for (const [headers, options] of await ownRequests(path)) {
      const request = { ...options, headers };
      const got = factsOf(await server.client.get(path, request));
      expect([request, got]).toEqual([request, factsOf(await plain.client.get(path, request))]);
      expect(got.headers['x-accel-redirect']).toBeUndefined();
    }
  });

  it('bytes that are still at the provider are sent by the server', async () => {
    const { path } = await linked();
    const got = await server.client.get(path);
    expect([got.headers['x-accel-redirect'], got.bytes.equals(samples.photo.bytes)]).toEqual([undefined, true]);
  });

  it('a file that is missing or has another size is not offloaded', async () => {
    for (const damage of [(file: string) => rm(file), (file: string) => truncate(file, 5)]) {
      const link = await stored(LARGE);
      const original = (await filesBelow(folder)).filter((file) => file.includes(`${link.id}.`));
      await damage(sole(original));
      const got = await server.client.get(link.path);
      expect([got.status, got.headers['x-accel-redirect']]).toEqual([200, undefined]);
      expect(got.bytes.equals(LARGE.bytes)).toBe(true);
    }
  });

  it('another prefix is used as it is configured', async () => {
    const { path } = await stored();
    const other = await serve({ offload: 'x-accel-redirect', offloadPrefix: '/internal/media-1.0/' });
    try {
      expect((await other.client.get(path)).headers).toMatchObject({
        'x-accel-redirect': expect.stringMatching(/^\/internal\/media-1\.0\/media\//),
      });
    } finally {
      await other.close();
    }
  });
});

describeWith('nginx', await isInstalled('nginx', '-v'), 'through nginx', () => {
  let nginx: Nginx;
  beforeAll(async () => {
    nginx = await Nginx.offload(new URL(server.client.url).host, folder);
  }, OPEN_TIMEOUT_MS);
  afterAll(() => nginx?.close());

  const get = (path: string, options?: GetOptions) => server.client.get(nginx.url + path, options);

  async function expectAlike(path: string, options: GetOptions = {}): Promise<Got> {
    const [got, direct] = [await get(path, options), await plain.client.get(path, options)];
    expect([options, factsOf(got)]).toEqual([options, factsOf(direct)]);
    expect(headerOf(got, 'x-request-id')).toMatch(/^[A-Za-z0-9]+$/);
    return got;
  }

  for (const [name, sample] of [
    ['small', samples.photo],
    ['large', LARGE],
    ['text', { filename: 'notes.txt', mimeType: 'text/plain', bytes: Buffer.from('Plain text.\n'.repeat(500)) }],
  ] as const)
    it(`${name} media has the same responses as without nginx`, async () => {
      const { path } = await stored(sample);
      const direct = await plain.client.get(path);
      const [etag, modified] = [headerOf(direct, 'etag'), headerOf(direct, 'last-modified')];
      const requests: Array<Record<string, string>> = [
        {},
        { 'accept-encoding': 'gzip' },
        { range: 'bytes=0-' },
        { range: 'bytes=0-1' },
        { range: 'bytes=100-199' },
        { range: 'bytes=100-' },
        { range: 'bytes=-5' },
        { range: `bytes=-${sample.bytes.length + 1}` },
        { range: `bytes=5-${sample.bytes.length + 1}` },
        { range: 'bytes=0-1', 'if-range': etag },
        { range: 'bytes=0-1', 'if-range': modified },
        { range: 'bytes=0-1', 'if-range': `W/${etag}` },
        { range: 'bytes=0-1', 'if-range': '"other"' },
        { range: 'bytes=0-1', 'if-range': PAST },
      ];
      for (const headers of requests) await expectAlike(path, { headers });
      for (const [given, options] of await ownRequests(path)) await expectAlike(path, { ...options, headers: given });
      const whole = await get(path);
      expect(`"${createHash('sha256').update(whole.bytes).digest('hex')}"`).toBe(etag);
    });

  it('a download and a thumbnail have the same responses as without nginx', async () => {
    const { id } = await stored();
    const links = async () => {
      const { data } = await server.client.query<{ media: { save: string; still: string | null } }>(LINKS, { id });
      return data?.media ?? { save: '', still: null };
    };
    const { save, still } = await eventually(links, (found) => found.still !== null, { what: 'a thumbnail' });
    expect(headerOf(await expectAlike(pathOf(save)), 'content-disposition')).toMatch(/^attachment;/);
    for (const accept of ['image/webp,*/*', 'image/png'])
      for (const range of ['', 'bytes=3-9'])
        for (const _ of ['made', 'stored']) {
          const headers: Record<string, string> = range === '' ? { accept } : { accept, range };
          expect((await expectAlike(pathOf(still ?? ''), { headers })).headers.vary).toBe('Accept');
        }
  });

  it('links that are forged, expired, of unknown or of deleted media are refused', async () => {
    const { id, path } = await stored();
    const other = await stored();
    await new Mutations(plain.client).deleted(other.id);
    const unknown = `${id.slice(0, -4)}AAAA`;
    const link = (mediaId: string, afterMs: number) => {
      const expiresAt = new Date((Math.floor(Date.now() / 1000) + afterMs / 1000) * 1000);
      return signer.sign({ mediaId, filename: 'photo.jpg', disposition: 'inline', expiresAt });
    };
    const cases: Array<[string, number, string]> = [
      [path.replace(/sig=./, 'sig=_'), 403, 'SIGNATURE_INVALID'],
      [link(id, -60_000), 403, 'URL_EXPIRED'],
      [link(unknown, 60_000), 404, 'MEDIA_NOT_FOUND'],
      [other.path, 410, 'MEDIA_GONE'],
    ];
    for (const [target, status, code] of cases) {
      const got = await get(target, { headers: { range: 'bytes=0-1' } });
      expect([target, got.status, errorOf(got).code]).toEqual([target, status, code]);
      expect([headerOf(got, 'cache-control'), got.headers['x-accel-redirect']]).toEqual(['no-store', undefined]);
    }
    expect((await get(path, { method: 'POST', body: '{}' })).status).toBe(403);
  });

  it('clients cannot name files', async () => {
    const link = await stored();
    const file = (await fileOf(link)).slice(folder.length);
    for (const target of [`/blobs${file}`, `/media/../blobs${file}`, '/blobs/', '/blobs../etc/passwd', '/blobs/../etc'])
      expect([target, (await get(target)).status]).toEqual([target, 404]);
    expect((await get(link.path, { headers: { 'x-accel-redirect': '/etc/passwd' } })).bytes.length).toBe(
      samples.photo.bytes.length,
    );
  });

  it('a file that vanishes after the response is requested from the server again', async () => {
    for (const range of ['bytes=0-1', 'bytes=0-99999']) {
      const link = await stored();
      // The server has seen the file a moment ago, and does not look again.
      await rm(await fileOf(link));
      const got = await get(link.path, { headers: { range } });
      const direct = await plain.client.get(link.path, { headers: { range } });
      expect([range, factsOf(got)]).toEqual([range, factsOf(direct)]);
      expect([got.status, samples.photo.bytes.indexOf(got.bytes)]).toEqual([206, 0]);
    }
  });

  // Only root can start nginx as another user.
  const itAsRoot = process.getuid?.() === 0 ? it : it.skip;
  itAsRoot(
    'nginx reads the files with the configured permissions, and the server sends those that it may not read',
    async () => {
      // The folder of all temporary files may be closed to other users.
      const root = join(await mkdtemp('/tmp/mediagraph-readable-'), 'blobs');
      await chmod(dirname(root), 0o755);
      const origin = await CountedOrigin.start();
      const unprivileged = await Nginx.offload(origin.url.host, root, 'daemon').catch(async (thrown: unknown) => {
        await origin.close();
        throw thrown;
      });
      const readable = await serve({ offload: 'x-accel-redirect' }, { root, fileMode: '0644', folderMode: '0755' });
      try {
        origin.target = readable.client.url;
        const { path } = await linked();
        expect((await readable.client.get(path)).status).toBe(200);
        await readable.client.becomesStored(path);
        const sentByServer = async () => {
          origin.clear();
          const got = await readable.client.get(unprivileged.url + path);
          expect([got.status, got.bytes.equals(samples.photo.bytes)]).toEqual([200, true]);
          return origin.requests.map(({ bodyBytes }) => bodyBytes);
        };
        expect(await sentByServer()).toEqual([0]);
        await chmod(sole((await filesBelow(root)).filter((file) => file.endsWith('.original'))), 0o600);
        expect(await sentByServer()).toEqual([0, samples.photo.bytes.length]);
      } finally {
        await Promise.all([unprivileged.close(), readable.close(), origin.close()]);
        await rm(dirname(root), { recursive: true, force: true });
      }
    },
  );

  it('where nginx finds no files, the server sends them', async () => {
    const link = await stored();
    const gone = await stored();
    const elsewhere = await Nginx.offload(new URL(server.client.url).host, join(folder, 'elsewhere'));
    try {
      const requests: Array<Record<string, string>> = [
        {},
        { range: 'bytes=0-1' },
        { range: 'bytes=0-1', 'if-range': '"other"' },
      ];
      for (const headers of requests) {
        const got = await server.client.get(elsewhere.url + link.path, { headers });
        expect([headers, factsOf(got)]).toEqual([headers, factsOf(await plain.client.get(link.path, { headers }))]);
      }
      await new Mutations(server.client).deleted(gone.id);
      const got = await server.client.get(elsewhere.url + gone.path);
      expect([got.status, headerOf(got, 'cache-control'), errorOf(got).code]).toEqual([410, 'no-store', 'MEDIA_GONE']);
    } finally {
      await elsewhere.close();
    }
  });
});

const LINKS =
  'query($id: ID!) { media(id: $id) { save: url(disposition: ATTACHMENT) still: thumbnailUrl(width: 64) } }';

/** Requests that the server answers itself. */
async function ownRequests(path: string): Promise<Array<[Record<string, string>, GetOptions?]>> {
  const { headers } = await plain.client.get(path);
  const [etag, modified] = [headerOf({ headers }, 'etag'), headerOf({ headers }, 'last-modified')];
  return [
    [{}, { method: 'HEAD' }],
    [{ range: 'bytes=0-1' }, { method: 'HEAD' }],
    [{ 'if-none-match': etag }],
    [{ 'if-none-match': etag }, { method: 'HEAD' }],
    [{ 'if-none-match': '*' }],
    [{ 'if-none-match': '"other"' }],
    [{ 'if-none-match': '"other"', 'if-modified-since': modified }],
    [{ 'if-modified-since': modified }],
    [{ 'if-modified-since': PAST }],
    [{ 'if-match': etag }],
    [{ 'if-match': '*' }],
    [{ 'if-match': etag, range: 'bytes=0-1' }],
    [{ 'if-match': '"other"' }],
    [{ 'if-unmodified-since': modified }],
    [{ 'if-unmodified-since': PAST }],
    [{ range: 'bytes=0-1,4-5' }],
    [{ range: `bytes=0-0${',0-0'.repeat(200)}` }],
    [{ range: 'bytes=9999999-' }],
    [{ range: 'bytes=-0' }],
    [{ range: 'bytes=5-2' }],
    [{ range: 'bytes= 0-1' }],
    [{ range: 'items=0-1' }],
    [{ range: 'bytes=99999999999999999999-' }],
    [{}, { method: 'OPTIONS' }],
  ];
}

/** What a client sees, but for what differs between two servers or two seconds. */
function factsOf({ status, headers, bytes }: Got) {
  const seen: Record<string, unknown> = { ...headers };
  // nginx omits `Accept-Ranges` from a 206, which implies it.
  if (status === 206) delete seen['accept-ranges'];
  // The length of a request id.
  if (status >= 400) delete seen['content-length'];
  for (const name of ['connection', 'date', 'keep-alive', 'server', 'x-request-id']) delete seen[name];
  seen['cache-control'] = String(headers['cache-control']).replace(/\d+/, 'N');
  const body = status >= 400 ? bytes.toString().replace(/"requestId":"[^"]*"/, '') : bytes.toString('latin1');
  return { status, headers: seen, body: createHash('sha256').update(body).digest('hex') };
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
