import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MediagraphError } from '../model/errors.js';
import type { Metrics } from '../telemetry/metrics.js';

/** The work that an overloaded process refuses, the first first. */
export type Sheddable = 'graphql' | 'rendition' | 'delivery';

/** Each kind of work is refused from this multiple of the configured lateness and this part of the heap on. */
const REFUSED_FROM: Readonly<Record<Sheddable, { readonly times: number; readonly heap: number }>> = {
  graphql: { times: 1, heap: 0.9 },
  rendition: { times: 2, heap: 0.93 },
  delivery: { times: 4, heap: 0.96 },
};
const BEAT_MS = 500;
/** Beats without a request after which the measurement pauses. */
const IDLE_BEATS = 4;
/** The time between two garbage collections that this measurement runs. */
const COLLECTED_EVERY_MS = 5_000;
/** The limit of the heap includes the young generation: three semi-spaces of at most 32 MB (`npm start`). */
const YOUNG_BYTES = 96 * 2 ** 20;
const RETRY_LATE_MS = 1_000;
const RETRY_FULL_MS = 5_000;

/**
 * Refuses work while the event loop is late or the heap is nearly full: GraphQL requests first, then renditions, then
 * deliveries. Webhooks and health are always served.
 *
 * `@fastify/under-pressure` measures all the time and wakes an idle process a hundred times a second. This measurement
 * runs while requests arrive.
 */
export class Overload {
  #timer: NodeJS.Timeout | null = null;
  #idleBeats = 0;
  #dueAt = 0;
  #cpu = process.cpuUsage();
  #lateMs = 0;
  #heap = 0;
  #collectedAt = Number.NEGATIVE_INFINITY;

  /** @param lateMs `limits.eventLoopDelay`; null: no lateness is too much */
  constructor(
    private readonly lateMs: number | null,
    private readonly metrics?: Pick<Metrics, 'requestRefused'>,
  ) {}

  /** The refusal of new work, with status 503; null: the work may begin. */
  refusal(work: Sheddable): MediagraphError | null {
    this.#idleBeats = 0;
    if (this.#timer === null) this.#start();
    const { times, heap } = REFUSED_FROM[work];
    const lateMs = (this.lateMs ?? Number.POSITIVE_INFINITY) * times;
    const isFull = this.#heap >= heap;
    if (!isFull && Math.max(this.#lateMs, this.#lateness()) < lateMs) return null;
    this.metrics?.requestRefused(work, 'overload');
    return new MediagraphError('INTERNAL_SERVER_ERROR', 'the server is overloaded at the moment', {
      retryable: true,
      retryAfterMs: isFull ? RETRY_FULL_MS : RETRY_LATE_MS,
    });
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #start(): void {
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
    this.#measureHeap();
    this.#expectBeat();
    this.#lateMs = 0;
  }

  #beat(): void {
    this.#lateMs = this.#lateness();
    this.#measureHeap();
    this.#expectBeat();
    this.#idleBeats += 1;
    if (this.#idleBeats > IDLE_BEATS) this.close();
  }

  #expectBeat(): void {
    this.#dueAt = performance.now() + BEAT_MS;
    this.#cpu = process.cpuUsage();
  }

  /**
   * How late the event loop is, in milliseconds. Time in which the process did not run does not count: it was suspended,
   * or other processes had the processor.
   */
  #lateness(): number {
    const lateMs = performance.now() - this.#dueAt;
    if (this.lateMs === null || lateMs < this.lateMs) return 0;
    const { user, system } = process.cpuUsage(this.#cpu);
    return Math.min(lateMs, (user + system) / 1_000);
  }

  /**
   * Most of a heap that looks full may be garbage, which the engine collects late, and never in a process that does
   * nothing. So a nearly full heap is collected before it counts as full.
   */
  #measureHeap(): void {
    this.#heap = usedPartOfHeap();
    const now = performance.now();
    if (this.#heap < REFUSED_FROM.graphql.heap || now < this.#collectedAt + COLLECTED_EVERY_MS) return;
    collectGarbage();
    this.#collectedAt = performance.now();
    this.#heap = usedPartOfHeap();
  }
}

function usedPartOfHeap(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return used / (limit - Math.min(YOUNG_BYTES, limit / 4));
}

/** Node has no other way to collect garbage in a process that was started without `--expose-gc`. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
