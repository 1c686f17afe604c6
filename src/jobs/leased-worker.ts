import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../telemetry/logger.js';
import type { JobLock } from './job-lock.js';
import type { WorkHistory } from './work-queue.js';

/** Where the jobs are: rows with a lease. A job whose lease has ended belongs to the next process that claims it. */
export interface JobSource<Job extends WorkHistory> {
  /** At most `limit` jobs that are due, now leased to this worker. */
  claim(limit: number): Promise<readonly Job[]>;
  /** Lengthens the leases of these jobs. @returns those that are this worker's still */
  renewLeases(jobs: readonly Job[]): Promise<ReadonlySet<Job>>;
  /** Notes whether nothing else runs in this process. @returns whether the job is this worker's still */
  setAlone(job: Job, isAlone: boolean): Promise<boolean>;
  /** Hands back what this worker holds and has not ended. */
  release(): Promise<void>;
  /** Ends a job that has ended its process {@link MAX_DEATHS} times. */
  condemn(job: Job): Promise<void>;
  /** What tells one job of this source from another. */
  nameOf(job: Job): string;
}

export interface LeasedWorkerOptions<Job extends WorkHistory> {
  /** For logs. */
  readonly name: string;
  readonly source: JobSource<Job>;
  /** Ends the job in its row, whatever happened; a rejection leaves the row to its lease. The signal aborts when the server
   * stops, or the job is another process's by now. */
  readonly work: (job: Job, signal: AbortSignal) => Promise<void>;
  readonly concurrency: number;
  /** Shared by all workers of the process. */
  readonly lock: JobLock;
  readonly logger: Logger;
}

/** Deaths of a process during which this job alone was under way; there is no fourth. */
export const MAX_DEATHS = 3;
/** For how long a suspect keeps all other jobs waiting; doubled with each time that its lease ran out. */
const ALONE_MS = 20_000;
const MAX_DOUBLINGS = 5;
/** How long the end of the jobs under way is waited for before they are handed back. */
const STOPPING_MS = 5_000;

/** A third of it passes between two renewals, so one that fails does no harm. */
export const LEASE_MS = 15_000;
/** How late a job of another process, or one that waits for its time, is found. A job made here is announced by `wake`. */
const POLL_MS = 1_000;
/** From one claim to the next: a claim costs as much for one job as for many. */
export const PAUSE_MS = 20;

/**
 * Works jobs off, `concurrency` at a time: soon after `wake`, and whenever a poll finds some. The rows are the queue:
 * killed at any line, this process leaves nothing but leases that end (15 s) and are found by the next poll. What was
 * under way in a process that died runs alone; when it ends its process then, too, it is condemned.
 */
export class LeasedWorker<Job extends WorkHistory> {
  readonly #active = new Map<string, Active<Job>>();
  readonly #stopping = new AbortController();
  #poll: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  /** A claim, and the pause after it. */
  #claiming: Promise<void> | null = null;
  #pause: NodeJS.Timeout | undefined;
  #again = false;
  #stopped: Promise<void> | null = null;

