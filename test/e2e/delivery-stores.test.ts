import { createHash } from 'node:crypto';
import { signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import type { Database } from '../../src/database/database.js';
import { describeServer, OPEN_TIMEOUT_MS } from '../support/databases.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { Mutations } from '../support/mutations.js';
import { useOwnServers } from '../support/own-server.js';
import { S3TestServer } from '../support/s3.js';
import { samples } from '../support/sample-messages.js';
import { headerOf, sole } from '../support/test-bed.js';

const startServer = useOwnServers();
const providers = new EmulatedProviders();
const etag = `"${createHash('sha256').update(samples.photo.bytes).digest('hex')}"`;
let received = 0;

beforeAll(() => providers.start());
afterAll(() => providers.close());

/** A message with a photo; what callers name it. */
function receive(): string {
  received += 1;
  const [sid, mediaSid] = [signalwireMessageSid(received), signalwireMediaSid(received)];
  providers.signalwire.addMessage({ sid, media: [{ ...samples.photo, sid: mediaSid }] });
  return `sms:${sid}`;
}

describe('with storage.s3.redirect', () => {
  let database: Database;
  let bucket: S3TestServer;

  beforeAll(async () => {
    [database, bucket] = await Promise.all([openEmbeddedDatabase(), S3TestServer.start()]);
  }, OPEN_TIMEOUT_MS);
  afterAll(() => Promise.all([database.close(), bucket.close()]));

  it('a reader is redirected to the bucket while the media exists', async () => {
    const storage = { driver: 's3', s3: { ...bucket.options, redirect: true } };
    const { client } = await startServer({ config: { channels: providers.channels(), storage }, database });
    const { id, url } = sole(sole(await client.media([receive()])));
    // Its first reader gets it on its way into the bucket.
    expect((await client.get(url)).status).toBe(200);
    await client.becomesStored(url);
    const sent = await client.get(url);
    expect([sent.status, headerOf(sent, 'cache-control')]).toEqual([302, 'no-store']);
    expect([sent.headers.etag, sent.headers['content-disposition']]).toEqual([undefined, undefined]);
    const location = headerOf(sent, 'location');
    const got = await client.get(location);
    expect(got.bytes.equals(samples.photo.bytes)).toBe(true);
    expect(got.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-disposition': expect.stringMatching(/^inline; filename="/),
      'cache-control': expect.stringMatching(/^private, max-age=\d+, immutable$/),
    });
    expect((await client.get(location, { headers: { range: 'bytes=0-1' } })).status).toBe(206);
    const head = await client.get(url, { method: 'HEAD' });
    expect([head.status, head.headers.etag]).toEqual([200, etag]);
    expect((await client.get(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    await new Mutations(client).deleted(id);
    expect([(await client.get(url)).status, (await client.get(location)).status]).toEqual([410, 404]);
  });
});

describe('with a bucket that fails', () => {
  let database: Database;
  let bucket: S3TestServer;

  beforeAll(async () => {
    [database, bucket] = await Promise.all([openEmbeddedDatabase(), S3TestServer.startStandIn()]);
  }, OPEN_TIMEOUT_MS);
  afterAll(() => Promise.all([database.close(), bucket.close()]));

  it('a deletion whose bytes cannot be removed is an error to repeat, and the repetition removes them', async () => {
    const storage = { driver: 's3', s3: bucket.options };
    const { client } = await startServer({ config: { channels: providers.channels(), storage }, database });
    const { id, url } = sole(sole(await client.media([receive()])));
    expect((await client.get(url)).status).toBe(200);
    await client.becomesStored(url);
    expect(await bucket.keys()).toHaveLength(1);
    const user = new Mutations(client);
    bucket.setFault('unavailable');
    const { errors } = await user.delete(id);
    expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR', retryable: true } }]);
    expect(sole(errors).message).toContain('cannot be removed at the moment');
    // The status changes before the bytes go.
    expect((await client.get(url)).status).toBe(410);
    bucket.setFault(null);
    expect(await user.deleted(id)).toMatchObject({ media: { status: 'DELETED' } });
    expect(await bucket.keys()).toEqual([]);
  });
});

describeServer('replicas that share a database and a store', (server) => {
  it('no replica serves a media once its deletion is acknowledged', async () => {
    const config = { channels: providers.channels(), database: { url: server.url() } };
    const first = await startServer({ config });
    const second = await startServer({ config: { ...config, storage: { root: first.blobs } } });
    for (let round = 0; round < 5; round++) {
      const { id, url } = sole(sole(await first.client.media([receive()])));
      expect((await first.client.get(url)).status).toBe(200);
      const path = new URL(url).pathname + new URL(url).search;
      await first.client.becomesStored(path);
      let acknowledged = false;
      const afterwards: number[] = [];
      const reader = async () => {
        while (afterwards.length < 20) {
          const isAfter = acknowledged;
          const { status } = await second.client.get(path);
          if (isAfter) afterwards.push(status);
          else if (status !== 200 && status !== 410) throw new Error(`expected 200 or 410, got ${status}`);
        }
      };
      const readers = [reader(), reader()];
      expect((await second.client.get(path)).status).toBe(200);
      await new Mutations(first.client).deleted(id);
      acknowledged = true;
      await Promise.all(readers);
      expect(new Set(afterwards)).toEqual(new Set([410]));
    }
  });
});
