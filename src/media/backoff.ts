import { MediagraphError } from '../model/errors.js';
import type { MediaFailure } from '../model/media.js';
import { BlobStoreError } from '../storage/blob-store.js';

const FIRST_MS = 1_000;
const LONGEST_MS = 15 * 60 * 1000;

/**
 * How long a job waits before its next attempt: 1 s, doubled each time up to `longestMs`, as long as the provider asked if
 * that is more, with up to a fifth added so that many do not return at once.
 */
export function backoffMs(attempts: number, thrown: unknown, longestMs = LONGEST_MS): number {
  const doubled = Math.min(FIRST_MS * 2 ** Math.min(Math.max(0, attempts - 1), 40), longestMs);
  const asked = thrown instanceof MediagraphError ? (thrown.details.retryAfterMs ?? 0) : 0;
  return Math.round(Math.max(doubled, asked) * (1 + Math.random() / 5));
}

const IN_FLIGHT_SECONDS = [1, 2, 4, 8, 15, 30];
const MINUTE_MS = 60_000;

/** How long a job waits for bytes that are on their way to their provider: the next of six growing pauses, then a minute. */
export function inFlightPauseMs(attempts: number): number {
  const seconds = IN_FLIGHT_SECONDS[attempts - 1];
  return seconds === undefined ? MINUTE_MS : seconds * 1_000;
}

/** What a row keeps of a failure: a code and words, which are written for callers and hold no secret. */
export function failureOf(thrown: unknown, at: Date): MediaFailure {
  if (thrown instanceof MediagraphError)
    return { code: thrown.code, message: thrown.message, retryable: thrown.details.retryable ?? false, at };
  const message =
    thrown instanceof BlobStoreError
      ? 'expected to store the bytes, got a failure of the store'
      : 'expected to keep the bytes, got an internal error';
  return { code: 'INTERNAL_SERVER_ERROR', message, retryable: true, at };
}

/** The same in one text, for logs and dead letters. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof MediagraphError ? `${thrown.code}: ${thrown.message}` : 'INTERNAL_SERVER_ERROR';
}
