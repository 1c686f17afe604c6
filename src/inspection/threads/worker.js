// @ts-check
/*
 * The thread in which foreign bytes are looked at, so that bytes which keep a parser busy for ever harm nothing else: it
 * can be stopped, which a function cannot. Plain JavaScript, so that a Worker can load the same file from the compiled
 * sources and from the build.
 *
 * Out: `{ ready: true }` once. In: one task at a time. Out: `{ read }` as often as the task asks for bytes, each answered
 * by `{ bytes }` or `{ failed: true }`; `{ soFar }` before what may come to no end; at last `{ done }`, or `{ fault }`. The types are in `inspection-thread.ts`.
 */
import { parentPort } from 'node:worker_threads';
import { look } from '../look.js';
import { sniffMimeType } from '../sniff/sniff.js';

/**
 * @typedef {import('./thread.js').ToThread} ToThread
 * @typedef {import('./thread.js').FromThread} FromThread
 * @typedef {import('./thread.js').Task} Task
 * @typedef {import('./thread.js').Done} Done
 */

const port = parentPort;
if (port === null) throw new Error('expected to run in a worker thread');

// What a library says about bytes goes nowhere.
process.stdout.write = () => true;
process.stderr.write = () => true;

/** @type {(message: FromThread) => void} */
const tell = (message) => port.postMessage(message);

/** Reads that are not answered yet, in their order. @type {Array<(bytes: Buffer | null) => void>} */
const reads = [];

/** @type {(start: number, end: number) => Promise<Buffer>} */
async function read(start, end) {
  const answered = new Promise((/** @type {(bytes: Buffer | null) => void} */ resolve) => reads.push(resolve));
  tell({ read: { start, end } });
  const bytes = await answered;
  if (bytes === null) throw new Error('expected the bytes of a media, got none');
  return bytes;
}

/** @type {(task: Task) => Promise<Done>} */
async function perform(task) {
  if (task.kind === 'sniff') return { mimeType: await sniffMimeType(Buffer.from(task.head), task.declared) };
  const { mimeType, sizeBytes } = task;
  return { look: await look({ mimeType, sizeBytes, read }, (found) => tell({ soFar: { look: found } })) };
}

port.on('message', (/** @type {ToThread} */ message) => {
  if ('bytes' in message)
    reads.shift()?.(Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength));
  else if ('failed' in message) reads.shift()?.(null);
  else
    void perform(message.task).then(
      (done) => tell({ done }),
      (thrown) => tell({ fault: String(thrown) }),
    );
});
tell({ ready: true });
