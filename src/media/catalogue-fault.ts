import { MediagraphError } from '../model/errors.js';

const RETRY_AFTER_MS = 5_000;

/** The catalogue cannot be asked: ours to mend, and it passes. The driver's words, which name hosts, stay in `cause`. */
export function asCatalogueFault(thrown: unknown): MediagraphError {
  const details = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the catalogue cannot be asked at the moment', details, {
    cause: thrown,
  });
}
