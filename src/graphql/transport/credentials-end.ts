import { type Caller, CLOCK_TOLERANCE_MS } from '../../model/caller.js';
import type { Clock } from '../../model/clock.js';

/** The longest wait between two looks at the clock, which may be set. */
const MAX_WAIT_MS = 30_000;

/**
 * Calls `end` when the credentials expire. Those that have expired and are still accepted, because clocks may differ,
 * last until they are no longer accepted.
 * @returns cancels the call
 */
export function whenCredentialsEnd({ expiresAt }: Caller, clock: Clock, end: () => void): () => void {
  if (expiresAt === undefined) return () => {};
  const at = expiresAt > clock.now() ? expiresAt : expiresAt + CLOCK_TOLERANCE_MS;
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const leftMs = at - clock.now();
    if (leftMs <= 0) end();
    else timer = setTimeout(look, Math.min(leftMs, MAX_WAIT_MS));
  };
  look();
  return () => clearTimeout(timer);
}
