import type { Config } from '../../config/config.js';
import { OriginPools } from '../../net/client/origin-pools.js';
import { checkSigningKeys, issuerCheck, publicUrlCheck } from './access-checks.js';
import { type CheckResult, runCheck } from './check.js';
import { checkCredentials } from './credentials-check.js';
import { databaseCheck } from './database-check.js';
import { storageCheck } from './storage-check.js';
import { toolsCheck } from './tools-check.js';
import { checkWebhooks } from './webhook-check.js';

/**
 * Checks what a server with this configuration depends on. All checks run at once, each within its own time limit, so
 * that one that hangs delays no other. They change nothing, except for one object in the store that is deleted again.
 */
export async function examine(config: Config): Promise<readonly CheckResult[]> {
  const pools = new OriginPools();
  const issuer = issuerCheck(config, pools);
  try {
    const results = await Promise.all([
      checkConfiguration(config),
      runCheck(databaseCheck(config)),
      runCheck(storageCheck(config)),
      runCheck(toolsCheck(config)),
      checkSigningKeys(config),
      issuer === null ? [] : runCheck(issuer),
      runCheck(publicUrlCheck(config, pools)),
      checkCredentials(config, pools),
      checkWebhooks(config),
    ]);
    return results.flat();
  } finally {
    await pools.close();
  }
}

function checkConfiguration({ channels, withoutEffect }: Config): CheckResult {
  const check = 'configuration';
  if (withoutEffect.length > 0) {
    const message = `valid; without effect in this version: ${withoutEffect.join(', ')}`;
    return { check, status: 'warn', message };
  }
  if (channels.length === 0) return { check, status: 'warn', message: 'valid, but it has no channels; add one' };
  return { check, status: 'ok', message: `valid, with ${channels.length} channel${channels.length === 1 ? '' : 's'}` };
}
