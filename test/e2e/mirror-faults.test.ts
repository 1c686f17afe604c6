import { sql } from 'kysely';
import type { Database } from '../../src/catalogue/database.js';
import { signedDelivery, type WebhookDelivery } from '../../src/emulators/whatsapp-webhook.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import {
  APP_SECRET,
  META,
  type MetaPhoto,
  metaChannel,
  metaEmulator,
  receivePhoto,
  withoutDigest,
} from '../support/meta.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { sole } from '../support/test-bed.js';

const TEST_MS = 120_000;
const FAILURE = 'query($id: ID!) { media(id: $id) { status failure { code retryable } } }';

const meta = metaEmulator();
let database: Database;
let server: OwnServer;
let photos = 0;
const started = useOwnServers();

beforeAll(async () => {
  await meta.start();
  database = await openEmbeddedDatabase();
}, TEST_MS);
afterAll(() => Promise.all([meta.close(), database.close()]));
beforeEach(() => {
  for (const emulator of [meta, meta.lookaside]) {
    emulator.faults.length = 0;
    emulator.clearRequests();
  }
});

async function start(sections: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const providers = { 'whatsapp-cloud': { retries: 0 } };
  server = await started({ config: { channels: [metaChannel(meta)], providers, ...sections }, database });
}

function receive(): MetaPhoto {
  photos += 1;
  return receivePhoto(meta, photos);
}

const announce = async (delivery: WebhookDelivery) =>
  expect((await server.client.deliver(META, delivery)).status).toBe(200);

const fetches = ({ mediaId }: MetaPhoto) =>
  meta.lookaside.requests.filter(({ path }) => path.includes(`mid=${mediaId}&`)).length;

/** Attempts follow each other at once: their pauses are not waited for. */
async function untilFetched(photo: MetaPhoto, times: number): Promise<void> {
  await until(`${times} attempts`, async () => {
    await sql`update media set mirror_due_at = now() where mirror_state = 'due' and lease_owner is null`.execute(
      database.kysely,
    );
    return fetches(photo) >= times;
  });
}

async function failureOf(photo: MetaPhoto): Promise<unknown> {
  const { id } = sole(sole(await server.client.media([photo.id])));
  return (await server.client.query<{ readonly media: unknown }>(FAILURE, { id })).data?.media;
}

describe('a copy', () => {
  it(
    'that fails five times is FAILED and retryable, and READY when its provider recovers, unasked',
    async () => {
      await start();
      const photo = receive();
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status: 500 } });
      await announce(photo.delivery);
      await untilFetched(photo, 4);
      expect(await server.client.statuses(photo.id)).toEqual(['PENDING']);
      await untilFetched(photo, 5);
      const { url } = await server.client.becomes('FAILED', photo.id);
      expect(url).toBeNull();
      expect(await failureOf(photo)).toMatchObject({ status: 'FAILED', failure: { retryable: true } });
      await untilFetched(photo, 6);
      meta.lookaside.faults.length = 0;
      await untilFetched(photo, 7);
      const media = await server.client.becomes('READY', photo.id);
      expect((await server.client.get(media.url)).bytes.equals(photo.bytes)).toBe(true);
      expect(await failureOf(photo)).toEqual({ status: 'READY', failure: null });
    },
    TEST_MS,
  );

  it(
    'whose bytes have another hash three times is FAILED, PROVIDER_PROTOCOL and retryable, and keeps nothing',
    async () => {
      await start();
      const photo = receive();
      const body = Buffer.from(`${photo.delivery.body}`.replace(/"sha256":"[^"]*"/, `"sha256":"${'A'.repeat(43)}="`));
      await announce(signedDelivery(body, APP_SECRET));
      await untilFetched(photo, 2);
      expect(await server.client.statuses(photo.id)).toEqual(['PENDING']);
      await untilFetched(photo, 3);
      await server.client.becomes('FAILED', photo.id);
      const failure = { code: 'PROVIDER_PROTOCOL', retryable: true };
      expect(await failureOf(photo)).toEqual({ status: 'FAILED', failure });
      expect(await filesBelow(server.blobs)).toEqual([]);
      // The same message without the lie begins anew.
      await sql`update media set sha256 = null where provider_message_id = ${photo.id.slice(META.length + 1)}`.execute(
        database.kysely,
      );
      await announce(withoutDigest(photo.delivery));
      await server.client.becomes('READY', photo.id);
    },
    TEST_MS,
  );

  it(
    'of no bytes is FAILED in the end',
    async () => {
      await start();
      const photo = receive();
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'body', body: '', contentType: 'image/jpeg' } });
      await announce(withoutDigest(photo.delivery));
      await untilFetched(photo, 3);
      await server.client.becomes('FAILED', photo.id);
      expect(await failureOf(photo)).toMatchObject({ failure: { code: 'PROVIDER_PROTOCOL' } });
      expect(await filesBelow(server.blobs)).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'that is larger than upload.maxBytes is FAILED at once, and not retryable',
    async () => {
      await start({ upload: { maxBytes: 1_000 } });
      const photo = receive();
      await announce(photo.delivery);
      await server.client.becomes('FAILED', photo.id);
      expect(await failureOf(photo)).toEqual({
        status: 'FAILED',
        failure: { code: 'MEDIA_TOO_LARGE', retryable: false },
      });
      expect(fetches(photo)).toBe(1);
    },
    TEST_MS,
  );
});
