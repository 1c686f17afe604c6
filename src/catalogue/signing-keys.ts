import { randomBytes } from 'node:crypto';
import type { Database } from '../database/database.js';

/** Travels in delivery URLs as `kid`. */
const ID = 'generated';
/** As many as HMAC-SHA256 can use (RFC 2104 section 3: not less than the hash's output). */
const SECRET_BYTES = 32;

/** The key of deployments that configure none: made once, the same for all replicas and for ever. */
export async function ensureSigningKey(
  { kysely }: Pick<Database, 'kysely'>,
  now: Date,
): Promise<{ readonly id: string; readonly secret: string }> {
  // When several processes start at once, one inserts, and all read its key.
  await kysely
    .insertInto('signing_keys')
    .values({ id: ID, secret: randomBytes(SECRET_BYTES).toString('base64url'), created_at: now })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
  return kysely.selectFrom('signing_keys').select(['id', 'secret']).where('id', '=', ID).executeTakeFirstOrThrow();
}
