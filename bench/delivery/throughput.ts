import { cpuTimeMs } from '../support/cpu-time.js';
import { pairedRatio } from '../support/statistics.js';
import { drive } from './wrk.js';

export interface Contestants {
  readonly ours: Contestant;
  readonly nginx: Contestant;
}

interface Contestant {
  readonly url: string;
  /** Every process that serves the URL. */
  readonly pids: readonly number[];
}

export interface ThroughputFigures {
  readonly what: string;
  /** Requests per second, the median of the rounds' ratios to nginx. */
  readonly times: number;
  readonly oursPerSecond: number;
  readonly nginxPerSecond: number;
  /** CPU of a request, milliseconds. */
  readonly oursCpuMs: number;
  readonly nginxCpuMs: number;
}

export interface ThroughputPlan {
  readonly what: string;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly headers?: readonly string[];
}

interface Round {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/** Both in turn, each first in every other round. */
export async function compareThroughput(
  { ours, nginx }: Contestants,
  { what, rounds, ...load }: ThroughputPlan,
): Promise<ThroughputFigures> {
  const measured: { ours: Round[]; nginx: Round[] } = { ours: [], nginx: [] };
  for (const { url } of [ours, nginx]) await drive({ url, ...load, seconds: 1 });
  for (let round = 0; round < rounds; round++) {
    const turn = [
      ['ours', ours],
      ['nginx', nginx],
    ] as const;
    for (const [name, { url, pids }] of round % 2 === 0 ? turn : [...turn].reverse()) {
      const before = cpuTimesMs(pids);
      const { requests, perSecond } = await drive({ url, ...load });
      measured[name].push({ perSecond, cpuMs: (cpuTimesMs(pids) - before) / requests });
    }
  }
  const speed = (name: 'ours' | 'nginx') => measured[name].map(({ perSecond }) => perSecond);
  const cpu = (name: 'ours' | 'nginx') => mean(measured[name].map(({ cpuMs }) => cpuMs));
  return {
    what,
    times: pairedRatio(speed('ours'), speed('nginx')),
    oursPerSecond: mean(speed('ours')),
    nginxPerSecond: mean(speed('nginx')),
    oursCpuMs: cpu('ours'),
    nginxCpuMs: cpu('nginx'),
  };
}

function cpuTimesMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTimeMs(pid), 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
