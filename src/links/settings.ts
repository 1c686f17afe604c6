import { z } from 'zod';
import { KEYS_MAY_BE_SECRETS, SHOWN_IN_FAULTS } from '../settings/section.js';
import { text } from '../settings/texts.js';
import { DAY_MS, duration } from '../settings/units.js';

const signingKey = z
  .strictObject({
    id: text
      .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 letters, digits, dashes and underscores'))
      .meta({ form: '1 to 32 letters, digits, dashes and underscores' })
      .describe('Stands in every link, so that the key is found again.'),
    secret: text.describe('Whoever has it can make links to all media. 32 random bytes: `openssl rand -base64 32`.'),
  })
  .meta(KEYS_MAY_BE_SECRETS);

/** `delivery.signingKeys` */
export const signingKeys = z
  .array(signingKey)
  .nullable()
  .default(null)
  .transform((keys) => keys ?? [])
  .describe(
    'The first signs, all verify. To rotate, put the new key first and drop the old one after `urlTtl`. Left out: a key is made once and kept in the database.',
  );

/** `delivery.urlTtl` */
export const urlTtl = duration({ minMs: 60_000, maxMs: 7 * DAY_MS, example: '1h' })
  .default(3_600_000)
  .meta(SHOWN_IN_FAULTS)
  .describe('How long a link works. A link stays the same for a quarter of it, so that caches can hit.');