  constructor(private readonly options: LeasedWorkerOptions<Job>) {
    // Every call of every job under way listens: many, and no leak.
    setMaxListeners(0, this.#stopping.signal);
    options.lock.onFree(() => this.wake());
  }

  start(): void {
    this.#poll = setInterval(() => this.wake(), POLL_MS);
    this.#heartbeat = setInterval(() => this.#renew(), LEASE_MS / 3);
    this.wake();
  }

  /** There may be something to do. Costs one claim at most, however often it is called meanwhile. */
  wake(): void {
    const { concurrency, lock } = this.options;
    const isRunning = this.#poll !== undefined && !this.#stopping.signal.aborted;
    if (!isRunning || this.#active.size >= concurrency || lock.isReserved) return;
    if (this.#claiming) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#claiming = this.#claim().finally(() => {
      this.#pause = setTimeout(() => this.#rested(), PAUSE_MS);
    });
  }

  #rested(): void {
    this.#claiming = null;
    if (this.#again) this.wake();
  }

  /** Aborts what is under way and hands it back, at the latest after five seconds. Harmless when repeated. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#poll);
    this.#stopping.abort(new Error('the server stops'));
    await this.#claiming;
    clearTimeout(this.#pause);
    const over = new AbortController();
    const ended = Promise.all([...this.#active.values()].map(({ running }) => running));
    await Promise.race([ended, sleep(STOPPING_MS, undefined, { signal: over.signal }).catch(() => {})]);
    over.abort();
    clearInterval(this.#heartbeat);
    await this.options.source.release().catch((err: unknown) => this.#warn(err, 'jobs could not be handed back'));
  }

  async #claim(): Promise<void> {
    const free = this.options.concurrency - this.#active.size;
    let jobs: readonly Job[] = [];
    try {
      jobs = await this.options.source.claim(free);
    } catch (err) {
      this.#warn(err, 'jobs could not be claimed');
    }
    for (const job of jobs) this.#run(job);
  }

  #run(job: Job): void {
    const name = this.options.source.nameOf(job);
    // Its lease ran out while the database was away; it is under way still.
    if (this.#active.has(name)) return;
    const ending = new AbortController();
    setMaxListeners(0, ending.signal);
    const onStop = (): void => ending.abort(this.#stopping.signal.reason);
    this.#stopping.signal.addEventListener('abort', onStop, { once: true });
    if (this.#stopping.signal.aborted) onStop();
    const running = this.#perform(job, ending.signal)
      .catch((err: unknown) => {
        if (!ending.signal.aborted) this.#warn(err, 'a job could not be ended; its lease will');
      })
      .finally(() => {
        this.#stopping.signal.removeEventListener('abort', onStop);
        this.#active.delete(name);
        this.wake();
      });
    this.#active.set(name, { job, running, ending });
  }

  async #perform(job: Job, signal: AbortSignal): Promise<void> {
    const { source, work, lock, name, logger } = this.options;
    if (job.deaths >= MAX_DEATHS) {
      logger.error({ worker: name, job: source.nameOf(job) }, 'a job that ends its process is not begun again');
      return source.condemn(job);
    }
    if (job.suspect) return this.#performAlone(job, signal);
    const leave = await lock.share(signal);
    try {
      await work(job, signal);
    } finally {
      leave();
    }
  }

  async #performAlone(job: Job, signal: AbortSignal): Promise<void> {
    const { source, work, lock } = this.options;
    const { leave, letOthersIn } = await lock.runAlone(signal);
    let patience: NodeJS.Timeout | undefined;
    try {
      if (!(await source.setAlone(job, true))) return;
      const letOthers = (): void => {
        const noted = source.setAlone(job, false).then(letOthersIn);
        noted.catch((err: unknown) => this.#warn(err, 'a job goes on alone'));
      };
      patience = setTimeout(letOthers, ALONE_MS * 2 ** Math.min(job.interruptions - 1, MAX_DOUBLINGS));
      await work(job, signal);
    } finally {
      clearTimeout(patience);
      leave();
    }
  }

  #renew(): void {
    if (this.#active.size === 0) return;
    const jobs = [...this.#active.values()];
    const renewed = this.options.source.renewLeases(jobs.map(({ job }) => job));
    renewed.then(
      (held) => {
        // What another process has taken over meanwhile is that one's.
        for (const { job, ending } of jobs) if (!held.has(job)) ending.abort(new Error('the job was taken over'));
      },
      (err: unknown) => this.#warn(err, 'leases could not be renewed'),
    );
  }

  #warn(err: unknown, message: string): void {
    if (!this.#stopping.signal.aborted) this.options.logger.warn({ err, worker: this.options.name }, message);
  }
}

interface Active<Job> {
  readonly job: Job;
  readonly running: Promise<void>;
  readonly ending: AbortController;
}
