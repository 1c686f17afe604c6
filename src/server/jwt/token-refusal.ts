import { errors } from 'jose';

/** Why a token was refused. The log names the class; the caller never learns it. */
export const REFUSAL_CLASSES = [
  'malformed',
  'header',
  'algorithm',
  'noKeys',
  'unknownKey',
  'unusableKey',
  'signature',
  'issuer',
  'audience',
  'expired',
  'notYetValid',
  'claims',
  'tenant',
  'scopes',
] as const;
export type RefusalClass = (typeof REFUSAL_CLASSES)[number];

/** A token that is not accepted. It quotes nothing of the token. */
export class TokenRefusal extends Error {
  constructor(readonly refusal: RefusalClass) {
    super(`a token was refused: ${refusal}`);
  }
}

const CLASS_OF_CLAIM: Readonly<Record<string, RefusalClass>> = {
  iss: 'issuer',
  aud: 'audience',
  nbf: 'notYetValid',
};

/** Translates an error of jose. */
export function refusalOf(thrown: unknown): TokenRefusal {
  if (thrown instanceof TokenRefusal) return thrown;
  return new TokenRefusal(classOf(thrown));
}

function classOf(thrown: unknown): RefusalClass {
  if (thrown instanceof errors.JWTExpired) return 'expired';
  if (thrown instanceof errors.JWTClaimValidationFailed) return claimClass(thrown);
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  if (thrown instanceof errors.JOSEError) return 'malformed';
  // The numbers of the key are no point of its curve, or jose finds the key unfit for the algorithm.
  return 'unusableKey';
}

function claimClass({ claim, reason }: errors.JWTClaimValidationFailed): RefusalClass {
  return (reason === 'check_failed' ? CLASS_OF_CLAIM[claim] : undefined) ?? 'claims';
}
