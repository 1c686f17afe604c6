import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpanKind } from '@opentelemetry/api';
import type { TenantId } from '../model/channel.js';
import type { Clock } from '../model/clock.js';
import type { JobKind } from '../model/job-kind.js';
import type { WorkMetrics } from '../telemetry/instruments/work-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { inOwnTrace } from '../telemetry/spans.js';
import { type ClaimedJob, LEASE_MS, MAX_DEATHS } from './job.js';
import type { JobHandler, PreparedJob } from './job-handler.js';
import { JobLock } from './job-lock.js';
import { traceParentOf } from './job-statements.js';
import type { Demand, JobStore } from './job-store.js';
import type { KindOfChannels } from './served-channels.js';

export interface JobWorkerOptions {
  readonly store: JobStore;
  /** One for each kind that this process performs. */
  readonly handlers: readonly JobHandler[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'jobEnded'>;
}

/** How long a suspect keeps all other jobs waiting; doubled with each interruption. */
const ALONE_MS = 20_000;
const MAX_DOUBLINGS = 5;
/** How long jobs under way may take to end before they are handed back. */
const STOPPING_MS = 5_000;
/** The shortest time from one claim to the next: a claim costs as much for one job as for many. */
export const PAUSE_MS = 20;
/** When nothing was found, how long it takes until the next time at which there will be something is looked up. */
const LOOK_AHEAD_MS = 500;
/** The longest time between two claims, for jobs whose process died before it announced them. */
const LONGEST_IDLE_MS = 10_000;

interface Active {
  readonly job: ClaimedJob;
  readonly handler: JobHandler;
  readonly running: Promise<void>;
  readonly ending: AbortController;
}

/**
 * Performs jobs of all kinds. It claims when {@link wake} says that there is something, when a job is due, and when another
 * process's lease ends; an idle worker does nothing for seconds. The rows are the queue: a process that is killed at any
 * line leaves nothing but leases that end. What was under way in a process that died runs alone; if it ends its process
 * three times while alone, it is condemned.
 */
export class JobWorker {
  readonly #handlers: ReadonlyMap<JobKind, JobHandler>;
  readonly #active = new Map<number, Active>();
  readonly #lock = new JobLock();
  readonly #stopping = new AbortController();
  /** Kinds of which there may be due jobs. */
  readonly #wanted = new Set<JobKind>();
  /** Kinds that this process takes no more of. */
  readonly #closed = new Set<JobKind>();
  #isRunning = false;
  #heartbeat: NodeJS.Timeout | undefined;
  /** A claim, and the pause after it. */
  #claiming: Promise<void> | null = null;
  #pause: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;
  #lookAhead: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | null = null;

