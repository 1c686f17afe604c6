import { succeedsInTime } from '../paced-query.js';
import type { Gauging, Instruments } from './instruments.js';

/** The state of a pool of connections. */
export interface PoolUse {
  readonly limit: number;
  readonly used: number;
  readonly idle: number;
  readonly waitingInteractive: number;
  readonly waitingBackground: number;
}

export interface FileSystemSpace {
  readonly freeBytes: number;
  readonly capacityBytes: number;
}

/** Resources that a scrape reads directly. */
export interface MeasuredResources {
  readonly connections: () => PoolUse;
  /** Absent where blobs are not files of this machine. */
  readonly space?: () => Promise<FileSystemSpace>;
}

/** A network file system may not respond at all. */
const PATIENCE_MS = 1_000;

/** Connections to the database and the space for media. */
export class ResourceMetrics {
  readonly #connections: Gauging<'state'>;
  readonly #limit: Gauging;
  readonly #waiting: Gauging<'priority'>;
  readonly #free: Gauging;
  readonly #capacity: Gauging;
  /** A file system that does not respond occupies one thread, however often it is scraped. */
  #reading: Promise<void> | null = null;

  constructor(
    instruments: Instruments,
    private readonly resources: MeasuredResources,
  ) {
    this.#connections = instruments.gauge('mediagraph_database_connections');
    this.#limit = instruments.gauge('mediagraph_database_connections_limit');
    this.#waiting = instruments.gauge('mediagraph_database_waiting');
    this.#free = instruments.gauge('mediagraph_storage_free_bytes');
    this.#capacity = instruments.gauge('mediagraph_storage_capacity_bytes');
    this.#removeSpace();
  }

  /** Resolves within a second and never rejects. */
  async read(): Promise<void> {
    const { connections, space } = this.resources;
    const { limit, used, idle, waitingInteractive, waitingBackground } = connections();
    this.#limit.set({}, limit);
    this.#connections.set({ state: 'used' }, used);
    this.#connections.set({ state: 'idle' }, idle);
    this.#waiting.set({ priority: 'interactive' }, waitingInteractive);
    this.#waiting.set({ priority: 'background' }, waitingBackground);
    if (!space) return;
    this.#reading ??= this.#readSpace(space).finally(() => {
      this.#reading = null;
    });
    if (!(await succeedsInTime(this.#reading, PATIENCE_MS))) this.#removeSpace();
  }

  async #readSpace(space: () => Promise<FileSystemSpace>): Promise<void> {
    const { freeBytes, capacityBytes } = await space();
    this.#free.set({}, freeBytes);
    this.#capacity.set({}, capacityBytes);
  }

  /** An unknown value is left out rather than reported as zero. */
  #removeSpace(): void {
    this.#free.remove({});
    this.#capacity.remove({});
  }
}
