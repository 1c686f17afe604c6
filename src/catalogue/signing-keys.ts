import { randomBytes } from 'node:crypto';
import type { Database } from '../database/database.js';

/** Delivery URLs contain it as `kid`. */
const ID = 'generated';
/** The length that HMAC-SHA256 can use (RFC 2104 section 3: not less than the hash's output). */
const SECRET_BYTES = 32;

/**
 * The key of deployments without configured keys. It is generated once and is permanent and the same for all replicas.
 */
export async function ensureSigningKey(
  { kysely }: Pick<Database, 'kysely'>,
  now: Date,
): Promise<{ readonly id: string; readonly secret: string }> {
  // If several processes start concurrently, one inserts the key, and all read it.
  await kysely
    .insertInto('signing_keys')
    .values({ id: ID, secret: randomBytes(SECRET_BYTES).toString('base64url'), created_at: now })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
  return kysely.selectFrom('signing_keys').select(['id', 'secret']).where('id', '=', ID).executeTakeFirstOrThrow();
}
