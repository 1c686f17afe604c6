import type { CountsByKind, JobCounts } from '../model/job-kind.js';
import type { Gauging, Instruments } from './instruments/instruments.js';

/** Null: the series is missing. */
type Read = (counts: JobCounts, now: number) => number | null;

/** Metrics of the queue of background jobs, by kind. Their values are read from the database. */
export class JobMetrics {
  readonly #gauges: ReadonlyArray<readonly [Gauging<'kind'>, Read]>;

  constructor(instruments: Instruments) {
    this.#gauges = [
      [instruments.gauge('mediagraph_jobs_open'), ({ open }) => open],
      [instruments.gauge('mediagraph_jobs_due'), ({ due }) => due],
      [instruments.gauge('mediagraph_jobs_running'), ({ running }) => running],
      [instruments.gauge('mediagraph_jobs_dead'), ({ dead }) => dead],
      [instruments.gauge('mediagraph_jobs_paused'), ({ isPaused }) => (isPaused ? 1 : 0)],
      [
        instruments.gauge('mediagraph_jobs_oldest_due_age_seconds'),
        ({ oldestDueAt }, now) => (oldestDueAt ? Math.max(0, (now - oldestDueAt.getTime()) / 1000) : 0),
      ],
      [
        instruments.gauge('mediagraph_jobs_deadline_left_seconds'),
        ({ deadline }, now) => (deadline ? (deadline.getTime() - now) / 1000 : null),
      ],
      [instruments.gauge('mediagraph_jobs_deadline_used_ratio'), ({ deadlineUsed }) => deadlineUsed],
    ];
  }

  /** @param counts null: unknown @param now the time by the clock of the counts */
  show(counts: CountsByKind | null, now: number): void {
    for (const [gauge, read] of this.#gauges) {
      gauge.reset();
      for (const [kind, ofKind] of entriesOf(counts)) {
        const value = read(ofKind, now);
        if (value !== null) gauge.set({ kind }, value);
      }
    }
  }
}

function entriesOf(counts: CountsByKind | null): ReadonlyArray<readonly [string, JobCounts]> {
  return Object.entries(counts ?? {});
}
