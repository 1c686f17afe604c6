import { writeFile } from 'node:fs/promises';
import type { FaultLog } from './fault-log.js';
import { FAULT_KINDS } from './fault-plan.js';
import type { Load } from './load.js';
import { lifetimesOf, type ProcessSamples, quantile, type ReplicaSample } from './process-samples.js';
import { REQUEST_KINDS, type RequestSample } from './request-log.js';

interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

export interface ClusterReport {
  readonly seed: string;
  readonly seconds: number;
  readonly media: Readonly<Record<string, number>>;
  readonly requests: ReadonlyArray<{
    readonly kind: string;
    readonly count: number;
    readonly statuses: Readonly<Record<string, number>>;
    /** Requests that did not succeed although no fault was there, and may be repeated. */
    readonly repeatedOutsideFaults: number;
    readonly outsideFaults: Latencies;
    readonly inFaults: Latencies;
  }>;
  readonly faults: ReadonlyArray<{
    readonly kind: string;
    readonly count: number;
    readonly longestSeconds: number;
    /** From the end of its cause until every replica answers. */
    readonly recoveryMs: { readonly median: number; readonly longest: number };
  }>;
  readonly processes: ReadonlyArray<{
    readonly replica: number;
    readonly start: number;
    readonly seconds: number;
    readonly rssMb: FirstAndLast;
    readonly heapMb: FirstAndLast;
    readonly descriptors: FirstAndLast;
  }>;
  readonly connections: { readonly most: number; readonly last: number };
  readonly openJobs: { readonly most: number };
  /** Flows that were not begun, since too many of their kind were under way. */
  readonly skipped: number;
  readonly logged: Readonly<Record<string, number>>;
  readonly checks: Readonly<Record<string, unknown>>;
  readonly violations: readonly string[];
}

interface FirstAndLast {
  readonly first: number;
  readonly most: number;
  readonly last: number;
}

interface ReportOptions {
  readonly seed: string;
  readonly seconds: number;
  readonly load: Load;
  readonly faults: FaultLog;
  readonly samples: ProcessSamples;
  readonly logged: ReadonlyMap<string, number>;
  readonly checks: Readonly<Record<string, unknown>>;
}

export function reportOf({ seed, seconds, load, faults, samples, logged, checks }: ReportOptions): ClusterReport {
  const { items, violations } = load.ledger;
  const countOf = (suits: (item: (typeof items)[number]) => boolean) => items.filter(suits).length;
  const connections = samples.database.map((sample) => sample.connections);
  return {
    seed,
    seconds: Math.round(seconds),
    media: {
      announced: countOf(({ origin, isAcknowledged }) => origin === 'webhook' && isAcknowledged),
      listed: countOf(({ origin, isAcknowledged }) => origin === 'listing' && isAcknowledged),
      uploaded: countOf(({ origin, isAcknowledged }) => origin === 'upload' && isAcknowledged),
      deleted: countOf(({ deletedAt }) => deletedAt !== null),
    },
    requests: REQUEST_KINDS.map((kind) => requestsOf(kind, load.requests.samples)),
    faults: FAULT_KINDS.map((kind) => {
      const made = faults.faults.filter((fault) => fault.kind === kind);
      const recoveries = made.map(({ endedAt, recoveredAt }) => recoveredAt - endedAt);
      return {
        kind,
        count: made.length,
        longestSeconds: tenths(Math.max(...made.map(({ begunAt, endedAt }) => (endedAt - begunAt) / 1_000))),
        recoveryMs: { median: Math.round(quantile(recoveries, 0.5)), longest: Math.round(Math.max(...recoveries)) },
      };
    }),
    processes: lifetimesOf(samples.replicas).map(processOf),
    connections: { most: Math.max(...connections), last: connections.at(-1) ?? 0 },
    openJobs: { most: Math.max(...samples.database.map(({ openJobs }) => openJobs)) },
    skipped: load.skipped,
    logged: Object.fromEntries([...logged].sort(([, a], [, b]) => b - a)),
    checks,
    violations,
  };
}

