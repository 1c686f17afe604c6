// @ts-check
/*
 * The thread in which the embedded PostgreSQL runs, because a busy PGlite leaves its event loop no turn. Plain
 * JavaScript, so that a Worker can load the same file from the sources, from the tests and from the build.
 *
 * In: frontend messages of PostgreSQL's wire protocol, whole ones, or null to close. Out: `{ opened: true }` once, then
 * for each message in order `{ answer: Uint8Array }` or `{ fault: string }`. PostgreSQL docs, section 55 "Frontend/Backend
 * Protocol".
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
    // A copy of its own: what the engine returns may be a view of memory that it writes to again.
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
  // One that could not be opened cannot be closed either.
  last = last.then(() => (message === null ? close().catch(() => {}) : exchange(message)));
});
