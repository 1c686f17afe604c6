import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Listing, StoredBytes } from '../../src/catalogue/media/media-catalogue.js';
import type { Database } from '../../src/database/database.js';
import { openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { type MessageKey, type MessageMedia, UNKNOWN_DETAILS } from '../../src/model/media.js';
import { attemptBlobKey } from '../../src/storage/blob-store.js';
import { emptyTables, openEmbeddedDatabase } from './embedded-database.js';
import { DATABASES_VARIABLE } from './made-once.js';

/** A server that tests may make databases on: `postgres://…`; without it they run on the embedded engine alone. */
const SERVER_URL = process.env.TEST_DATABASE_URL || undefined;
/** What is left out counts as skipped. */
const describeOnServer = SERVER_URL === undefined ? describe.skip : describe;

/** Whether tests that take minutes run on the embedded engine: without a server, or with `TEST_LONG=1`. */
export const EMBEDDED_TOO = SERVER_URL === undefined || process.env.TEST_LONG === '1';

/** The first embedded start makes its files. */
export const OPEN_TIMEOUT_MS = 60_000;

export interface EngineBed {
  readonly engine: Database['engine'];
  /** The migrated database of a file's tests; its tables are emptied before each. */
  shared(): Database;
  /** The database of another process: a pool of its own on a server; on the embedded engine the same one. */
  replica(): Database;
}

/** Runs the same tests on every engine that there is; `embedded: false` leaves that one out. */
export function describeEngines(name: string, tests: (bed: EngineBed) => void, { embedded = true } = {}): void {
  const describeEmbedded = embedded ? describe : describe.skip;
  describeEmbedded(`${name}, embedded`, () => {
    let database: Database | null = null;
    beforeAll(async () => {
      database = await openEmbeddedDatabase();
    }, OPEN_TIMEOUT_MS);
    afterAll(() => database?.close());
    const shared = () => present(database);
    beforeEach(() => emptyTables(shared()));
    tests({ engine: 'embedded', shared, replica: shared });
  });
  describeOnServer(`${name}, postgres`, () => {
    let databases: Database[] = [];
    afterAll(() => Promise.all(databases.map((database) => database.close())));
    const server = useServerDatabase();
    beforeAll(async () => {
      databases = await Promise.all([openDatabase({ url: server.url() }), openDatabase({ url: server.url() })]);
      await migrate(present(databases[0]));
    });
    const shared = () => present(databases[0]);
    beforeEach(() => emptyTables(shared()));
    tests({ engine: 'postgres', shared, replica: () => present(databases[1]) });
  });
}

/** Tests that only a real server can run; skipped without one. */
export function describeServer(name: string, tests: (server: ServerDatabase) => void): void {
  describeOnServer(`${name}, postgres`, () => {
    tests(useServerDatabase());
  });
}

export interface ServerDatabase {
  /**
   * The URL of a database that is empty at first. It is dropped at the end of the run, because that waits for every
   * connection of the server (PostgreSQL's barriers), and so for the processes that tests stop.
   */
  url(): string;
  /** Runs a statement in it, over a connection of its own. */
  query(statement: string, values?: readonly unknown[]): Promise<Array<Record<string, unknown>>>;
}

function useServerDatabase(): ServerDatabase {
  const admin = new URL(SERVER_URL ?? 'postgres://none');
  const name = `${process.env[DATABASES_VARIABLE]}${randomBytes(8).toString('hex')}`;
  const own = new URL(admin);
  own.pathname = `/${name}`;
  beforeAll(() => once(admin.href, `create database ${name}`));
  return { url: () => own.href, query: (statement, values) => once(own.href, statement, values) };
}

async function once(
  url: string,
  statement: string,
  values: readonly unknown[] = [],
): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(statement, [...values]);
    return rows;
  } finally {
    await client.end();
  }
}

function present<Item>(item: Item | null | undefined): Item {
  if (item === null || item === undefined) throw new Error('expected a database to be open');
  return item;
}

const CREATED = new Date('2026-11-20T09:00:00.000Z');

/** A media as an adapter reports it, of message `m1` of channel `support`, about which nothing else is known. */
export function reportedMedia(keys: Partial<MessageMedia> = {}): MessageMedia {
  const message = { channelId: 'support', providerMessageId: 'm1', providerMediaId: null, ...keys };
  return {
    id: encodeMediaId(message),
    tenant: 'default',
    provider: 'kirim',
    downloadUrl: null,
    status: 'READY',
    ...UNKNOWN_DETAILS,
    createdAt: CREATED,
    availableUntil: null,
    expiresAt: null,
    measures: null,
    voice: null,
    contact: null,
    direction: null,
    ...message,
    ...keys,
  };
}

/** A listing of just now whose media is copied when it is first opened. */
export function listing(
  key: MessageKey,
  media: readonly MessageMedia[],
  { now, retainedUntil = null }: { readonly now: Date; readonly retainedUntil?: Date | null },
): Listing {
  return { key, media, listedAt: now, firstSeenAt: now, retainedUntil, copies: [] };
}

const KEY = attemptBlobKey(
  'default',
  encodeMediaId({ channelId: 'support', providerMessageId: 'm1', providerMediaId: null }),
);

/** Sound values of bytes that were stored, and not looked at yet; under the same key every time. */
export function storedBytes(keys: Partial<StoredBytes> = {}): StoredBytes {
  return {
    key: KEY,
    sizeBytes: 3,
    sha256: 'ab'.repeat(32),
    mimeType: 'image/png',
    at: CREATED,
    measures: null,
    ...keys,
  };
}
