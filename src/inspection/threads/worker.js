// @ts-check
/*
 * The thread that parses untrusted bytes. Bytes on which a parser hangs harm nothing else, since a thread can be
 * terminated and a function cannot. It is plain JavaScript, so that a Worker loads the same file from the sources and
 * from the build.
 *
 * It sends `{ ready: true }` once, and then receives one task at a time. During a task it sends `{ read }` for each
 * read, which is answered by `{ bytes }` or `{ failed: true }`; `{ partial }` before work that may not end; and finally
 * `{ done }` or `{ fault }`. The types are in `inspection-thread.ts`.
 */
import { parentPort } from 'node:worker_threads';
import { look } from '../look.js';
import { sniffMimeType } from '../sniff/sniff.js';

/**
 * @typedef {import('./inspection-thread.js').ToThread} ToThread
 * @typedef {import('./inspection-thread.js').FromThread} FromThread
 * @typedef {import('./inspection-thread.js').Task} Task
 * @typedef {import('./inspection-thread.js').TaskResult} TaskResult
 */

const port = parentPort;
if (port === null) throw new Error('expected to run in a worker thread');

// Discards what libraries print about malformed bytes.
process.stdout.write = () => true;
process.stderr.write = () => true;

/** @type {(message: FromThread) => void} */
const send = (message) => port.postMessage(message);

/** The unanswered reads, in order. @type {Array<(bytes: Buffer | null) => void>} */
const reads = [];

/** @type {(start: number, end: number) => Promise<Buffer>} */
async function read(start, end) {
  const answer = new Promise((/** @type {(bytes: Buffer | null) => void} */ resolve) => reads.push(resolve));
  send({ read: { start, end } });
  const bytes = await answer;
  if (bytes === null) throw new Error('expected the bytes of a media, got none');
  return bytes;
}

/** @type {(task: Task) => Promise<TaskResult>} */
async function perform(task) {
  if (task.kind === 'sniff') return { mimeType: await sniffMimeType(Buffer.from(task.head), task.declared) };
  const { mimeType, sizeBytes } = task;
  return { look: await look({ mimeType, sizeBytes, read }, (soFar) => send({ partial: { look: soFar } })) };
}

port.on('message', (/** @type {ToThread} */ message) => {
  if ('bytes' in message)
    reads.shift()?.(Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength));
  else if ('failed' in message) reads.shift()?.(null);
  else
    void perform(message.task).then(
      (done) => send({ done }),
      (thrown) => send({ fault: String(thrown) }),
    );
});
send({ ready: true });
