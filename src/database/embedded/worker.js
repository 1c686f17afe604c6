// @ts-check
/**
 * The thread that runs the embedded PostgreSQL, because a busy PGlite blocks its event loop. Plain JavaScript, so that
 * a Worker can load the same file from the sources, from the tests and from the build.
 *
 * Input: complete frontend messages of PostgreSQL's wire protocol, or null to close. Output: `{ opened: true }` once,
 * then `{ answer: Uint8Array }` or `{ fault: string }` for each message in order. PostgreSQL docs, section 55
 * "Frontend/Backend Protocol".
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { copyTemplate } from './template.js';

const port = parentPort;
if (port === null) throw new Error('expected to run in a worker thread');

/** @type {{ dataFolder: string | null }} null: in memory */
const { dataFolder } = workerData;

/** @type {(thrown: unknown) => string} */
const messageOf = (thrown) => (thrown instanceof Error ? thrown.message : String(thrown));

/**
 * The engine clears its buffers at each start, which makes them resident: the 128 MB of its default cost a third of the
 * processor time of a start. One session needs no hundred connections.
 */
const startParams = [
  ...PGlite.defaultStartParams,
  ...['-c', 'shared_buffers=16MB'],
  ...['-c', 'max_connections=5'],
  ...['-c', 'max_wal_senders=0'],
];
/** A folder that is not made from the template begins with one megabyte of log instead of sixteen. */
const initDbStartParams = ['--wal-segsize=1'];

if (dataFolder !== null) copyTemplate(dataFolder);
const engine = new PGlite(dataFolder ?? 'memory://', { startParams, initDbStartParams });
/** @type {Promise<void>} */
let last = engine.waitReady.then(
  () => port.postMessage({ opened: true }),
  (thrown) => port.postMessage({ fault: messageOf(thrown) }),
);

/** @param {Uint8Array} message */
async function exchange(message) {
  try {
    // A separate copy, because the engine may return a view of memory that it overwrites later.
    const answer = Uint8Array.from(await engine.execProtocolRaw(message));
    port?.postMessage({ answer }, [answer.buffer]);
  } catch (thrown) {
    port?.postMessage({ fault: messageOf(thrown) });
  }
}

async function close() {
  try {
    await engine.close();
  } finally {
    port?.close();
  }
}

port.on('message', (/** @type {Uint8Array | null} */ message) => {
  // An engine that could not be opened cannot be closed either.
  last = last.then(() => (message === null ? close().catch(() => {}) : exchange(message)));
});
