import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 10;
/** What a busy machine may need for anything; no test waits so long unless it fails. */
const PATIENCE_MS = 60_000;

export interface Patience {
  /** For the error's message. */
  readonly what?: string;
  readonly withinMs?: number;
  /** Between two looks; short unless a look costs the one that is looked at something. */
  readonly pauseMs?: number;
}

/** Looks again and again until it sees what it wants: for what jobs do behind an answer. @throws Error with what it saw last */
export async function eventually<Seen>(
  look: () => Seen | Promise<Seen>,
  isWanted: (seen: Seen) => boolean,
  { what = 'something else', withinMs = PATIENCE_MS, pauseMs = PAUSE_MS }: Patience = {},
): Promise<Seen> {
  for (const giveUpAt = performance.now() + withinMs; ; await sleep(pauseMs)) {
    const seen = await look();
    if (isWanted(seen)) return seen;
    if (performance.now() > giveUpAt)
      throw new Error(`expected ${what} within ${withinMs} ms, saw last: ${JSON.stringify(seen)}`);
  }
}

/** Asks again and again until the answer is true. @throws Error that names what did not come to be within the time */
export async function until(what: string, ask: () => boolean | Promise<boolean>, withinMs?: number): Promise<void> {
  await eventually(ask, (answer) => answer, { what, withinMs });
}
