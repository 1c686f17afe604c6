import pg from 'pg';
import type { Logger } from '../telemetry/logger.js';
import type { EmbeddedEngine } from './embedded/engine.js';
import { EmbeddedSocket } from './embedded/socket.js';

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_MS = 30_000;
/** Every statement takes milliseconds. A statement that takes this long waits for a response that will not arrive. */
const STUCK_MS = 10_000;

/** PostgreSQL's `int8`. node-postgres returns it as text, because JavaScript's numbers are exact only up to 2^53. */
const INT8 = 20;

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === INT8 && format !== 'binary' ? safeInteger : pg.types.getTypeParser(oid, format),
};

function safeInteger(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** A pool that destroys a client after 10 s without a release; its statement then rejects. */
export function serverPool(url: string, max: number, logger: Logger | null): pg.Pool {
  return cuttingStuckClients(patientServerPool(url, max, logger));
}

/** A pool for statements without a time limit. */
export function patientServerPool(url: string, max: number, logger: Logger | null): pg.Pool {
  return watched(
    new pg.Pool({
      connectionString: url,
      types,
      max,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_MS,
      keepAlive: true,
      fallback_application_name: 'mediagraph',
    }),
    logger,
  );
}

/** A server that disappears neither responds nor closes its connections for a quarter of an hour (RFC 9293). */
function cuttingStuckClients(pool: pg.Pool): pg.Pool {
  const timers = new Map<pg.PoolClient, NodeJS.Timeout>();
  pool.on('acquire', (client) => {
    // `end` destroys the connection of a running statement. The pool then drops the client.
    const cut = (): void => void client.end();
    timers.set(client, setTimeout(cut, STUCK_MS));
  });
  pool.on('release', (_error, client) => {
    clearTimeout(timers.get(client));
    timers.delete(client);
  });
  return pool;
}

/**
 * A pool with one client, because the embedded database has one session. The holder has the session, and the others
 * wait in the order of their calls. So no statement runs in another caller's transaction.
 */
export function embeddedPool(engine: EmbeddedEngine, logger: Logger | null): pg.Pool {
  return watched(
    // Without `ssl` and `user`, node-postgres reads them from environment variables.
    new pg.Pool({
      stream: () => new EmbeddedSocket(engine),
      ssl: false,
      user: 'postgres',
      database: 'postgres',
      types,
      max: 1,
      idleTimeoutMillis: 0,
    }),
    logger,
  );
}

/**
 * A broken idle connection emits `error`, and an `error` event without a listener ends the process. The pool listens
 * only to idle clients, so clients in a transaction need their own listener. Their holder receives the failure with the
 * next statement.
 */
function watched(pool: pg.Pool, logger: Logger | null): pg.Pool {
  const lost = (error: Error): void => logger?.warn({ reason: error.message }, 'a database connection was lost');
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
