import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { ProcessUse } from './replica.js';

const EVERY_MS = 2_000;

export interface ReplicaSample extends ProcessUse {
  readonly at: number;
  readonly replica: number;
  /** Which start of the replica it was. */
  readonly start: number;
}

export interface DatabaseSample {
  readonly at: number;
  /** Connections of the replicas and of the commands that run beside them. */
  readonly connections: number;
  readonly openJobs: number;
}

const CONNECTIONS = `select count(*)::integer as count from pg_stat_activity
  where application_name like 'mediagraph%'`;
const OPEN_JOBS = `select count(*)::integer as count from jobs where kind <> 'sweep'`;

/** Looks at the replicas and at the database all along. What does not answer at the moment is left out. */
export class ProcessSamples {
  readonly replicas: ReplicaSample[] = [];
  readonly database: DatabaseSample[] = [];
  readonly #ending = new AbortController();
  readonly #sampling: Promise<void>;

  constructor(private readonly cluster: Cluster) {
    this.#sampling = this.#run();
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#sampling;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await Promise.all([this.#lookAtReplicas(), this.#lookAtDatabase()]);
      await sleep(EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #lookAtReplicas(): Promise<void> {
    const looks = this.cluster.replicas.map(async (replica, index) => {
      const start = replica.starts;
      const use = await replica.use();
      if (use && start === replica.starts) this.replicas.push({ ...use, at: performance.now(), replica: index, start });
    });
    await Promise.all(looks);
  }

  async #lookAtDatabase(): Promise<void> {
    try {
      const { postgres } = this.cluster;
      const [connections, jobs] = await Promise.all([postgres.query(CONNECTIONS), postgres.query(OPEN_JOBS)]);
      this.database.push({
        at: performance.now(),
        connections: Number(connections[0]?.count),
        openJobs: Number(jobs[0]?.count),
      });
    } catch {
      // It is being restarted.
    }
  }
}

/** Of the database, by `openDatabase`: ten in the pool, one that listens, one for migrations at the start. */
const CONNECTIONS_OF_REPLICA = 12;
/** Far above what a replica uses, far below the usual limit of 1,024. */
const MAX_DESCRIPTORS = 400;
const MAX_RSS_BYTES = 700 * 2 ** 20;
/** A process that lived for less is still warming up. */
const COMPARED_FROM_MS = 240_000;
const HEAP_SLACK_BYTES = 24 * 2 ** 20;
const RSS_SLACK_BYTES = 64 * 2 ** 20;
const DESCRIPTORS_SLACK = 32;
const SLACK = 1.3;

/** What speaks against flat memory, descriptors and connections; [] is as it should be. */
export function growthOf({ replicas, database }: ProcessSamples, replicaCount: number): string[] {
  const faults: string[] = [];
  for (const { replica, descriptors, rssBytes } of replicas) {
    if (descriptors > MAX_DESCRIPTORS) faults.push(`replica ${replica + 1} had ${descriptors} descriptors`);
    if (rssBytes > MAX_RSS_BYTES) faults.push(`replica ${replica + 1} had ${rssBytes} bytes of memory`);
  }
  // Those of a sweep at the end, too.
  const mostConnections = CONNECTIONS_OF_REPLICA * (replicaCount + 1);
  for (const { connections } of database)
    if (connections > mostConnections) faults.push(`${connections} connections were open`);
  for (const lifetime of lifetimesOf(replicas)) faults.push(...growthWithin(lifetime));
  return faults;
}

/** The samples of each process. */
export function lifetimesOf(samples: readonly ReplicaSample[]): ReplicaSample[][] {
  const lifetimes = new Map<string, ReplicaSample[]>();
  for (const sample of samples) {
    const name = `${sample.replica} ${sample.start}`;
    lifetimes.set(name, [...(lifetimes.get(name) ?? []), sample]);
  }
  return [...lifetimes.values()];
}

/** Compares the last third of a process's life with the one before it. */
function growthWithin(samples: readonly ReplicaSample[]): string[] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at - first.at < COMPARED_FROM_MS) return [];
  const third = (last.at - first.at) / 3;
  const middle = samples.filter(({ at }) => at >= first.at + third && at < last.at - third);
  const end = samples.filter(({ at }) => at >= last.at - third);
  const name = `replica ${first.replica + 1}`;
  const faults: string[] = [];
  const compare = (what: string, before: number, after: number, slack: number) => {
    if (after > before * SLACK + slack) faults.push(`the ${what} of ${name} grew from ${before} to ${after}`);
  };
  // Between two garbage collections a heap grows, so its lowest values count.
  compare('heap', lowest(heaps(middle)), lowest(heaps(end)), HEAP_SLACK_BYTES);
  compare('memory', median(middle.map(({ rssBytes }) => rssBytes)), median(end.map(rss)), RSS_SLACK_BYTES);
  compare('descriptors', median(middle.map(descriptors)), median(end.map(descriptors)), DESCRIPTORS_SLACK);
  if (isEverGrowing(samples.map(descriptors))) faults.push(`the descriptors of ${name} never stop growing`);
  return faults;
}

const rss = ({ rssBytes }: ReplicaSample) => rssBytes;
const descriptors = (sample: ReplicaSample) => sample.descriptors;

function heaps(samples: readonly ReplicaSample[]): number[] {
  return samples.flatMap(({ heapBytes }) => (heapBytes === null ? [] : [heapBytes]));
}

const WINDOWS = 8;

/** Whether the lowest value of each part is above that of the part before it, all along. */
function isEverGrowing(values: readonly number[]): boolean {
  const length = Math.floor(values.length / WINDOWS);
  const lows = Array.from({ length: WINDOWS }, (_, index) =>
    lowest(values.slice(index * length, (index + 1) * length)),
  );
  return lows.every((low, index) => index === 0 || low > (lows[index - 1] ?? 0));
}

function lowest(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(low, value), Number.POSITIVE_INFINITY);
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
