import type { Database } from '../../database/database.js';
import type { Logger } from '../../telemetry/logger.js';
import { ChangeLog, type MediaChange } from './change-log.js';
import { PacedTask } from './paced-task.js';

export interface MediaChangeListener {
  /** Called for each committed change of any replica. The changes of each media are in the order of their commits. */
  onChange(change: MediaChange): void;
  /** Called when changes may be missing, because the database was unavailable or there were too many changes. */
  onGap(): void;
}

/** Notifies listeners of changes of media. */
export interface MediaChanges {
  /**
   * After this resolves, no change is missed without a call of `onGap`.
   * @returns a function that ends the subscription
   * @throws Error when the database is unavailable
   */
  subscribe(listener: MediaChangeListener): Promise<() => void>;
  /** Deletes changes from before a time. Does nothing within a minute after the last deletion. */
  prune(before: Date): Promise<void>;
}

/** The minimum interval between two notifications, and between two reads, of a process. */
const PAUSE_MS = 20;
/** A killed process may not have sent the notification of its last change, so readers also poll. */
const POLL_MS = 1_000;
const PRUNED_EVERY_MS = 60_000;

/**
 * Reads the {@link ChangeLog} for its listeners. A process that wrote a change wakes the other processes by a
 * notification and itself directly. A process without listeners reads nothing. The connection that waits for
 * notifications is opened for the first listener.
 */
export class SqlMediaChanges implements MediaChanges {
  readonly #log: ChangeLog;
  readonly #reading = new PacedTask(() => this.#read(), PAUSE_MS);
  readonly #notifying = new PacedTask(() => this.#log.notify(), PAUSE_MS);
  readonly #listeners = new Set<MediaChangeListener>();
  /** Listeners that start with the next read. */
  #joining: MediaChangeListener[] = [];
  #snapshot: string | null = null;
  #wasAway = false;
  #poll: NodeJS.Timeout | undefined;
  #listening: Promise<void> | null = null;
  #prunedAt = Number.NEGATIVE_INFINITY;
  readonly #stopHearingWrites: () => void;

  constructor(
    private readonly database: Pick<Database, 'reads' | 'background' | 'engine' | 'listen' | 'onWrite'>,
    private readonly logger: Logger,
  ) {
    this.#log = new ChangeLog(database);
    this.#stopHearingWrites = database.onWrite(() => {
      // The embedded database is used by this process only.
      if (database.engine !== 'embedded') this.#notifying.request();
      this.#wake();
    });
  }

  async subscribe(listener: MediaChangeListener): Promise<() => void> {
    this.#listening ??= this.#listen().catch((thrown: unknown) => {
      this.#listening = null;
      throw thrown;
    });
    await this.#listening;
    this.#joining.push(listener);
    await this.#reading.runNext();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopPolling();
    };
  }

  async prune(before: Date): Promise<void> {
    const now = performance.now();
    if (now - this.#prunedAt < PRUNED_EVERY_MS) return;
    this.#prunedAt = now;
    await this.#log.prune(before);
  }

  /** Stops notifying its listeners. The database stays open. */
  async close(): Promise<void> {
    this.#stopHearingWrites();
    this.#stopPolling();
    await Promise.all([this.#reading.stop(), this.#notifying.stop()]);
    this.#listeners.clear();
    this.#stopPolling();
  }

  async #listen(): Promise<void> {
    await this.database.listen(await this.#log.channel(), () => this.#wake());
  }

  #wake(): void {
    if (this.#listeners.size > 0) this.#reading.request();
  }

  async #read(): Promise<void> {
    const joining = this.#joining.splice(0);
    const read = await this.#log.read(this.#listeners.size > 0 ? this.#snapshot : null).catch((err: unknown) => {
      if (!this.#wasAway) this.logger.warn({ err }, 'changes of media could not be read; the server retries');
      this.#wasAway = true;
      throw err;
    });
    this.#snapshot = read.snapshot;
    for (const { isStatus, ...change } of read.changes)
      if (isStatus) for (const listener of this.#listeners) listener.onChange(change);
    // After a failover, the new server may lack the last commits and may use their ids again.
    if (this.#wasAway || read.isGap) for (const listener of this.#listeners) listener.onGap();
    this.#wasAway = false;
    for (const listener of joining) this.#listeners.add(listener);
    if (this.#listeners.size > 0) this.#poll ??= setInterval(() => this.#wake(), POLL_MS);
  }

  #stopPolling(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
  }
}
