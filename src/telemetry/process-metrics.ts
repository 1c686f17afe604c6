import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Counting, Gauging, Instruments } from './instruments/instruments.js';

const RESOLUTION_MS = 10;
/** Longer than any scraper pauses between two scrapes. */
const SCRAPED_WITHIN_MS = 300_000;
const MICROSECONDS = 1e6;
const NANOSECONDS = 1e9;

/**
 * Metrics of the process and its event loop, under the names that Node dashboards use. prom-client's own collection has
 * the same names but no way to stop its observers, which would keep every closed app in memory.
 */
export class ProcessMetrics {
  // It wakes the process a hundred times a second, so it runs from the first scrape on, as long as scrapes come. Its timer
  // does not keep the process alive (node:perf_hooks, "Class: IntervalHistogram").
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #unread: NodeJS.Timeout | undefined;
  readonly #cpu: Record<'user' | 'system' | 'both', Counting>;
  readonly #memory: Record<'resident' | 'heapTotal' | 'heapUsed' | 'external', Gauging>;
  readonly #lag: Record<'mean' | 'p50' | 'p99' | 'max', Gauging>;

  constructor(instruments: Instruments) {
    this.#cpu = {
      user: instruments.counter('process_cpu_user_seconds_total'),
      system: instruments.counter('process_cpu_system_seconds_total'),
      both: instruments.counter('process_cpu_seconds_total'),
    };
    this.#memory = {
      resident: instruments.gauge('process_resident_memory_bytes'),
      heapTotal: instruments.gauge('nodejs_heap_size_total_bytes'),
      heapUsed: instruments.gauge('nodejs_heap_size_used_bytes'),
      external: instruments.gauge('nodejs_external_memory_bytes'),
    };
    this.#lag = {
      mean: instruments.gauge('nodejs_eventloop_lag_mean_seconds'),
      p50: instruments.gauge('nodejs_eventloop_lag_p50_seconds'),
      p99: instruments.gauge('nodejs_eventloop_lag_p99_seconds'),
      max: instruments.gauge('nodejs_eventloop_lag_max_seconds'),
    };
    const startedAt = Date.now() / 1000 - process.uptime();
    instruments.gauge('process_start_time_seconds').set({}, startedAt);
    instruments.gauge('nodejs_version_info').set({ version: process.version }, 1);
  }

  read(): void {
    const { user, system } = process.cpuUsage();
    for (const [which, used] of [
      ['user', user],
      ['system', system],
      ['both', user + system],
    ] as const) {
      this.#cpu[which].reset();
      this.#cpu[which].inc({}, used / MICROSECONDS);
    }
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    this.#memory.resident.set({}, rss);
    this.#memory.heapTotal.set({}, heapTotal);
    this.#memory.heapUsed.set({}, heapUsed);
    this.#memory.external.set({}, external);
    this.#readLag();
  }

  close(): void {
    clearTimeout(this.#unread);
    this.#delay.disable();
  }

  #readLag(): void {
    this.#delay.enable();
    clearTimeout(this.#unread);
    this.#unread = setTimeout(() => this.#delay.disable(), SCRAPED_WITHIN_MS).unref();
    // Of two simultaneous scrapes the second finds no samples, and the mean of none is NaN.
    if (this.#delay.count === 0) return;
    this.#lag.mean.set({}, this.#delay.mean / NANOSECONDS);
    this.#lag.p50.set({}, this.#delay.percentile(50) / NANOSECONDS);
    this.#lag.p99.set({}, this.#delay.percentile(99) / NANOSECONDS);
    this.#lag.max.set({}, this.#delay.max / NANOSECONDS);
    this.#delay.reset();
  }
}
