import { resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from 'kysely';
import type pg from 'pg';
import { type Clock, MACHINE_CLOCK } from '../model/clock.js';
import type { Logger } from '../telemetry/logger.js';
import { BorrowedClient, StatementNames } from './borrowed-client.js';
import { DatabaseClock } from './database-clock.js';
import { EmbeddedEngine } from './embedded/engine.js';
import { NotificationListener } from './notification-listener.js';
import { embeddedPool, patientServerPool, serverPool } from './postgres-pool.js';
import type { Tables } from './tables.js';
import { type Place, Turns } from './turns.js';

export interface Database {
  readonly kysely: Kysely<Tables>;
  /** For background work: requests go first, and half of the connections to a server serve them alone. */
  readonly background: Kysely<Tables>;
  /** For statements that change nothing. Only statements of these two leave {@link writeCount} as it is, and of `jobs`. */
  readonly reads: Kysely<Tables>;
  readonly backgroundReads: Kysely<Tables>;
  /** For statements that change the tables of background work alone; their turn is that of `background`. */
  readonly jobs: Kysely<Tables>;
  /** `embedded` knows that it is alone: no other process works on the same rows. */
  readonly engine: 'embedded' | 'postgres';
  /** Grows with every statement that may change what a query answers; null where other processes change rows, too. */
  readonly writeCount: (() => number) | null;
  /** For what takes longer than the work of every day, which a server is given 10 s for: migrations. */
  unhurried<Result>(work: (kysely: Kysely<Tables>) => Promise<Result>): Promise<Result>;
  /** By which processes compare times: the server's; the embedded engine has this machine's. */
  readonly clock: Clock;
  /** Measures {@link clock}, and again every ten seconds. Rejects when the database does not answer. */
  startClock(): Promise<void>;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  /**
   * What a server does by itself and the embedded engine does not: removes dead rows and counts the living. Does nothing
   * within a minute of the last time.
   */
  maintain(): Promise<void>;
  /**
   * Calls back after every statement that may change more than a lease, and after every transaction.
   * @returns ends it
   */
  onWrite(listener: () => void): () => void;
  /**
   * Calls back when a channel is notified, until the database is closed (PostgreSQL docs, "LISTEN"). The payload is null when
   * the connection was lost or is there again, because notifications may have been missed. The embedded engine never calls back: its
   * only process hears of its own writes by `onWrite`.
   * @throws Error when the server cannot be reached
   */
  listen(channel: string, onNotified: (payload: string | null) => void): Promise<void>;
  /** Lets every query finish that was asked before. Harmless when repeated. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://…` (or `postgresql://…`), `pglite:<folder>`, or `pglite:memory` for what may be forgotten. */
  readonly url: string;
  /** Connections to a server at most. */
  readonly maxConnections?: number;
  readonly logger?: Logger;
}

const EMBEDDED = 'pglite:';
const MEMORY = 'memory';
const SERVER = /^postgres(ql)?:\/\//;

/**
 * A server is not asked before the first query; the embedded engine is opened, which takes seconds the first time.
 * @throws Error for a URL of another kind, or a folder that another process has open
 */
export async function openDatabase({ url, maxConnections = 10, logger }: DatabaseOptions): Promise<Database> {
  if (SERVER.test(url)) return new ServerDatabase(url, maxConnections, logger ?? null);
  if (!url.startsWith(EMBEDDED) || url === EMBEDDED)
    throw new Error('expected a database URL such as postgres://… or pglite:<folder>');
  const place = url.slice(EMBEDDED.length);
  const engine = await EmbeddedEngine.open(place === MEMORY ? null : resolve(place));
  if (place !== MEMORY)
    logger?.info('the embedded database keeps what it confirmed when its process dies, but not when the machine does');
  return new EmbeddedDatabase(engine, logger ?? null);
}

class PooledDatabase {
  protected writes = 0;
  readonly kysely: Kysely<Tables>;
  readonly background: Kysely<Tables>;
  readonly reads: Kysely<Tables>;
  readonly backgroundReads: Kysely<Tables>;
  readonly jobs: Kysely<Tables>;
  readonly #pool: ClosablePool;
  readonly #writeListeners = new Set<() => void>();

  constructor(pool: pg.Pool, turns: Turns, names: StatementNames | null = null) {
    this.#pool = new ClosablePool(pool, turns, names);
    const onWrite = () => {
      this.writes += 1;
      for (const listener of this.#writeListeners) listener();
    };
    this.kysely = over(this.#pool, 'first', onWrite);
    this.background = over(this.#pool, 'later', onWrite);
    this.reads = over(this.#pool, 'first');
    this.backgroundReads = over(this.#pool, 'later');
    this.jobs = over(this.#pool, 'later');
  }

  onWrite(listener: () => void): () => void {
    this.#writeListeners.add(listener);
    return () => void this.#writeListeners.delete(listener);
  }

  async ping(): Promise<void> {
    await sql`select 1`.execute(this.reads);
  }

  async close(): Promise<void> {
    // The first statement of a handle reaches the pool some microtasks after it was asked.
    await nextTurn();
    await this.#pool.end();
  }
}

class ServerDatabase extends PooledDatabase implements Database {
  readonly engine = 'postgres';
  readonly writeCount = null;
  readonly clock = new DatabaseClock(() => this.#time());
  readonly #listeners: NotificationListener[] = [];

  constructor(
    private readonly url: string,
    maxConnections: number,
    private readonly logger: Logger | null,
  ) {
    super(serverPool(url, maxConnections, logger), new Turns(maxConnections, Math.ceil(maxConnections / 2)));
  }

  async listen(channel: string, onNotified: (payload: string | null) => void): Promise<void> {
    const { url, logger } = this;
    this.#listeners.push(await NotificationListener.open({ url, channel, onNotified, logger }));
  }

  startClock(): Promise<void> {
    return this.clock.start();
  }

  async #time(): Promise<number> {
    const { rows } = await sql<{ ms: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::double precision as ms`.execute(this.reads);
    return rows[0]?.ms ?? Date.now();
  }

  async unhurried<Result>(work: (kysely: Kysely<Tables>) => Promise<Result>): Promise<Result> {
    const patient = new PooledDatabase(patientServerPool(this.url, 1, this.logger), new Turns(1, 1));
    try {
      return await work(patient.kysely);
    } finally {
      await patient.close();
    }
  }

  async maintain(): Promise<void> {}

  override async close(): Promise<void> {
    this.clock.stop();
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
    await super.close();
  }
}

class EmbeddedDatabase extends PooledDatabase implements Database {
  readonly engine = 'embedded';
  readonly writeCount = () => this.writes;
  readonly clock = MACHINE_CLOCK;
  #maintainedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly embedded: EmbeddedEngine,
    logger: Logger | null,
  ) {
    super(embeddedPool(embedded, logger), new Turns(1, 1), new StatementNames());
  }

  async startClock(): Promise<void> {}

  async listen(): Promise<void> {}

  unhurried<Result>(work: (kysely: Kysely<Tables>) => Promise<Result>): Promise<Result> {
    return work(this.kysely);
  }

  async maintain(): Promise<void> {
    const now = performance.now();
    if (now - this.#maintainedAt < MAINTAINED_EVERY_MS) return;
    this.#maintainedAt = now;
    await sql`vacuum (analyze)`.execute(this.kysely);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.embedded.close();
  }
}

/** A vacuum holds the engine's one session. */
const MAINTAINED_EVERY_MS = 60_000;

function over(pool: ClosablePool, place: Place, onWrite: () => void = () => {}): Kysely<Tables> {
  const inPlace: PostgresPool = { connect: () => pool.connect(place), end: () => pool.end() };
  return new Kysely({
    dialect: new PostgresDialect({ pool: inPlace }),
    // Kysely calls this when a statement has ended, with or without an error, before its caller learns of it.
    log: onWrite,
  });
}

/** A pg.Pool that is ended forgets who waits for a client; this one serves them first. */
class ClosablePool {
  readonly #connecting = new Set<Promise<unknown>>();
  #ended: Promise<void> | null = null;

  constructor(
    private readonly pool: pg.Pool,
    private readonly turns: Turns,
    private readonly names: StatementNames | null,
  ) {}

  async connect(place: Place): Promise<PostgresPoolClient> {
    if (this.#ended) throw new Error('the database is closed');
    const client = this.#inTurn(place);
    this.#connecting.add(client);
    try {
      return await client;
    } finally {
      this.#connecting.delete(client);
    }
  }

  async #inTurn(place: Place): Promise<PostgresPoolClient> {
    await this.turns.take(place);
    const onReleased = () => this.turns.giveBack(place);
    try {
      return new BorrowedClient({ client: await this.pool.connect(), names: this.names, onReleased });
    } catch (thrown) {
      onReleased();
      throw thrown;
    }
  }

  end(): Promise<void> {
    this.#ended ??= Promise.allSettled([...this.#connecting]).then(() => this.pool.end());
    return this.#ended;
  }
}
