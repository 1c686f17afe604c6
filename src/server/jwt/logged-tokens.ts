import { MediagraphError } from '../../model/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Tokens } from '../authenticate.js';
import { TokenRefusal } from './token-refusal.js';
import type { TokenVerifier } from './token-verifier.js';

/** The server fetches the keys again within ten seconds. */
const RETRY_AFTER_MS = 5_000;

/** Logs the class of each refusal, and nothing of the token. Without keys, no token can be judged, and none is refused. */
export function loggedTokens(verifier: TokenVerifier, logger: Logger): Tokens {
  return {
    callerOf: async (token) => {
      try {
        return await verifier.verify(token);
      } catch (thrown) {
        if (!(thrown instanceof TokenRefusal)) throw thrown;
        logger.info({ refusal: thrown.refusal }, 'a token was refused');
        if (thrown.refusal === 'noKeys') throw noKeys();
        return null;
      }
    },
  };
}

function noKeys(): MediagraphError {
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'tokens cannot be verified at the moment', {
    retryable: true,
    retryAfterMs: RETRY_AFTER_MS,
  });
}