  constructor(private readonly options: JobWorkerOptions) {
    this.#handlers = new Map(options.handlers.map((handler) => [handler.kind, handler]));
    // Every call of every job under way listens to this signal.
    setMaxListeners(0, this.#stopping.signal);
    this.#lock.onFree(() => this.#claimSoon());
  }

  start(): void {
    this.#isRunning = true;
    this.#heartbeat = setInterval(() => this.#renew(), LEASE_MS / 3);
    this.wake();
  }

  /** There may be due jobs of these kinds. However often it is called, claims are {@link PAUSE_MS} apart. */
  wake(kinds: Iterable<JobKind> = this.#handlers.keys()): void {
    for (const kind of kinds) if (this.#handlers.has(kind) && !this.#closed.has(kind)) this.#wanted.add(kind);
    this.#claimSoon();
  }

  /** Hands back jobs that no caller waits for, and takes no more of them. */
  async handBack(): Promise<void> {
    await this.#close([...this.#handlers.values()].filter(({ isAwaited }) => !isAwaited).map(({ kind }) => kind));
  }

  /** Aborts all jobs and hands them back, at the latest after five seconds. Harmless when repeated. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#next);
    clearTimeout(this.#lookAhead);
    this.#stopping.abort(new Error('the server stops'));
    await this.#close([...this.#handlers.keys()]);
    clearTimeout(this.#pause);
    clearInterval(this.#heartbeat);
  }

  async #close(kinds: readonly JobKind[]): Promise<void> {
    for (const kind of kinds) {
      this.#closed.add(kind);
      this.#wanted.delete(kind);
    }
    await this.#claiming;
    const jobs = [...this.#active.values()].filter(({ job }) => kinds.includes(job.kind));
    for (const { ending } of jobs) ending.abort(new Error('the server stops'));
    const over = new AbortController();
    const ended = Promise.all(jobs.map(({ running }) => running));
    await Promise.race([ended, sleep(STOPPING_MS, undefined, { signal: over.signal }).catch(() => {})]);
    over.abort();
    await this.options.store.release(kinds).catch((err: unknown) => {
      this.options.logger.warn({ err, kinds }, 'jobs could not be released');
    });
  }

  #claimSoon(): void {
    if (!this.#isRunning || this.#claiming || this.#lock.isReserved) return;
    const demands = this.#demands();
    if (demands.length === 0) return;
    this.#claiming = this.#claim(demands).finally(() => {
      this.#pause = setTimeout(() => {
        this.#claiming = null;
        this.#claimSoon();
      }, PAUSE_MS);
    });
  }

  /** What this process has room for. */
  #demands(): Demand[] {
    const active = [...this.#active.values()].map(({ job }) => job);
    return [...this.#wanted].flatMap((kind) => {
      const handler = this.#handlers.get(kind);
      const ofKind = active.filter((job) => job.kind === kind);
      const room = (handler?.concurrency ?? 0) - ofKind.length;
      if (!handler || room <= 0) return [];
      const channels = handler.channels?.();
      if (handler.perTenant === undefined) return [{ kind, limit: room, channels }];
      // One at a time: the next claim knows whose turn it took.
      return [{ kind, limit: 1, channels, exceptTenants: tenantsWith(handler.perTenant, ofKind) }];
    });
  }

  async #claim(demands: readonly Demand[]): Promise<void> {
    // What is added from here on may be missed by this claim, and makes its kind wanted again.
    for (const { kind } of demands) this.#wanted.delete(kind);
    let jobs: readonly ClaimedJob[];
    try {
      jobs = await this.options.store.claim(demands);
    } catch (err) {
      this.#warn(err, 'jobs could not be claimed');
      this.#claimAgainAt(LOOK_AHEAD_MS);
      return;
    }
    for (const { kind, limit } of demands) {
      if (jobs.filter((job) => job.kind === kind).length >= limit) this.#wanted.add(kind);
    }
    await Promise.all(
      demands.map(({ kind }) =>
        this.#begin(
          kind,
          jobs.filter((job) => job.kind === kind),
        ),
      ),
    );
    this.#lookAheadSoon();
  }

  #lookAheadSoon(): void {
    if (this.#isRunning) this.#lookAhead ??= setTimeout(() => void this.#findNext(), LOOK_AHEAD_MS);
  }

  /** Arms the timer for the next time at which there is something to claim. */
  async #findNext(): Promise<void> {
    let inMs = LONGEST_IDLE_MS;
    try {
      const at = await this.options.store.nextAt(this.#openKinds());
      if (at) inMs = Math.min(inMs, Math.max(at.getTime() - this.options.clock.now(), 0));
    } catch (err) {
      this.#warn(err, 'the next job could not be looked up');
    }
    this.#lookAhead = undefined;
    this.#claimAgainAt(inMs);
  }

