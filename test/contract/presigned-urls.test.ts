import { Readable } from 'node:stream';
import { type BlobKey, type BlobStore, mediaBlobKey, type PresignOptions } from '../../src/storage/blob-store.js';
import { openBlobStore } from '../../src/storage/open-blob-store.js';
import { S3BlobStore } from '../../src/storage/s3/s3-blob-store.js';
import { Client } from '../support/client.js';
import { until } from '../support/eventually.js';
import { S3TestServer } from '../support/s3.js';
import { signatureOf } from '../support/signature-v4.js';

const BYTES = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 251));
const OPTIONS: PresignOptions = {
  expiresInS: 300,
  contentType: 'audio/ogg; codecs=opus',
  contentDisposition: `attachment; filename="it's (1) & more.ogg"; filename*=UTF-8''it%27s%20%281%29%20%26%20%E6%BC%A2.ogg`,
  cacheControl: 'private, max-age=300, immutable',
};

let ids = 0;
const freshKey = () => mediaBlobKey('acme', `presigned${ids++}`);

describe('a presigned URL', () => {
  let server: S3TestServer;
  let store: BlobStore;
  let client: Client;
  let key: BlobKey;

  beforeAll(async () => {
    server = await S3TestServer.start();
    store = await openBlobStore({ driver: 's3', ...server.options });
    client = new Client(server.options.endpoint);
  });

  beforeEach(async () => {
    key = freshKey();
    await store.put(key, Readable.from([BYTES]), {});
  });

  afterAll(async () => {
    await client.close();
    await store.close();
    await server.close();
  });

  async function presign(of: BlobKey, options: Partial<PresignOptions> = {}): Promise<URL> {
    if (store.presign === undefined) throw new Error('expected a store that can presign');
    return store.presign(of, { ...OPTIONS, ...options });
  }

  it('gives the bytes, with the requested headers, to a client without credentials', async () => {
    const { status, headers, bytes } = await client.get((await presign(key)).href);
    expect(status).toBe(200);
    expect(bytes.equals(BYTES)).toBe(true);
    expect(headers).toMatchObject({
      'content-type': OPTIONS.contentType,
      'content-disposition': OPTIONS.contentDisposition,
      'cache-control': OPTIONS.cacheControl,
      'content-length': '1000',
    });
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=990-', 990, 999],
  ])('gives the range %s', async (range, start, end) => {
    const { status, headers, bytes } = await client.get((await presign(key)).href, { headers: { range } });
    expect(status).toBe(206);
    expect(headers).toMatchObject({
      'content-range': `bytes ${start}-${end}/1000`,
      'content-disposition': OPTIONS.contentDisposition,
    });
    expect(bytes.equals(BYTES.subarray(start, end + 1))).toBe(true);
  });

  it('needs no header but the host, and has everything else in its query', async () => {
    const { pathname, searchParams } = await presign(key);
    expect(pathname).toBe(`/${server.options.bucket}/${server.options.prefix}${key}`);
    const parameters = Object.fromEntries(searchParams);
    expect(parameters).toEqual({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
      'X-Amz-Credential': expect.stringMatching(`^${server.options.accessKeyId}/\\d{8}/us-east-1/s3/aws4_request$`),
      'X-Amz-Date': expect.stringMatching(/^\d{8}T\d{6}Z$/),
      'X-Amz-Expires': '300',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
      'X-Amz-SignedHeaders': 'host',
      'response-cache-control': OPTIONS.cacheControl,
      'response-content-disposition': OPTIONS.contentDisposition,
      'response-content-type': OPTIONS.contentType,
      'x-id': 'GetObject',
    });
  });

  it('is signed as a whole: no part of it can be changed', async () => {
    const { secretAccessKey } = server.options;
    const url = await presign(key);
    const signature = url.searchParams.get('X-Amz-Signature');
    expect(signatureOf(url, secretAccessKey)).toBe(signature);
    const other = new URL(url);
    other.pathname = `/${server.options.bucket}/${server.options.prefix}${freshKey()}`;
    const changed = [other];
    for (const name of new Set(url.searchParams.keys())) {
      if (name === 'X-Amz-Signature') continue;
      const [less, more] = [new URL(url), new URL(url)];
      less.searchParams.delete(name);
      more.searchParams.set(name, `${more.searchParams.get(name)}0`);
      changed.push(less, more);
    }
    expect(changed).toHaveLength(21);
    for (const mutant of changed) expect(signatureOf(mutant, secretAccessKey)).not.toBe(signature);
  });

  it('is refused when its time is over', async () => {
    const { href } = await presign(key, { expiresInS: 1 });
    await until('a URL that has expired', async () => (await client.get(href)).status === 403);
    expect((await client.get((await presign(key)).href)).status).toBe(200);
  });

  it('gives nothing once the blob is deleted', async () => {
    const { href } = await presign(key);
    await store.delete(key);
    expect((await client.get(href)).status).toBe(404);
    expect((await client.get((await presign(freshKey())).href)).status).toBe(404);
  });

  it('is made for nothing but a key, and for a time that S3 knows', async () => {
    for (const text of ['../outside', '/etc/passwd', 'media//x', 'media/x?response-content-type=text/html', '']) {
      await expect(presign(text as BlobKey)).rejects.toThrow('expected a blob key');
    }
    for (const expiresInS of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 604_801]) {
      await expect(presign(key, { expiresInS })).rejects.toThrow(/^expected whole seconds from 1 to 604800, got/);
    }
    expect((await presign(key, { expiresInS: 604_800 })).searchParams.get('X-Amz-Expires')).toBe('604800');
  });

  it('names its bucket in the host where S3 wants that, with no credential in it', async () => {
    const amazon = new S3BlobStore({
      bucket: 'pictures',
      region: 'eu-west-3',
      accessKeyId: 'id',
      secretAccessKey: 'hidden',
    });
    const url = await amazon.presign(key, OPTIONS);
    expect(url.origin + url.pathname).toBe(`https://pictures.s3.eu-west-3.amazonaws.com/${key}`);
    expect(url.href).not.toContain('hidden');
    expect(signatureOf(url, 'hidden')).toBe(url.searchParams.get('X-Amz-Signature'));
    await amazon.close();
  });
});

it("checks signatures as S3's documentation has them", () => {
  const example = new URL(
    'https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host',
  );
  expect(signatureOf(example, 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')).toBe(
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  );
});
