import { Gauge, type Registry } from 'prom-client';
import type { CountsByKind, JobCounts } from '../model/job-kind.js';

/** Metrics of the queue of background jobs, by kind. Their values are read from the database. */
export class JobMetrics {
  readonly #gauges: ReadonlyArray<readonly [Gauge<'kind'>, (counts: JobCounts, now: number) => number]>;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `mediagraph_jobs_${name}`, help, labelNames: ['kind'], registers: [registry] });
    this.#gauges = [
      [gauge('open', 'Jobs that are not finished: waiting or in progress.'), ({ open }) => open],
      [gauge('due', 'Open jobs that could begin now, paused ones included.'), ({ due }) => due],
      [gauge('running', 'Jobs in progress, in all processes.'), ({ running }) => running],
      [gauge('dead', 'Dead letters: jobs that were given up and are kept for inspection.'), ({ dead }) => dead],
      [gauge('paused', 'Whether the kind is paused: 1 or 0.'), ({ isPaused }) => (isPaused ? 1 : 0)],
      [
        gauge('oldest_due_age_seconds', 'How long the job that has been due longest waits; 0 if none is due.'),
        ({ oldestDueAt }, now) => (oldestDueAt ? Math.max(0, (now - oldestDueAt.getTime()) / 1000) : 0),
      ],
    ];
  }

  /** @param counts null: unknown @param now the time by the clock of the counts */
  show(counts: CountsByKind | null, now: number): void {
    for (const [gauge, read] of this.#gauges) {
      gauge.reset();
      for (const [kind, ofKind] of Object.entries(counts ?? {})) gauge.set({ kind }, read(ofKind, now));
    }
  }
}
