import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Database } from '../../src/database/database.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { Mutations } from '../support/mutations.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { kirimChannel } from '../support/test-bed.js';

const TEST_MS = 120_000;
/** `TEST_LONG=1` has as many as one key may ask for at once before it is suspicious. */
const UPLOADS = process.env.TEST_LONG === '1' ? 600 : 60;
const TENANTS = ['acme', 'globex', 'initech'];
const keyOf = (tenant: string) => `key-of-${tenant}-0123456789`;

const auth = {
  mode: 'apiKey',
  apiKeys: TENANTS.map((tenant) => ({
    sha256: createHash('sha256').update(keyOf(tenant)).digest('hex'),
    tenant,
    scopes: ['media:read', 'media:write'],
  })),
};
const channels = TENANTS.map((tenant) => kirimChannel('http://127.0.0.1:9/v1', { id: `of-${tenant}`, tenant }));
/** The call does not wait for the end of the upload. */
const upload = { respondWithin: '50ms' };

let source: RawServer;
let database: Database;
/** Requests that wait for their bytes, by tenant, and the most that ever did at once. */
let waiting: Array<{ readonly tenant: string; readonly response: ServerResponse }>;
let most: Map<string, number>;
let answer: (tenant: string, response: ServerResponse) => void;

const started = useOwnServers();

beforeAll(async () => {
  database = await openEmbeddedDatabase();
  source = await RawServer.start((request, response) => answer((request.url ?? '').split('/')[1] ?? '', response));
}, TEST_MS);
afterAll(() => Promise.all([source.close(), database.close()]));
beforeEach(() => {
  waiting = [];
  most = new Map();
  source.requests.length = 0;
  answer = (tenant, response) => {
    waiting.push({ tenant, response });
    note('all', waiting.length);
    note(tenant, waiting.filter((one) => one.tenant === tenant).length);
  };
});

function note(whose: string, count: number): void {
  most.set(whose, Math.max(most.get(whose) ?? 0, count));
}

function callersOf({ client }: OwnServer): Map<string, Mutations> {
  return new Map(TENANTS.map((tenant) => [tenant, new Mutations(client, keyOf(tenant))]));
}

async function begin(user: Mutations, tenant: string, count: number): Promise<string[]> {
  const input = { channelId: `of-${tenant}`, url: `${source.url}/${tenant}/photo.jpg` };
  const media = await Promise.all(Array.from({ length: count }, () => user.uploaded(input)));
  return media.map(({ id }) => id);
}

const finish = ({ response }: { readonly response: ServerResponse }) =>
  void response.setHeader('content-type', 'image/jpeg').end(samples.photo.bytes);

const isReady = async (user: Mutations, id: string) => (await user.media(id))?.status === 'READY';

describe('many simultaneous uploads', () => {
  it(
    'run four at a time for each tenant, and all end READY',
    async () => {
      const server = await started({ config: { channels, auth, upload }, database });
      const user = new Mutations(server.client, keyOf('acme'));
      const ids = await begin(user, 'acme', UPLOADS);
      await until('four to be under way', () => waiting.length === 4);
      const statuses = await Promise.all(ids.map(async (id) => (await user.media(id))?.status));
      expect(new Set(statuses)).toEqual(new Set(['PENDING']));
      for (let finished = 0; finished < UPLOADS; finished++) {
        await until('the next to be under way', () => waiting.length > 0);
        const next = waiting.shift();
        if (next) finish(next);
      }
      for (const id of ids) await until('an upload to be READY', () => isReady(user, id));
      expect([source.requests.length, most.get('acme')]).toEqual([UPLOADS, 4]);
    },
    TEST_MS,
  );

  it(
    'run eight at a time over all tenants, in fair order',
    async () => {
      const server = await started({ config: { channels, auth, upload }, database });
      const callers = callersOf(server);
      const all: Array<[Mutations, string]> = [];
      for (const [tenant, user] of callers) for (const id of await begin(user, tenant, 6)) all.push([user, id]);
      await until('eight to be under way', () => waiting.length === 8);
      // The first two tenants fill all eight slots; the last one does not wait for all of their uploads.
      for (const tenant of ['acme', 'acme', 'globex', 'globex']) {
        const index = waiting.findIndex((one) => one.tenant === tenant);
        for (const one of waiting.splice(index, 1)) finish(one);
      }
      await until('eight to be under way again', () => waiting.length === 8);
      let finished = 4;
      while (finished < all.length) {
        await until('some to be under way', () => waiting.length > 0);
        for (const one of waiting.splice(0)) {
          finish(one);
          finished += 1;
        }
      }
      for (const [user, id] of all) await until('an upload to be READY', () => isReady(user, id));
      expect([most.get('all'), most.get('acme'), most.get('globex')]).toEqual([8, 4, 4]);
      expect(most.get('initech')).toBeLessThanOrEqual(4);
      expect(source.requests).toHaveLength(all.length);
    },
    TEST_MS,
  );

  it(
    'have the whole upload.timeout from the start of their fetch, however long they waited',
    async () => {
      const timeoutMs = 8_000;
      const server = await started({
        config: { channels, auth, upload: { ...upload, timeout: `${timeoutMs}ms` } },
        database,
      });
      const user = new Mutations(server.client, keyOf('acme'));
      // Three rounds of four, each of which takes half of the time that one may: the last one begins after more than that.
      answer = (_tenant, response) => {
        const one = { response };
        setTimeout(() => finish(one), timeoutMs / 2 + 500);
      };
      const ids = await begin(user, 'acme', 12);
      for (const id of ids) await until('an upload to be READY', () => isReady(user, id));
      expect(source.requests).toHaveLength(12);
    },
    TEST_MS,
  );
});

describe('an upload whose retention ends before its bytes are here', () => {
  it(
    'is EXPIRED without bytes, after one request to its source',
    async () => {
      const retention = { default: '1s', sweepInterval: '4s' };
      const server = await started({ config: { channels, auth, upload, retention }, database });
      const user = new Mutations(server.client, keyOf('acme'));
      const [id = ''] = await begin(user, 'acme', 1);
      await until('the source to be asked', () => waiting.length === 1);
      // A sweep may keep a busy machine's only session for longer than an answer may take.
      const status = async () => (await user.media(id).catch(() => null))?.status;
      await until('the media to be EXPIRED', async () => (await status()) === 'EXPIRED');
      for (const one of waiting.splice(0)) finish(one);
      // Any repeated fetch would happen within a lease and a sweep.
      await until('later uploads to have had their turn', async () => {
        const [other = ''] = await begin(user, 'acme', 1);
        await until('the source to be asked', () => waiting.length > 0);
        for (const one of waiting.splice(0)) finish(one);
        return (await user.media(other)) !== null;
      });
      await until('nothing to be left of any bytes', async () => (await filesBelow(server.blobs)).length === 0);
      expect(source.requests).toHaveLength(2);
      expect(await user.media(id)).toMatchObject({ status: 'EXPIRED', url: null });
    },
    TEST_MS,
  );
});
