import { sql } from 'kysely';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { Fault } from '../../demo/src/emulators/faults.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { twilioMediaSid, twilioMessageSid } from '../../demo/src/emulators/sample-ids.js';
import {
  failedMessage,
  signedDelivery,
  type WebhookDelivery,
} from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import type { Database } from '../../src/database/database.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { endOf, type MediaEnd, retried } from '../support/failures.js';
import { filesBelow } from '../support/files-below.js';
import { BODY_MARKER } from '../support/leaks.js';
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
import { samples } from '../support/sample-messages.js';
import { ACCOUNTS, SECRETS, sole } from '../support/test-bed.js';

const TEST_MS = 120_000;
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
    await sql`update jobs set due_at = now() where kind = 'copy' and lease_owner is null`.execute(database.kysely);
    return fetches(photo) >= times;
  });
}

/** The same, until a message's one media is FAILED; returns the media's id. */
async function untilFailed(messageId: string): Promise<string> {
  await until(`${messageId} to be FAILED`, async () => {
    await sql`update jobs set due_at = now() where kind = 'copy' and lease_owner is null`.execute(database.kysely);
    return `${await server.client.statuses(messageId)}` === 'FAILED';
  });
  return sole(sole(await server.client.media([messageId]))).id;
}

const SECRETS_OF_META = ['meta-token', APP_SECRET, BODY_MARKER, 'lookaside', 'attachments'];

async function failureOf({ id }: Pick<MetaPhoto, 'id'>): Promise<MediaEnd> {
  const media = sole(sole(await server.client.media([id])));
  return endOf(server.client, media.id, [...SECRETS_OF_META, `${new URL(meta.url).port}`]);
}

describe('a copy', () => {
  it(
    'that fails five times is FAILED and retryable, and READY by itself when its provider recovers',
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
    'whose bytes have another hash three times is FAILED, PROVIDER_PROTOCOL and retryable, and stores nothing',
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
      // The same message with the right hash starts again.
      await sql`update media set sha256 = null where provider_message_id = ${photo.id.slice(META.length + 1)}`.execute(
        database.kysely,
      );
      await announce(withoutDigest(photo.delivery));
      await server.client.becomes('READY', photo.id);
    },
    TEST_MS,
  );

  it(
    'without bytes is FAILED in the end',
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

  it.each<[string, boolean]>([
    ['says so', false],
    ['does not say so', true],
  ])(
    'that is larger than upload.maxBytes is FAILED at once, and not retryable, where its provider %s',
    async (_what, chunked) => {
      await start({ upload: { maxBytes: 50_000 } });
      const photo = receive();
      const headers = { 'content-type': 'image/gif' };
      const body = `GIF89a${'a'.repeat(200_000)}`;
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status: 200, headers, body, chunked } });
      await announce(photo.delivery);
      await server.client.becomes('FAILED', photo.id);
      expect(await failureOf(photo)).toEqual({
        status: 'FAILED',
        failure: { code: 'MEDIA_TOO_LARGE', retryable: false },
      });
      expect(fetches(photo)).toBe(1);
      expect(await filesBelow(server.blobs)).toEqual([]);
    },
    TEST_MS,
  );
});

