// @ts-check
/*
 * In place of `inspection-worker.js`: a thread whose parser does what the head, or the type, says. Its
 * faults are those that bytes may bring about: no end, no memory, an end of the thread.
 */
import { parentPort } from 'node:worker_threads';

/** @type {Record<string, () => unknown>} */
const FAULTS = {
  'no end': () => {
    for (;;);
  },
  'no end of a pattern': () => /^(a+)+$/.test(`${'a'.repeat(60)}b`),
  'no memory': () => {
    const kept = [];
    for (;;) kept.push(new Array(1_000).fill(kept.length));
  },
  'no thread': () => process.exit(7),
  'no answer': () => new Promise(() => {}),
  'a fault': () => {
    throw new Error('expected nothing');
  },
};

parentPort?.on('message', ({ task }) => {
  const text = task.kind === 'look' ? task.mimeType : Buffer.from(task.head).toString();
  const answer = () => parentPort?.postMessage({ done: { mimeType: `x/${text}` } });
  if (text === 'slow') {
    setTimeout(answer, 300);
    return;
  }
  try {
    FAULTS[text]?.();
  } catch (thrown) {
    parentPort?.postMessage({ fault: String(thrown) });
    return;
  }
  if (text !== 'no answer') answer();
});
parentPort?.postMessage({ ready: true });
