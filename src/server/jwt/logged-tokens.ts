import type { Logger } from '../../telemetry/logger.js';
import type { Tokens } from '../authenticate.js';
import { TokenRefusal } from './token-refusal.js';
import type { TokenVerifier } from './token-verifier.js';

/** Logs the class of each refusal, and nothing of the token. */
export function loggedTokens(verifier: TokenVerifier, logger: Logger): Tokens {
  return {
    callerOf: async (token) => {
      try {
        return await verifier.verify(token);
      } catch (thrown) {
        if (!(thrown instanceof TokenRefusal)) throw thrown;
        logger.info({ refusal: thrown.refusal }, 'a token was refused');
        return null;
      }
    },
  };
}