describe('media that FAILED', () => {
  /** A webhook of Meta with an error in place of a photo. */
  const failed = (title: string, code: number): WebhookDelivery => {
    photos += 1;
    return signedDelivery(
      failedMessage({ id: `wamid.PHOTO${photos}` }, { code, title }, '106540352242922'),
      APP_SECRET,
    );
  };

  it.each<[string, (photo: MetaPhoto) => void, MediaEnd['failure']]>([
    [
      'the place of its bytes refuses them',
      () => atLookaside({ kind: 'status', status: 403, body: BODY_MARKER }),
      { code: 'PROVIDER_CREDENTIALS', retryable: true },
    ],
    [
      'the place of its bytes has them no more',
      () => atLookaside({ kind: 'status', status: 404, body: BODY_MARKER }),
      { code: 'MEDIA_NOT_FOUND', retryable: true },
    ],
    [
      'its provider knows it no more, or permits it no more',
      ({ mediaId }) => meta.expire(mediaId),
      { code: 'MEDIA_NOT_FOUND', retryable: true },
    ],
    [
      'a page came in place of its bytes',
      () => atLookaside({ kind: 'body', body: `<html>${BODY_MARKER}</html>`, contentType: 'text/html' }),
      { code: 'PROVIDER_PROTOCOL', retryable: true },
    ],
    [
      'its bytes break off',
      () => atLookaside({ kind: 'cut', afterBytes: 1_000 }),
      { code: 'PROVIDER_UNAVAILABLE', retryable: true },
    ],
    [
      'its provider takes no connection',
      () => atLookaside({ kind: 'reset' }),
      { code: 'PROVIDER_UNAVAILABLE', retryable: true },
    ],
  ])(
    'has a reason, and none once a retry has brought it back: %s',
    async (_why, fail, failure) => {
      await start();
      const photo = receive();
      fail(photo);
      await announce(photo.delivery);
      const id = await untilFailed(photo.id);
      expect(await failureOf(photo)).toEqual({ status: 'FAILED', failure });
      meta.lookaside.faults.length = 0;
      meta.addMedia({ id: photo.mediaId, bytes: photo.bytes, mimeType: samples.photo.mimeType });
      expect(await retried(server.client, id)).toEqual({ status: 'PENDING', failure: null });
      await server.client.becomes('READY', photo.id);
      expect(await failureOf(photo)).toEqual({ status: 'READY', failure: null });
    },
    TEST_MS,
  );

  it.each<[string, number, string]>([
    ['The media file is too large. The maximum file size currently accepted is 100 MB.', 131_052, 'MEDIA_TOO_LARGE'],
    ['Message type unknown', 131_051, 'CONTENT_TYPE_NOT_ALLOWED'],
    ['Media download error', 131_052, 'PROVIDER_REJECTED'],
    ['Media upload error', 131_053, 'PROVIDER_REJECTED'],
  ])(
    'has a reason when its message says "%s" (%d), and cannot be retried',
    async (title, code, expectedCode) => {
      await start();
      await announce(failed(title, code));
      const messageId = `${META}:wamid.PHOTO${photos}`;
      const { id } = await server.client.becomes('FAILED', messageId);
      const end = { status: 'FAILED', failure: { code: expectedCode, retryable: false } };
      expect(await failureOf({ id: messageId })).toEqual(end);
      expect(await retried(server.client, id)).toBe('MEDIA_GONE');
      expect(await failureOf({ id: messageId })).toEqual(end);
    },
    TEST_MS,
  );

  it(
    'has a final reason when its provider answers that there is no media',
    async () => {
      const url = 'https://media.example.com/webhooks/mms';
      const cdn = new CdnEmulator();
      const account = { accountSid: ACCOUNTS.twilio, username: ACCOUNTS.twilio, password: SECRETS.twilioPassword };
      const twilio = await new LamlEmulator({ flavour: 'twilio', ...account, cdn }).start();
      try {
        const webhook = { secret: SECRETS.twilioPassword, url };
        const channel = { id: 'mms', provider: 'twilio', baseUrl: twilio.baseUrl, credentials: account, webhook };
        await start({ channels: [channel] });
        const sid = twilioMessageSid(1);
        twilio.addMessage({ sid, media: [{ ...samples.photo, sid: twilioMediaSid(1), notFoundFirst: 1_000 }] });
        const delivery = twilio.webhookOf(sid, url);
        expect((await server.client.deliver('mms', delivery)).status).toBe(200);
        const id = await untilFailed(`mms:${sid}`);
        const end = { status: 'FAILED', failure: { code: 'MEDIA_NOT_FOUND', retryable: false } };
        expect(await endOf(server.client, id, [`${new URL(twilio.url).port}`])).toEqual(end);
        expect(await retried(server.client, id)).toBe('MEDIA_GONE');
        expect(await endOf(server.client, id)).toEqual(end);
        twilio.addMessage({ sid, media: [{ ...samples.photo, sid: twilioMediaSid(1) }] });
        await cdn.start();
        expect(await retried(server.client, id)).toEqual({ status: 'PENDING', failure: null });
        await server.client.becomes('READY', `mms:${sid}`);
        expect(await endOf(server.client, id)).toEqual({ status: 'READY', failure: null });
      } finally {
        await Promise.all([twilio.close(), cdn.close()]);
      }
    },
    TEST_MS,
  );

  const atLookaside = (fault: Fault): void => {
    meta.lookaside.faults.push({ match: /./, fault });
  };
});
