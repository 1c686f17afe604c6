import { z } from 'zod';
import { KEYS_MAY_BE_SECRETS, SECRET, SHOWN_IN_FAULTS } from '../settings/section.js';
import { text } from '../settings/texts.js';
import { DAY_MS, duration } from '../settings/units.js';

/** The key length that HMAC-SHA-256 can use (RFC 2104 section 3). */
export const RECOMMENDED_SECRET_BYTES = 32;

const signingKey = z
  .strictObject({
    id: text
      .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 letters, digits, dashes and underscores'))
      .meta({ form: '1 to 32 letters, digits, dashes and underscores' })
      .describe('The id of the key. Every link contains it.'),
    secret: text
      .meta(SECRET)
      .describe(
        'The secret of the key. It can sign links to all media. Generate 32 random bytes with `openssl rand -base64 32`.',
      ),
  })
  .meta(KEYS_MAY_BE_SECRETS);

/** `delivery.signingKeys` */
export const signingKeys = z
  .array(signingKey)
  .nullable()
  .default(null)
  .transform((keys) => keys ?? [])
  .describe(
    'The keys that sign links. The first key signs, and all keys verify. To rotate a key, put the new key first and remove the old key after `urlTtl`. Without keys, the server generates one and stores it in the database.',
  );

/** `delivery.urlTtl` */
export const urlTtl = duration({ minMs: 60_000, maxMs: 7 * DAY_MS, example: '1h' })
  .default(3_600_000)
  .meta(SHOWN_IN_FAULTS)
  .describe(
    'The lifetime of a link. A link stays the same for a quarter of the lifetime, so that caches can reuse responses.',
  );
