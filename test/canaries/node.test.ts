/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTask } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { eventually } from '../support/eventually.js';

/** More than the operating system buffers. */
const LARGE_BYTES = 64_000_000;

it("a socket's handle counts the bytes of one write that the kernel has not taken yet", async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [served]: Socket[] = await accepted;
  if (!served) throw new Error('expected a connection');
  served.on('error', () => {});
  served.write(Buffer.alloc(LARGE_BYTES));
  const queued = () => Reflect.get(Reflect.get(served, '_handle'), 'writeQueueSize');
  expect(queued()).toBeGreaterThan(0);
  expect(queued()).toBeLessThan(LARGE_BYTES);
  const { writableLength, bytesWritten } = served;
  const before = queued();
  let taken = 0;
  reader.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > LARGE_BYTES / 4) reader.pause();
  });
  reader.resume();
  await eventually(queued, (now) => now < before, { what: 'a shorter queue' });
  // Without the handle, nothing tells that the reader takes bytes.
  expect([served.writableLength, served.bytesWritten]).toEqual([writableLength, bytesWritten]);
  reader.destroy();
  served.destroy();
  server.close();
});

it('in a worker thread, an assigned process.stdout.write gets what the console prints', async () => {
  const code = `
    const { parentPort } = require('node:worker_threads');
    process.stdout.write = (text) => { parentPort.postMessage(String(text)); return true; };
    process.stderr.write = process.stdout.write;
    console.log('a line');
    console.warn('a warning');`;
  const worker = new Worker(code, { eval: true, stdout: true, stderr: true });
  const printed: unknown[] = [];
  worker.on('message', (text) => printed.push(text));
  await once(worker, 'exit');
  expect(printed).toEqual(['a line\n', 'a warning\n']);
  expect([worker.stdout.read(), worker.stderr.read()]).toEqual([null, null]);
});

it('a new context has gc while --expose-gc is set, and it frees what nothing refers to', async () => {
  const unused = new WeakRef({ large: new Array(1_000).fill(0) });
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect !== 'function') throw new Error('expected a function');
  // A WeakRef keeps its object until the end of the task that made it.
  await nextTask();
  collect();
  expect(unused.deref()).toBeUndefined();
});
