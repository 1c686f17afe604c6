import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import { JOB_KINDS, type JobKind } from '../model/job-kind.js';
import type { Logger } from '../telemetry/logger.js';

export interface JobNewsOptions {
  readonly database: Pick<Database, 'jobs' | 'engine' | 'listen'>;
  /** There may be due jobs of these kinds. */
  readonly onNews: (kinds: readonly JobKind[]) => void;
  readonly logger: Logger;
}

/** All announcements of so long become one notification: PostgreSQL commits notifications one after the other. */
const COALESCED_MS = 50;

/**
 * Tells this process and all others at once that jobs were added, so that no worker has to look often. A notification that is
 * lost costs time alone: every worker looks by itself after some seconds.
 */
export class JobNews {
  /** Names this process in its notifications, which it hears, too. */
  readonly #sender = randomUUID();
  readonly #pending = new Set<JobKind>();
  #timer: NodeJS.Timeout | undefined;
  #channel = '';

  constructor(private readonly options: JobNewsOptions) {}

  /** Hears the other processes from now on. The embedded engine has one process. */
  async start(): Promise<void> {
    const { database } = this.options;
    if (database.engine === 'embedded') return;
    const { rows } = await sql<{ channel: string }>`select ${CHANNEL} as channel`.execute(database.jobs);
    const channel = rows[0]?.channel ?? '';
    await database.listen(channel, (payload) => this.#receive(payload));
    this.#channel = channel;
  }

  announce(kind: JobKind): void {
    this.options.onNews([kind]);
    if (this.#channel === '') return;
    this.#pending.add(kind);
    this.#timer ??= setTimeout(() => void this.#notify(), COALESCED_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#channel = '';
  }

  #receive(payload: string | null): void {
    // The connection was lost, and notifications with it.
    if (payload === null) {
      this.options.onNews(JOB_KINDS);
      return;
    }
    // Any session of the database may notify, with any text.
    const [sender, ...words] = payload.slice(0, MAX_PAYLOAD).split(',');
    if (sender !== this.#sender) this.options.onNews(JOB_KINDS.filter((kind) => words.includes(kind)));
  }

  async #notify(): Promise<void> {
    const news = [this.#sender, ...this.#pending].join(',');
    this.#pending.clear();
    this.#timer = undefined;
    try {
      await sql`select pg_notify(${this.#channel}, ${news})`.execute(this.options.database.jobs);
    } catch (err) {
      this.options.logger.warn({ err }, 'other processes could not be notified of new jobs; they will poll');
    }
  }
}

/** A notification reaches all sessions of a database, whatever their schema. */
const CHANNEL = sql.raw(`'mediagraph_jobs_' || md5(current_schema())`);

/** Wakes the workers of all processes, for a process that has none itself. The embedded engine has no other process. */
export async function wakeWorkers(
  { engine, jobs }: Pick<Database, 'engine' | 'jobs'>,
  kinds: readonly JobKind[],
): Promise<void> {
  if (engine === 'embedded') return;
  const news = [randomUUID(), ...kinds].join(',');
  await sql`select pg_notify(${CHANNEL}, ${news})`.execute(jobs);
}

/** The characters of a sender and all kinds, with room for new ones. */
const MAX_PAYLOAD = 1_000;
