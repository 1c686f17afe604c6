import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 10;
/** So late that only what never happens comes later. */
const PATIENCE_MS = 60_000;

/** Looks again and again until it sees what it wants: for what jobs do behind an answer. @throws Error with what it saw last */
export async function eventually<Seen>(
  look: () => Seen | Promise<Seen>,
  isWanted: (seen: Seen) => boolean,
): Promise<Seen> {
  for (const giveUpAt = Date.now() + PATIENCE_MS; ; await sleep(PAUSE_MS)) {
    const seen = await look();
    if (isWanted(seen)) return seen;
    if (Date.now() > giveUpAt) throw new Error(`expected something else in time, saw last: ${JSON.stringify(seen)}`);
  }
}
