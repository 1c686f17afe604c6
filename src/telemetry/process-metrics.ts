import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';

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
  readonly #cpu: Record<'user' | 'system' | 'both', Counter>;
  readonly #memory: Record<'resident' | 'heapTotal' | 'heapUsed' | 'external', Gauge>;
  readonly #lag: Record<'mean' | 'p50' | 'p99' | 'max', Gauge>;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const lag = (which: string, statistic: string) =>
      gauge(
        `nodejs_eventloop_lag_${which}_seconds`,
        `Delay of the event loop since the last scrape, including the ${RESOLUTION_MS} ms of its timer: ${statistic}.`,
      );
    this.#cpu = {
      user: counter('process_cpu_user_seconds_total', 'User CPU time.'),
      system: counter('process_cpu_system_seconds_total', 'System CPU time.'),
      both: counter('process_cpu_seconds_total', 'Total CPU time.'),
    };
    this.#memory = {
      resident: gauge('process_resident_memory_bytes', 'Resident memory of the process.'),
      heapTotal: gauge('nodejs_heap_size_total_bytes', 'Heap reserved by the engine.'),
      heapUsed: gauge('nodejs_heap_size_used_bytes', 'Heap in use.'),
      external: gauge('nodejs_external_memory_bytes', 'Memory outside of the heap that is held by objects in it.'),
    };
    this.#lag = {
      mean: lag('mean', 'mean'),
      p50: lag('p50', 'median'),
      p99: lag('p99', '99th percentile'),
      max: lag('max', 'maximum'),
    };
    const startedAt = Date.now() / 1000 - process.uptime();
    gauge('process_start_time_seconds', 'Start time of the process, in seconds since the Unix epoch.').set(startedAt);
    new Gauge({ name: 'nodejs_version_info', help: 'The version of Node.js.', labelNames: ['version'], registers })
      .labels(process.version)
      .set(1);
  }

  read(): void {
    const { user, system } = process.cpuUsage();
    for (const [which, used] of [
      ['user', user],
      ['system', system],
      ['both', user + system],
    ] as const) {
      this.#cpu[which].reset();
      this.#cpu[which].inc(used / MICROSECONDS);
    }
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    this.#memory.resident.set(rss);
    this.#memory.heapTotal.set(heapTotal);
    this.#memory.heapUsed.set(heapUsed);
    this.#memory.external.set(external);
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
    this.#lag.mean.set(this.#delay.mean / NANOSECONDS);
    this.#lag.p50.set(this.#delay.percentile(50) / NANOSECONDS);
    this.#lag.p99.set(this.#delay.percentile(99) / NANOSECONDS);
    this.#lag.max.set(this.#delay.max / NANOSECONDS);
    this.#delay.reset();
  }
}
