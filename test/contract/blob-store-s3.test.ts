import { buffer } from 'node:stream/consumers';
import { BlobStoreError } from '../../src/storage/blob-store.js';
import { S3BlobStore } from '../../src/storage/s3/s3-blob-store.js';
import { RawServer } from '../support/raw-server.js';
import { S3TestServer } from '../support/s3.js';
import { bodyOf, freshKey, keysOf, LARGE } from './blobs.js';

describe('a blob store of S3', () => {
  const SECRET = 'secret-access-key-7c1e';
  const stores: S3BlobStore[] = [];
  const servers: RawServer[] = [];

  async function storeBehind(handler: Parameters<typeof RawServer.start>[0]): Promise<S3BlobStore> {
    const server = await RawServer.start(handler);
    servers.push(server);
    return storeAt(server.url);
  }

  function storeAt(endpoint: string): S3BlobStore {
    const credentials = { accessKeyId: 'access-key-id-41d0', secretAccessKey: SECRET };
    const store = new S3BlobStore({ bucket: 'bucket-93ab', endpoint, forcePathStyle: true, ...credentials });
    stores.push(store);
    return store;
  }

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  const refusal = (code: string) =>
    `<Error><Code>${code}</Code><Message>access-key-id-41d0 at 127.0.0.1</Message><AWSAccessKeyId>access-key-id-41d0</AWSAccessKeyId></Error>`;

  it.each([
    ['a refusal', 403, refusal('AccessDenied'), 'AccessDenied (HTTP 403)'],
    ['a bucket that is not there', 404, refusal('NoSuchBucket'), 'NoSuchBucket (HTTP 404)'],
    ['a code that is a sentence', 400, refusal('go to http://127.0.0.1'), 'a failure without a name (HTTP 400)'],
  ])('reports %s without hosts or credentials', async (_what, status, body, got) => {
    const store = await storeBehind((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
    });
    const attempts: Array<[string, () => Promise<unknown>]> = [
      ['take a blob', () => store.put(freshKey(), bodyOf(Buffer.from('x')), {})],
      ['take a blob', () => store.put(freshKey(), bodyOf(LARGE), {})],
      ['open a blob', () => store.open(freshKey(), {})],
      ['delete a blob', () => store.delete(freshKey())],
      ['list blobs', () => keysOf(store, '')],
    ];
    for (const [expected, attempt] of attempts) {
      const thrown: unknown = await attempt().catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(BlobStoreError);
      expect(thrown).toHaveProperty('message', `expected the blob store to ${expected}, got ${got}`);
    }
  });

  it('reports that there is no connection', async () => {
    const server = await RawServer.start();
    await server.close();
    const store = storeAt(server.url);
    // A word, and not the socket's message with the address. (Under Jest the SDK does not know Node's errors for errors and
    // wraps them in its own, without the code ECONNREFUSED.)
    await expect(store.ping()).rejects.toThrow(/^expected the blob store to answer, got (ECONNREFUSED|Error)$/);
    await expect(store.stat(freshKey())).rejects.toThrow(BlobStoreError);
  });

  it('aborts a request that gets no answer', async () => {
    const controller = new AbortController();
    const reason = new Error('the caller has left');
    const store = await storeBehind(() => controller.abort(reason));
    const { signal } = controller;
    await expect(store.put(freshKey(), bodyOf(Buffer.from('x')), { signal })).rejects.toBe(reason);
    const second = new AbortController();
    const silent = await storeBehind(() => second.abort(reason));
    await expect(silent.open(freshKey(), { signal: second.signal })).rejects.toBe(reason);
  });

  it('removes the uploaded parts when the server refuses a later one', async () => {
    const seen: string[] = [];
    const store = await storeBehind((request, response) => {
      seen.push(`${request.method} ${request.url?.replace(/^[^?]*\?/, '')}`);
      const xml = { 'content-type': 'application/xml' };
      if (request.method === 'POST') {
        response.writeHead(200, xml);
        response.end('<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>');
      } else if (request.method === 'DELETE') response.writeHead(204).end();
      else if (request.url?.includes('partNumber=1&')) response.writeHead(200, { etag: '"e"' }).end();
      else response.writeHead(400, xml).end(refusal('EntityTooLarge'));
    });
    const body = bodyOf(LARGE);
    await expect(store.put(freshKey(), body, {})).rejects.toThrow('got EntityTooLarge (HTTP 400)');
    expect(body.destroyed).toBe(true);
    expect(seen.at(-1)).toMatch(/^DELETE .*uploadId=u1/);
  });

  it('fails a body that ends early or has another range', async () => {
    const cut = await storeBehind((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('some');
      setImmediate(() => response.destroy());
    });
    await expect(cut.open(freshKey(), {}).then(buffer)).rejects.toThrow(/^expected the blob store to (send|open)/);
    const deaf = await storeBehind((_request, response) => void response.end('all of it'));
    await expect(deaf.open(freshKey(), { range: { start: 0, end: 0 } })).rejects.toThrow('got another range');
  });

  it('requires both credentials or none', () => {
    expect(() => new S3BlobStore({ bucket: 'b', accessKeyId: 'a' })).toThrow(
      /expected both accessKeyId and secretAccessKey/,
    );
    expect(() => new S3BlobStore({ bucket: 'b', secretAccessKey: SECRET })).toThrow(/^(?!.*7c1e)/);
  });
});

describe('a bucket that others use, too', () => {
  let server: S3TestServer;
  beforeAll(async () => {
    server = await S3TestServer.start();
  });
  afterAll(() => server.close());

  it('holds the blobs of each prefix apart', async () => {
    const stores = ['ours/', 'theirs/'].map(
      (name) => new S3BlobStore({ ...server.options, prefix: server.options.prefix + name }),
    );
    const [ours, theirs] = stores;
    if (!ours || !theirs) throw new Error('expected two stores');
    const [key, second] = [freshKey(), freshKey()];
    await ours.put(key, bodyOf(Buffer.from('ours')), {});
    await theirs.put(key, bodyOf(Buffer.from('theirs')), {});
    await theirs.put(second, bodyOf(LARGE), {});
    expect(await keysOf(ours, 'media/')).toEqual([key]);
    expect(await keysOf(theirs, 'media/')).toEqual([key, second].sort());
    await theirs.delete(key);
    expect(await theirs.stat(key)).toBeNull();
    expect((await buffer(await ours.open(key, {}))).toString()).toBe('ours');
    expect((await buffer(await theirs.open(second, {}))).equals(LARGE)).toBe(true);
    await Promise.all(stores.map((store) => store.close()));
  });
});
