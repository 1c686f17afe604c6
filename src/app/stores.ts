import { randomUUID } from 'node:crypto';
import { inTime, queryCatalogue } from '../catalogue/catalogue-fault.js';
import { type MediaChanges, SqlMediaChanges } from '../catalogue/changes/media-changes.js';
import { SqlChannelFacts } from '../catalogue/channel-facts.js';
import { type Deletions, SqlDeletions } from '../catalogue/deletions.js';
import { SqlErrorBudgets } from '../catalogue/error-budgets.js';
import { type Copies, SqlCopies } from '../catalogue/media/copies.js';
import type { MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import { MessageMemory } from '../catalogue/media/message-memory.js';
import { SqlMediaCatalogue } from '../catalogue/media/sql-media-catalogue.js';
import { adoptPreviousWork } from '../catalogue/previous-work.js';
import { SqlQuotas } from '../catalogue/quotas.js';
import { SqlRequestCounts } from '../catalogue/request-counts.js';
import { SqlUploads, type Uploads } from '../catalogue/uploads.js';
import { SqlWebhookInbox, type WebhookInbox } from '../catalogue/webhook-inbox.js';
import type { Config } from '../config/config.js';
import { type Database, openDatabase } from '../database/database.js';
import { migrate } from '../database/migrations/migrate.js';
import { wakeWorkers } from '../jobs/job-news.js';
import { type JobStore, SqlJobStore } from '../jobs/job-store.js';
import { type Clock, dateOf } from '../model/clock.js';
import type { JobKind } from '../model/job-kind.js';
import type { ChannelFacts } from '../providers/channel-facts.js';
import type { Quota } from '../providers/quota.js';
import { ReusedHolds } from '../providers/reused-holds.js';
import type { BlobStore } from '../storage/blob-store.js';
import { openBlobStore } from '../storage/open-blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { blobOptions } from './blob-options.js';

/** The parts that store data beyond the life of the process. */
export interface Stores {
  readonly database: Database;
  readonly catalogue: MediaCatalogue;
  /** The same catalogue for jobs, with lower priority. */
  readonly jobsCatalogue: MediaCatalogue;
  readonly changes: MediaChanges;
  readonly inbox: WebhookInbox;
  readonly uploads: Uploads;
  readonly copies: Copies;
  readonly deletions: Deletions;
  readonly jobs: JobStore;
  readonly quota: Quota;
  readonly requestCounts: SqlRequestCounts;
  readonly facts: ChannelFacts;
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

/**
 * Opens and migrates the database, and opens the blob store. Rejects with errors that an operator can correct.
 * @param given an open database to use instead of the configured one; its owner closes it
 */
export async function openStores(config: Config, logger: Logger, given?: Database): Promise<Stores> {
  const database = given ?? (await openDatabase({ url: config.database.url, logger }));
  const closeDatabase = async () => {
    if (!given) await database.close();
  };
  try {
    await migrate(database);
    await database.startClock();
    const jobs = new SqlJobStore(database, { owner: randomUUID(), clock: database.clock });
    await takeOverWork(database, jobs);
    const blobs = await openBlobStore(blobOptions(config.storage));
    const now = () => database.clock.now();
    const changes = new SqlMediaChanges(database, logger);
    const budgets = new ReusedHolds({ hold: holdsOver(new SqlErrorBudgets(database), logger) });
    return {
      database,
      catalogue: new SqlMediaCatalogue(database, new MessageMemory(database)),
      jobsCatalogue: new SqlMediaCatalogue({ kysely: database.background, reads: database.backgroundReads }),
      changes,
      inbox: new SqlWebhookInbox(database),
      uploads: new SqlUploads(database),
      copies: new SqlCopies(database),
      deletions: new SqlDeletions(database),
      jobs,
      requestCounts: new SqlRequestCounts(database),
      quota: quotaOver(new SqlQuotas(database, now), budgets),
      facts: factsOver(new SqlChannelFacts(database)),
      blobs,
      close: async () => {
        await blobs.close();
        await budgets.close();
        await changes.close();
        await closeDatabase();
      },
    };
  } catch (thrown) {
    await closeDatabase();
    throw thrown;
  }
}

/** The queue of background jobs without anything else that a server has. */
export interface JobQueue {
  readonly jobs: JobStore;
  readonly clock: Clock;
  /** Wakes the workers of the servers that share the database. */
  wake(kinds: readonly JobKind[]): Promise<void>;
  close(): Promise<void>;
}

/** Opens the database and brings its schema up to date. Rejects with what an operator can mend. */
export async function openJobQueue(config: Config, logger: Logger): Promise<JobQueue> {
  const database = await openDatabase({ url: config.database.url, logger });
  try {
    await migrate(database);
    await database.startClock();
    const { clock } = database;
    return {
      jobs: new SqlJobStore(database, { owner: randomUUID(), clock }),
      clock,
      wake: (kinds) => wakeWorkers(database, kinds),
      close: () => database.close(),
    };
  } catch (thrown) {
    await database.close();
    throw thrown;
  }
}

/** If this process is the only one of its database, all other owners of leases are dead. */
async function takeOverWork(database: Database, jobs: JobStore): Promise<void> {
  const isAlone = database.engine === 'embedded';
  const now = dateOf(database.clock);
  await adoptPreviousWork(database, { now, leasesBefore: isAlone ? END_OF_TIME : now });
  if (isAlone) await jobs.abandonLeases();
}

const END_OF_TIME = new Date('9999-12-31T00:00:00Z');

function quotaOver(quotas: SqlQuotas, budgets: Pick<Quota, 'hold'>): Quota {
  return {
    take: (...counted) => queryCatalogue(() => quotas.take(...counted)),
    hold: (...asked) => budgets.hold(...asked),
  };
}

function holdsOver(budgets: SqlErrorBudgets, logger: Logger): Quota['hold'] {
  return async (name, limits) => {
    const held = await queryCatalogue(() => inTime(budgets.hold(name, limits)));
    if (typeof held !== 'string') return { kind: 'full', ...held };
    return {
      kind: 'held',
      settle: (failed) =>
        budgets
          .settle(name, held, failed)
          .catch((err: unknown) => logger.warn({ err }, 'the result of a look-up could not be counted')),
    };
  };
}

/** Listings and look-ups continue without the facts if the database is unavailable. */
function factsOver(facts: SqlChannelFacts): ChannelFacts {
  return {
    recall: (...asked) => inTime(facts.recall(...asked)),
    note: (...told) => inTime(facts.note(...told)),
  };
}
