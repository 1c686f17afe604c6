import { MediagraphError } from '../model/errors.js';

const FIRST_MS = 1_000;
const LONGEST_MS = 15 * 60 * 1000;

/**
 * How long a job waits before its next attempt: 1 s, doubled each time up to 15 min, as long as the provider asked if
 * that is more, with up to a fifth added so that many do not return at once.
 */
export function backoffMs(attempts: number, thrown: unknown): number {
  const doubled = Math.min(FIRST_MS * 2 ** Math.max(0, attempts - 1), LONGEST_MS);
  const asked = thrown instanceof MediagraphError ? (thrown.details.retryAfterMs ?? 0) : 0;
  return Math.round(Math.max(doubled, asked) * (1 + Math.random() / 5));
}

/** What a row keeps of a failure: its code and words, which are written for callers and hold no secret. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof MediagraphError ? `${thrown.code}: ${thrown.message}` : 'INTERNAL_SERVER_ERROR';
}
