import { z } from 'zod';

/** A section of the file. It may be left out, and it may be empty because all of its lines are commented out. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((input) => input ?? {}, z.strictObject(shape)).prefault({});
}

/**
 * For `.meta()`: a fault may quote the value. On a mapping, the mark holds for all values below it that have no mark of
 * their own. Every other value may be a secret, or may hold one by mistake.
 */
export const SHOWN_IN_FAULTS = { shownInFaults: true } as const;
export const HIDDEN_IN_FAULTS = { shownInFaults: false } as const;

/** For `.meta()`: the value is a secret, and `check-config --print` masks it. */
export const SECRET = { secret: true } as const;

/** For `.meta()` of a mapping: an unknown key may be a secret that was written without its name: `credentials: { s3cr3t }`. */
export const KEYS_MAY_BE_SECRETS = { keysMayBeSecrets: true } as const;
