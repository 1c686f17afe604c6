import { resolve } from 'node:path';
import { SqlMediaChanges } from '../catalogue/changes/media-changes.js';
import { SqlMediaCatalogue } from '../catalogue/media/sql-media-catalogue.js';
import { SqlStoredMedia } from '../catalogue/stored-media.js';
import type { Config } from '../config/config.js';
import { type Database, embeddedFolder, openDatabase } from '../database/database.js';
import { folderState } from '../database/embedded/folder-state.js';
import { migrate, schemaState } from '../database/migrations/migrate.js';
import { wakeWorkers } from '../jobs/job-news.js';
import type { Finding } from '../media/verify/finding.js';
import { type VerifyOptions, verify } from '../media/verify/verify.js';
import { openBlobStore } from '../storage/open-blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { blobOptions } from './blob-options.js';

export interface VerificationOptions
  extends Pick<VerifyOptions, 'repair' | 'digests' | 'storeLost' | 'channelId' | 'graceMs' | 'onCompared'> {
  readonly config: Config;
  readonly logger: Logger;
}

/**
 * Compares the rows and the blobs of a configuration, without a server. Without `repair` it changes nothing, not even the
 * schema. Rejects with what an operator can mend.
 */
export async function* verifyStores({
  config,
  logger,
  ...how
}: VerificationOptions): AsyncGenerator<Finding, void, undefined> {
  const database = await openExisting(config, logger);
  try {
    await assertSchema(database, how.repair);
    await database.startClock();
    // Other replicas learn of repaired rows.
    const changes = new SqlMediaChanges(database, logger);
    const options = blobOptions(config.storage);
    const blobs = await openBlobStore(options.driver === 'fs' ? { ...options, leftoverAgeMs: null } : options);
    try {
      yield* verify({
        catalogue: new SqlMediaCatalogue({ kysely: database.background, reads: database.backgroundReads }),
        storedMedia: new SqlStoredMedia(database),
        blobs,
        clock: database.clock,
        onCopies: () => wakeWorkers(database, ['copy']),
        ...how,
      });
    } finally {
      await Promise.all([blobs.close(), changes.close()]);
    }
  } finally {
    await database.close();
  }
}

/** A database that this command created would name no blob, and all blobs would be orphans. */
async function openExisting({ database: { url } }: Config, logger: Logger): Promise<Database> {
  const folder = embeddedFolder(url);
  if (folder === 'memory') throw new Error('expected a database that outlives its process, got pglite:memory');
  if (folder !== null && folderState(resolve(folder)) === 'absent')
    throw new Error('expected the folder of database.url to contain a database, got none');
  return openDatabase({ url, logger });
}

async function assertSchema(database: Database, mayMigrate: boolean): Promise<void> {
  const { applied, pending } = await schemaState(database.backgroundReads);
  if (applied.length === 0) throw new Error('expected a database of Mediagraph, got one without its tables');
  if (mayMigrate) await migrate(database);
  else if (pending.length > 0)
    throw new Error(
      `expected a migrated database, got one with ${pending.length} pending migrations; run mediagraph migrate`,
    );
}
