import { setTimeout as sleep } from 'node:timers/promises';

/** What a busy machine may need for anything; no test waits so long unless it fails. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;

/** Asks again and again until the answer is true. @throws Error that names what did not come to be within the time */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  withinMs: number = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`expected ${what} within ${withinMs} ms`);
    await sleep(PAUSE_MS);
  }
}
