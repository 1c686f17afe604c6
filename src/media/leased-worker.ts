import { setMaxListeners } from 'node:events';
import type { Logger } from '../telemetry/logger.js';

/** Where the jobs are: rows with a lease. A job whose lease has ended belongs to whoever claims it next. */
export interface JobSource<Job> {
  /** At most `limit` jobs that are due, now leased to this worker. */
  claim(limit: number): Promise<readonly Job[]>;
  /** Lengthens the leases of these jobs. What else the worker's name stands at, nobody works on: its lease ends. */
  renewLeases(jobs: readonly Job[]): Promise<void>;
  /** Hands back what this worker holds and has not ended. */
  release(): Promise<void>;
}

export interface LeasedWorkerOptions<Job> {
  /** For logs. */
  readonly name: string;
  readonly source: JobSource<Job>;
  /** Ends the job in its row, whatever happened; a rejection leaves the row to its lease. */
  readonly work: (job: Job, signal: AbortSignal) => Promise<void>;
  readonly concurrency: number;
  readonly logger: Logger;
}

/** A third of it passes between two renewals, so one that fails does no harm. */
export const LEASE_MS = 15_000;
/** How late a job of another process, or one that waits for its time, is found. A job made here is announced by `wake`. */
const POLL_MS = 1_000;
/** From one claim to the next: a claim costs as much for one job as for many. */
export const PAUSE_MS = 20;

/**
 * Works jobs off, `concurrency` at a time: soon after `wake`, and whenever a poll finds some. The rows are the queue:
 * killed at any line, this process leaves nothing but leases that end (15 s) and are found by the next poll.
 */
export class LeasedWorker<Job> {
  readonly #active = new Map<Job, Promise<void>>();
  readonly #stopping = new AbortController();
  #poll: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  /** A claim, and the pause after it. */
  #claiming: Promise<void> | null = null;
  #pause: NodeJS.Timeout | undefined;
  #again = false;

  constructor(private readonly options: LeasedWorkerOptions<Job>) {
    // Every call of every job under way listens: many, and no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  start(): void {
    this.#poll = setInterval(() => this.wake(), POLL_MS);
    this.#heartbeat = setInterval(() => this.#renew(), LEASE_MS / 3);
    this.wake();
  }

  /** There may be something to do. Costs one claim at most, however often it is called meanwhile. */
  wake(): void {
    if (this.#stopping.signal.aborted || this.#active.size >= this.options.concurrency) return;
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

  /** Aborts what is under way and hands it back. */
  async stop(): Promise<void> {
    clearInterval(this.#poll);
    clearInterval(this.#heartbeat);
    this.#stopping.abort(new Error('the server stops'));
    await this.#claiming;
    clearTimeout(this.#pause);
    await Promise.all(this.#active.values());
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
    const running = this.options
      .work(job, this.#stopping.signal)
      .catch((err: unknown) => this.#warn(err, 'a job could not be ended; its lease will'))
      .finally(() => {
        this.#active.delete(job);
        this.wake();
      });
    this.#active.set(job, running);
  }

  #renew(): void {
    if (this.#active.size === 0) return;
    const renewed = this.options.source.renewLeases([...this.#active.keys()]);
    renewed.catch((err: unknown) => this.#warn(err, 'leases could not be renewed'));
  }

  #warn(err: unknown, message: string): void {
    if (!this.#stopping.signal.aborted) this.options.logger.warn({ err, worker: this.options.name }, message);
  }
}
