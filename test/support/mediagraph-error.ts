import { MediagraphError } from '../../src/model/errors.js';

/** The error that a call rejects with. @throws Error when it succeeds or rejects with anything else */
export async function mediagraphErrorOf(promise: Promise<unknown>): Promise<MediagraphError> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (thrown instanceof MediagraphError) return thrown;
  throw new Error('expected a MediagraphError', { cause: thrown });
}
