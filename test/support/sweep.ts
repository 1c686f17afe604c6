import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlRequestCounts } from '../../src/catalogue/request-counts.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import { MediaDeletion } from '../../src/media/delete.js';
import { type SweepReport, sweep } from '../../src/media/sweep.js';
import type { CdnPurge } from '../../src/net/cdn-purge.js';
import { ChannelDirectory } from '../../src/providers/channel-directory.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { jobStoreOf } from './jobs.js';

export interface SweepOptions {
  readonly database: Database;
  /** The root of the blob store. */
  readonly blobs: string;
  /** Absent: deletions purge no CDN. Closed after the sweep. */
  readonly purge?: CdnPurge;
}

/** Runs a sweep of another process, whose clock is ahead by `ms`. */
export async function sweepIn(ms: number, { database, blobs: root, purge }: SweepOptions): Promise<SweepReport> {
  const blobs = await FsBlobStore.open({ root });
  const now = new Date(Date.now() + ms);
  const stores = {
    catalogue: new SqlMediaCatalogue(database),
    changes: new ChangeLog(database),
    inbox: new SqlWebhookInbox(database),
    uploads: new SqlUploads(database),
    requestCounts: new SqlRequestCounts(database),
    deletions: new SqlDeletions(database),
    jobs: jobStoreOf(database, { now }),
    blobs,
  };
  const logger = createLogger({ level: 'warn', destination: { write: () => {} } });
  const alone = {
    channels: new ChannelDirectory([]),
    forget: async () => {},
    purge: purge ? (tag: string) => purge.purge(tag) : null,
  };
  const deletion = new MediaDeletion({ ...alone, ...stores, clock: { now: () => Date.now() + ms }, logger });
  try {
    const options = { ...stores, deletion, clock: Date, logger, graceMs: 0, dryRun: false };
    return await sweep(options, now);
  } finally {
    await Promise.all([blobs.close(), purge?.close()]);
  }
}