  #claimAgainAt(inMs: number): void {
    if (!this.#isRunning) return;
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.wake(), inMs);
  }

  #openKinds(): KindOfChannels[] {
    const open = [...this.#handlers.values()].filter(({ kind }) => !this.#closed.has(kind));
    return open.map(({ kind, channels }) => ({ kind, channels: channels?.() }));
  }

  async #begin(kind: JobKind, jobs: readonly ClaimedJob[]): Promise<void> {
    const handler = this.#handlers.get(kind);
    // A job whose lease ran out while the database was away is under way still.
    const fresh = jobs.filter(({ id }) => !this.#active.has(id));
    if (!handler || fresh.length === 0) return;
    try {
      const prepared = await handler.prepare(fresh);
      for (const job of fresh) this.#run(handler, job, prepared.get(job) ?? null);
    } catch (err) {
      this.#warn(err, 'jobs could not be prepared; their leases will end');
    }
  }

  #run(handler: JobHandler, job: ClaimedJob, prepared: PreparedJob | null): void {
    const ending = new AbortController();
    setMaxListeners(0, ending.signal);
    const onStop = (): void => ending.abort(this.#stopping.signal.reason);
    this.#stopping.signal.addEventListener('abort', onStop, { once: true });
    if (this.#stopping.signal.aborted) onStop();
    const work = prepared ? this.#perform(handler, job, prepared, ending.signal) : this.options.store.finish(job);
    const running = Promise.resolve(work)
      .then(() => {})
      .catch((err: unknown) => {
        if (!ending.signal.aborted) this.#warn(err, 'a job could not be ended; its lease will');
      })
      .finally(() => {
        this.#stopping.signal.removeEventListener('abort', onStop);
        this.#active.delete(job.id);
        // Jobs of a tenant without a turn were left aside.
        if (handler.perTenant !== undefined && !this.#closed.has(job.kind)) this.#wanted.add(job.kind);
        this.#claimSoon();
        // It may have been postponed.
        this.#lookAheadSoon();
      });
    this.#active.set(job.id, { job, handler, running, ending });
  }

  async #perform(handler: JobHandler, job: ClaimedJob, prepared: PreparedJob, signal: AbortSignal): Promise<void> {
    const { kind, tenant, key } = job;
    if (!handler.isTrusted && job.deaths >= MAX_DEATHS) {
      this.options.logger.error({ kind, tenant, key }, 'a job that repeatedly ended its process was abandoned');
      return prepared.condemn();
    }
    if (job.suspect && !handler.isTrusted) return this.#performAlone(handler, job, prepared, signal);
    const leave = await this.#lock.share(signal);
    try {
      await this.#performServed(handler, job, prepared, signal);
    } finally {
      leave();
    }
  }

  /** The channel may have been removed since the claim. */
  #performServed(handler: JobHandler, job: ClaimedJob, prepared: PreparedJob, signal: AbortSignal): Promise<void> {
    const channels = job.channelId === null ? undefined : handler.channels?.();
    const isServed = channels?.some(({ tenant, id }) => id === job.channelId && tenant === job.tenant) ?? true;
    return isServed ? this.#performMeasured(job, prepared, signal) : this.options.store.handBack(job);
  }

  async #performMeasured(job: ClaimedJob, prepared: PreparedJob, signal: AbortSignal): Promise<void> {
    const { kind, attempts, channelId } = job;
    const startedAt = performance.now();
    const describe = () => ({
      name: `job ${kind}`,
      kind: SpanKind.CONSUMER,
      attributes: {
        'mediagraph.job.kind': kind,
        'mediagraph.job.attempts': attempts,
        ...(channelId !== null && { 'mediagraph.channel': channelId }),
      },
      causedBy: traceParentOf(job),
    });
    try {
      await inOwnTrace(describe, () => prepared.perform(signal));
    } finally {
      this.options.metrics?.jobEnded(kind, (performance.now() - startedAt) / 1000);
    }
  }

  async #performAlone(handler: JobHandler, job: ClaimedJob, prepared: PreparedJob, signal: AbortSignal): Promise<void> {
    const { store } = this.options;
    const { leave, letOthersIn } = await this.#lock.runAlone(signal);
    let patience: NodeJS.Timeout | undefined;
    try {
      if (!(await store.setAlone(job, true))) return;
      const letOthers = (): void => {
        const noted = store.setAlone(job, false).then(letOthersIn);
        noted.catch((err: unknown) => this.#warn(err, 'a job goes on alone'));
      };
      patience = setTimeout(letOthers, ALONE_MS * 2 ** Math.min(job.interruptions - 1, MAX_DOUBLINGS));
      await this.#performServed(handler, job, prepared, signal);
    } finally {
      clearTimeout(patience);
      leave();
    }
  }

  #renew(): void {
    if (this.#active.size === 0) return;
    const active = [...this.#active.values()];
    this.options.store.renew(active.map(({ job }) => job)).then(
      (held) => {
        for (const { job, handler, ending } of active)
          if (!held.has(job) && !handler.outlivesLease) ending.abort(new Error('the job was taken over'));
      },
      (err: unknown) => this.#warn(err, 'leases could not be renewed'),
    );
  }

  #warn(err: unknown, message: string): void {
    if (!this.#stopping.signal.aborted) this.options.logger.warn({ err }, message);
  }
}

/** The tenants that have this many jobs. */
function tenantsWith(count: number, jobs: readonly ClaimedJob[]): TenantId[] {
  const byTenant = new Map<TenantId, number>();
  for (const { tenant } of jobs) byTenant.set(tenant, (byTenant.get(tenant) ?? 0) + 1);
  return [...byTenant].filter(([, jobsOfTenant]) => jobsOfTenant >= count).map(([tenant]) => tenant);
}
