import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/database/database.js';
import { SqlJobStore } from '../../src/jobs/job-store.js';

/** The job store of another process, whose clock stands at a time, or goes as this machine's does. */
export function jobStore(database: Database, at?: number, owner: string = randomUUID()): SqlJobStore {
  return new SqlJobStore(database, { owner, clock: { now: () => at ?? Date.now() } });
}
