import { resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from 'kysely';
import type pg from 'pg';
import { type Clock, MACHINE_CLOCK } from '../model/clock.js';
import type { PoolUse } from '../telemetry/instruments/resource-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { BorrowedClient, StatementNames } from './borrowed-client.js';
import { DatabaseClock } from './database-clock.js';
import { EmbeddedEngine } from './embedded/engine.js';
import { NotificationListener, type OnNotification } from './notification-listener.js';
import { embeddedPool, patientServerPool, serverPool } from './postgres-pool.js';
import { type Priority, PrioritySemaphore } from './priority-semaphore.js';
import type { Tables } from './tables.js';

export interface Database {
  readonly kysely: Kysely<Tables>;
  /** For background work. Requests have priority, and half of the connections to a server are reserved for them. */
  readonly background: Kysely<Tables>;
  /**
   * For statements that change nothing, or nothing that a listener of {@link onWrite} reads. Only statements of this
   * handle, of `backgroundReads` and of `jobs` do not call the listeners.
   */
  readonly reads: Kysely<Tables>;
  readonly backgroundReads: Kysely<Tables>;
  /** For statements that change only the tables of background work. They have the priority of `background`. */
  readonly jobs: Kysely<Tables>;
  /** With `embedded`, no other process works on the same rows. */
  readonly engine: 'embedded' | 'postgres';
  /** For statements that may take longer than the limit of 10 s for a server: migrations. */
  unhurried<Result>(work: (kysely: Kysely<Tables>) => Promise<Result>): Promise<Result>;
  /**
   * The clock for comparing times across processes: the server's clock, or this machine's for the embedded database.
   */
  readonly clock: Clock;
  /** Measures {@link clock} now and then every ten seconds. Rejects if the database is unavailable. */
  startClock(): Promise<void>;
  /** Rejects if the database is unavailable. */
  ping(): Promise<void>;
  /** The use of the connections of {@link kysely} and the other handles. */
  connections(): PoolUse;
  /**
   * Removes dead rows and updates statistics, which the embedded database does not do by itself. Does nothing within a
   * minute after the last run.
   */
  maintain(): Promise<void>;
  /**
   * Calls the listener after every statement that may change more than a lease, and after every transaction.
   * @returns a function that removes the listener
   */
  onWrite(listener: () => void): () => void;
  /**
   * Calls back when a channel is notified, until the database is closed (PostgreSQL docs, "LISTEN"). All channels share
   * one connection. The embedded database never calls back: its only process observes its own writes with `onWrite`.
   * @throws Error if the server is unavailable
   */
  listen(channel: string, onNotification: OnNotification): Promise<void>;
  /** Waits for all earlier queries. Repeated calls have no effect. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://…` (or `postgresql://…`), `pglite:<folder>`, or `pglite:memory` for temporary data. */
  readonly url: string;
  /** The maximum number of connections to a server. */
  readonly maxConnections?: number;
  readonly logger?: Logger;
}

const EMBEDDED = 'pglite:';
const MEMORY = 'memory';
const SERVER = /^postgres(ql)?:\/\//;

/**
 * Opens the database. A server is contacted at the first query. The embedded database starts immediately, which takes
 * seconds the first time.
 * @throws Error for an unknown kind of URL, or for a folder that another process has open
 */
export async function openDatabase({ url, maxConnections = 10, logger }: DatabaseOptions): Promise<Database> {
  if (SERVER.test(url)) return new ServerDatabase(url, maxConnections, logger ?? null);
  const place = embeddedFolder(url);
  if (!place) throw new Error('expected a database URL such as postgres://… or pglite:<folder>');
  const engine = await EmbeddedEngine.open(place === MEMORY ? null : resolve(place));
  if (place !== MEMORY)
    logger?.info('the embedded database keeps what it confirmed when its process dies, but not when the machine does');
  return new EmbeddedDatabase(engine, logger ?? null);
}

/** The folder of an embedded database as its URL names it, `memory` for temporary data; null for another URL. */
export function embeddedFolder(url: string): string | null {
  return url.startsWith(EMBEDDED) ? url.slice(EMBEDDED.length) : null;
}

class PooledDatabase {
  readonly kysely: Kysely<Tables>;
  readonly background: Kysely<Tables>;
  readonly reads: Kysely<Tables>;
  readonly backgroundReads: Kysely<Tables>;
  readonly jobs: Kysely<Tables>;
  readonly #pool: ClosablePool;
  readonly #writeListeners = new Set<() => void>();

  readonly connections: () => PoolUse;

  constructor(pool: pg.Pool, connections: PrioritySemaphore, names: StatementNames | null = null) {
    this.connections = () => poolUse(pool, connections);
    this.#pool = new ClosablePool(pool, connections, names);
    const onWrite = () => {
      for (const listener of this.#writeListeners) listener();
    };
    this.kysely = over(this.#pool, 'interactive', onWrite);
    this.background = over(this.#pool, 'background', onWrite);
    this.reads = over(this.#pool, 'interactive');
    this.backgroundReads = over(this.#pool, 'background');
    this.jobs = over(this.#pool, 'background');
  }

  onWrite(listener: () => void): () => void {
    this.#writeListeners.add(listener);
    return () => void this.#writeListeners.delete(listener);
  }

  async ping(): Promise<void> {
    await sql`select 1`.execute(this.reads);
  }

  async close(): Promise<void> {
    // The first statement of a handle reaches the pool some microtasks after the call.
    await nextTurn();
    await this.#pool.end();
  }
}

class ServerDatabase extends PooledDatabase implements Database {
  readonly engine = 'postgres';
  readonly clock = new DatabaseClock(() => this.#time());
  readonly #listener: NotificationListener;

  constructor(
    private readonly url: string,
    maxConnections: number,
    private readonly logger: Logger | null,
  ) {
    super(
      serverPool(url, maxConnections, logger),
      new PrioritySemaphore(maxConnections, Math.ceil(maxConnections / 2)),
    );
    this.#listener = new NotificationListener({ url, logger });
  }

  listen(channel: string, onNotification: OnNotification): Promise<void> {
    return this.#listener.listen(channel, onNotification);
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
    const patient = new PooledDatabase(patientServerPool(this.url, 1, this.logger), new PrioritySemaphore(1, 1));
    try {
      return await work(patient.kysely);
    } finally {
      await patient.close();
    }
  }

  async maintain(): Promise<void> {}

  override async close(): Promise<void> {
    this.clock.stop();
    await this.#listener.close();
    await super.close();
  }
}

class EmbeddedDatabase extends PooledDatabase implements Database {
  readonly engine = 'embedded';
  readonly clock = MACHINE_CLOCK;
  #maintainedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly embedded: EmbeddedEngine,
    logger: Logger | null,
  ) {
    super(embeddedPool(embedded, logger), new PrioritySemaphore(1, 1), new StatementNames());
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

/** The minimum interval between two runs, because a vacuum occupies the only session of the embedded database. */
const MAINTAINED_EVERY_MS = 60_000;

function poolUse(pool: pg.Pool, connections: PrioritySemaphore): PoolUse {
  return {
    limit: pool.options.max,
    used: connections.held,
    idle: pool.idleCount,
    waitingInteractive: connections.waiting('interactive'),
    waitingBackground: connections.waiting('background'),
  };
}

function over(pool: ClosablePool, priority: Priority, onWrite: () => void = () => {}): Kysely<Tables> {
  const connect = async () => {
    try {
      return await pool.connect(priority);
    } catch (thrown) {
      // Readers that remember rows find out that the database is unavailable.
      onWrite();
      throw thrown;
    }
  };
  const prioritised: PostgresPool = { connect, end: () => pool.end() };
  return new Kysely({
    dialect: new PostgresDialect({ pool: prioritised }),
    // Kysely calls this when a statement has ended, with or without an error, before the caller receives the result.
    log: onWrite,
  });
}

/** An ended pg.Pool drops waiting callers. This pool serves them first. */
class ClosablePool {
  readonly #connecting = new Set<Promise<unknown>>();
  #ended: Promise<void> | null = null;

  constructor(
    private readonly pool: pg.Pool,
    private readonly connections: PrioritySemaphore,
    private readonly names: StatementNames | null,
  ) {}

  async connect(priority: Priority): Promise<PostgresPoolClient> {
    if (this.#ended) throw new Error('the database is closed');
    const client = this.#acquire(priority);
    this.#connecting.add(client);
    try {
      return await client;
    } finally {
      this.#connecting.delete(client);
    }
  }

  async #acquire(priority: Priority): Promise<PostgresPoolClient> {
    await this.connections.acquire(priority);
    const onReleased = () => this.connections.release(priority);
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