function requestsOf(kind: string, all: readonly RequestSample[]): ClusterReport['requests'][number] {
  const samples = all.filter((sample) => sample.kind === kind);
  const statuses: Record<string, number> = {};
  for (const { status } of samples) {
    const name = status === null ? 'no answer' : String(status);
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  const outside = samples.filter(({ inFault }) => !inFault);
  return {
    kind,
    count: samples.length,
    statuses,
    repeatedOutsideFaults: outside.filter(({ status }) => status === null || status >= 500).length,
    outsideFaults: latenciesOf(outside),
    inFaults: latenciesOf(samples.filter(({ inFault }) => inFault)),
  };
}

function latenciesOf(samples: readonly RequestSample[]): Latencies {
  const times = samples.map(({ ms }) => ms);
  return { p50: tenths(quantile(times, 0.5)), p99: tenths(quantile(times, 0.99)) };
}

function processOf(samples: readonly ReplicaSample[]): ClusterReport['processes'][number] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) throw new Error('expected samples of a process');
  return {
    replica: first.replica + 1,
    start: first.start,
    seconds: Math.round((last.at - first.at) / 1_000),
    rssMb: firstAndLast(samples.map(({ rssBytes }) => megabytes(rssBytes))),
    heapMb: firstAndLast(samples.flatMap(({ heapBytes }) => (heapBytes === null ? [] : [megabytes(heapBytes)]))),
    descriptors: firstAndLast(samples.map(({ descriptors }) => descriptors)),
  };
}

function firstAndLast(values: readonly number[]): FirstAndLast {
  return { first: values[0] ?? 0, most: Math.max(...values), last: values.at(-1) ?? 0 };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** As Markdown, for docs/scaling.md. */
export function textOf(report: ClusterReport): string {
  const { seconds, seed, media, requests, faults, processes, connections, openJobs, violations } = report;
  return `${seconds} s of load, seed ${seed}: ${media.announced} media announced by webhooks, ${media.listed} listed, ${media.uploaded} uploaded, ${media.deleted} deleted.

| request | count | statuses | repeated outside of faults | p50 / p99 without a fault, ms | p50 / p99 in a fault, ms |
|---|---|---|---|---|---|
${requests.map(requestLine).join('\n')}

| fault | count | longest, s | recovery: median / longest, ms |
|---|---|---|---|
${faults.map(({ kind, count, longestSeconds, recoveryMs }) => `| ${kind} | ${count} | ${longestSeconds} | ${recoveryMs.median} / ${recoveryMs.longest} |`).join('\n')}

| process | lived, s | memory: first / most / last, MB | heap, MB | descriptors |
|---|---|---|---|---|
${processes.map(processLine).join('\n')}

Connections of PostgreSQL: ${connections.most} at most, ${connections.last} at the end. Open jobs: ${openJobs.most} at most.
${violations.map((violation) => `\n- ${violation}`).join('')}
Logged: ${JSON.stringify(report.logged)}
Checks: ${JSON.stringify(report.checks)}
Flows that were not begun: ${report.skipped}
`;
}

function requestLine(line: ClusterReport['requests'][number]): string {
  const { kind, count, statuses, repeatedOutsideFaults, outsideFaults, inFaults } = line;
  const named = Object.entries(statuses).map(([status, times]) => `${status}: ${times}`);
  return `| ${kind} | ${count} | ${named.join(', ')} | ${repeatedOutsideFaults} | ${outsideFaults.p50} / ${outsideFaults.p99} | ${inFaults.p50} / ${inFaults.p99} |`;
}

function processLine({ replica, start, seconds, ...use }: ClusterReport['processes'][number]): string {
  const cells = [use.rssMb, use.heapMb, use.descriptors].map(({ first, most, last }) => `${first} / ${most} / ${last}`);
  return `| replica ${replica}, start ${start} | ${seconds} | ${cells.join(' | ')} |`;
}

/** Where TEST_REPORT names a file, the report is written there: as JSON where its name says so, else as Markdown. */
export async function writeReport(report: ClusterReport): Promise<void> {
  const { TEST_REPORT } = process.env;
  if (!TEST_REPORT) return;
  await writeFile(TEST_REPORT, TEST_REPORT.endsWith('.json') ? JSON.stringify(report, null, 2) : textOf(report));
}
