import pg from 'pg';
import type { Logger } from '../telemetry/logger.js';
import type { EmbeddedEngine } from './embedded/engine.js';
import { EmbeddedSocket } from './embedded/socket.js';

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_MS = 30_000;
/** Every statement here is over within milliseconds; what takes this long waits for an answer that will not come. */
const STUCK_MS = 10_000;

/** PostgreSQL's `int8`, which node-postgres leaves a text since JavaScript's numbers end at 2^53. */
const INT8 = 20;

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === INT8 && format !== 'binary' ? safeInteger : pg.types.getTypeParser(oid, format),
};

function safeInteger(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** A client that is not given back within 10 s is cut off, and its statement rejects. */
export function serverPool(url: string, max: number, logger: Logger | null): pg.Pool {
  return cuttingStuckClients(patientServerPool(url, max, logger));
}

/** For statements that may take as long as they take. */
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

/** A server that vanished without a word answers nothing and closes nothing, for a quarter of an hour (RFC 9293). */
function cuttingStuckClients(pool: pg.Pool): pg.Pool {
  const timers = new Map<pg.PoolClient, NodeJS.Timeout>();
  pool.on('acquire', (client) => {
    // `end` cuts the connection where a statement is under way; the pool then forgets the client.
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
 * One client, since the engine has one session. Its holder has the session, and the others wait in the order
 * in which they came. So no statement gets into another's transaction.
 */
export function embeddedPool(engine: EmbeddedEngine, logger: Logger | null): pg.Pool {
  return watched(
    // Without `ssl` and `user`, node-postgres would look into the environment for them.
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
 * A connection that dies while it is idle is an `error` event, and one without a listener ends the process.
 * The pool listens for idle clients only; one in the middle of a transaction has to be listened to as well. Whoever uses
 * it learns of it by the next statement.
 */
function watched(pool: pg.Pool, logger: Logger | null): pg.Pool {
  const lost = (error: Error): void => logger?.warn({ reason: error.message }, 'a database connection was lost');
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
