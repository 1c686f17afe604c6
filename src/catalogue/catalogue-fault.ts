import { MediagraphError } from '../model/errors.js';

const RETRY_AFTER_MS = 5_000;
/** A healthy database answers within milliseconds. */
const PATIENCE_MS = 3_000;

/** Limits how long a caller waits for the catalogue when it can continue without the result. */
export async function inTime<Answer>(asked: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the catalogue did not answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The catalogue is unavailable. The caller can retry. The driver's message, which contains host names, is only in
 * `cause`.
 */
export function asCatalogueFault(thrown: unknown): MediagraphError {
  const details = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the catalogue cannot be asked at the moment', details, {
    cause: thrown,
  });
}
