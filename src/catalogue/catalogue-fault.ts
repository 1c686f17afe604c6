import { MediagraphError } from '../model/errors.js';

const RETRY_AFTER_MS = 5_000;
/** It answers within milliseconds, or is away. */
const PATIENCE_MS = 3_000;

/** What a caller waits for who has something else to do without the catalogue. */
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

/** Runs a query of the catalogue, and rejects with {@link asCatalogueFault} where it fails. */
export async function queryCatalogue<Answer>(query: () => Promise<Answer>): Promise<Answer> {
  try {
    return await query();
  } catch (thrown) {
    throw asCatalogueFault(thrown);
  }
}

/** The catalogue cannot be asked: ours to mend, and it passes. The driver's words, which name hosts, stay in `cause`. */
export function asCatalogueFault(thrown: unknown): MediagraphError {
  const details = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the catalogue cannot be asked at the moment', details, {
    cause: thrown,
  });
}
