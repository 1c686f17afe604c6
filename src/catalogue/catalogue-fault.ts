import { MediagraphError } from '../model/errors.js';

const RETRY_AFTER_MS = 5_000;
/** A healthy database answers within milliseconds. */
const TIMEOUT_MS = 3_000;

/** Limits how long a caller waits for the catalogue: by default, one that can continue without the result. */
export async function inTime<Answer>(pending: Promise<Answer>, limitMs: number = TIMEOUT_MS): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the catalogue did not answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([pending, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a query of the catalogue, and rejects with {@link asCatalogueFault} where it fails. */
export async function queryCatalogue<Answer>(query: () => Promise<Answer>): Promise<Answer> {
  try {
    return await query();
  } catch (thrown) {
    throw asCatalogueFault(thrown);
  }
}

/**
 * The catalogue is unavailable. The caller can retry. The driver's message, which contains host names, is only in
 * `cause`.
 */
export function asCatalogueFault(thrown: unknown): MediagraphError {
  const details = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the catalogue is unavailable at the moment', details, {
    cause: thrown,
  });
}
