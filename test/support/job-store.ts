import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/database/database.js';
import { SqlJobStore } from '../../src/jobs/job-store.js';

export interface OtherProcess {
  /** Where its clock stands, milliseconds since the epoch; absent: it goes as this machine's does. */
  readonly at?: number;
  readonly owner?: string;
  readonly leaseMs?: number;
}

/** The job store of another process. */
export function jobStore(database: Database, { at, owner = randomUUID(), leaseMs }: OtherProcess = {}): SqlJobStore {
  return new SqlJobStore(database, { owner, clock: { now: () => at ?? Date.now() }, leaseMs });
}
