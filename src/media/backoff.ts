import { MediagraphError } from '../model/errors.js';
import type { MediaFailure } from '../model/media.js';
import { BlobStoreError } from '../storage/blob-store.js';

const FIRST_MS = 1_000;
const LONGEST_MS = 15 * 60 * 1000;

/**
 * The delay before the next attempt of a job: 1 s, doubled for each attempt up to `longestMs`, or the provider's
 * `Retry-After` if that is longer. Up to a fifth is added at random, so that many jobs do not retry at the same time.
 */
export function backoffMs(attempts: number, thrown: unknown, longestMs = LONGEST_MS): number {
  const doubled = Math.min(FIRST_MS * 2 ** Math.min(Math.max(0, attempts - 1), 40), longestMs);
  const requestedMs = thrown instanceof MediagraphError ? (thrown.details.retryAfterMs ?? 0) : 0;
  return Math.round(Math.max(doubled, requestedMs) * (1 + Math.random() / 5));
}

const IN_FLIGHT_SECONDS = [1, 2, 4, 8, 15, 30];
const MINUTE_MS = 60_000;

/**
 * The delay before the next attempt while the bytes have not reached the provider: six increasing delays, then a
 * minute.
 */
export function inFlightPauseMs(attempts: number): number {
  const seconds = IN_FLIGHT_SECONDS[attempts - 1];
  return seconds === undefined ? MINUTE_MS : seconds * 1_000;
}

/** The failure that a row stores: a code and a message for callers without secrets. */
export function failureOf(thrown: unknown, at: Date): MediaFailure {
  if (thrown instanceof MediagraphError)
    return { code: thrown.code, message: thrown.message, retryable: thrown.details.retryable ?? false, at };
  const message =
    thrown instanceof BlobStoreError
      ? 'expected to store the bytes, got a failure of the store'
      : 'expected to keep the bytes, got an internal error';
  return { code: 'INTERNAL_SERVER_ERROR', message, retryable: true, at };
}

/** The failure as one text, for logs and dead letters. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof MediagraphError ? `${thrown.code}: ${thrown.message}` : 'INTERNAL_SERVER_ERROR';
}
