import type { Database } from '../../database/database.js';
import { ChangeLog, type LoggedChange } from './change-log.js';

/** A deletion waits this long for replicas to forget the media; see `delivery/stored-rows.ts`. */
const CURRENT_MS = 250;
const LISTEN_AGAIN_MS = 10_000;

export interface ChangeFollower {
  onChanges(changes: readonly LoggedChange[]): void;
  /** Called when changes may be missing, because the database was unavailable or there were too many changes. */
  onGap(): void;
}

/**
 * Reads the {@link ChangeLog} when a caller needs to know whether earlier reads are still current: once in a quarter of a
 * second, and after each write of this process and each notification of another. It does nothing without callers.
 */
export class FollowedChanges {
  readonly #log: ChangeLog;
  #snapshot: string | null = null;
  #reading: Promise<void> | null = null;
  /** Statements of this process, and notifications of others, that may have changed rows. */
  #writes = 0;
  /** The state of the database up to which the changes were read. */
  #currentAsOf = { writes: -1, at: Number.NEGATIVE_INFINITY };
  /** How long a read is valid if this process writes nothing. */
  readonly #currentMs: number;
  /** Increases with every read, also with one that fails: its changes will not be read again. */
  reads = 0;

  #listening: Promise<void> | null = null;

  constructor(
    private readonly database: Pick<Database, 'reads' | 'background' | 'engine' | 'onWrite' | 'listen'>,
    private readonly follower: ChangeFollower,
  ) {
    this.#log = new ChangeLog(database);
    // No other process uses the embedded database.
    this.#currentMs = database.engine === 'embedded' ? Number.POSITIVE_INFINITY : CURRENT_MS;
    database.onWrite(() => this.#expire());
  }

  /** Whether the changes from now on will be read. */
  get hasBegun(): boolean {
    return this.#snapshot !== null;
  }

  /**
   * Resolves when the follower has received all changes that were committed {@link CURRENT_MS} ago, and all of this
   * process. Rejects if the database is unavailable.
   */
  async catchUp(): Promise<void> {
    if (this.database.engine !== 'embedded') this.#listening ??= this.#listen();
    const needed = { writes: this.#writes, at: performance.now() - this.#currentMs };
    // A read that is under way may have begun too early.
    while (this.#currentAsOf.writes < needed.writes || this.#currentAsOf.at < needed.at) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = null;
      });
      await this.#reading;
    }
  }

  /** Notifications only shorten the time until a change is noticed, so the server works without them. */
  async #listen(): Promise<void> {
    try {
      await this.database.listen(await this.#log.channel(), () => this.#expire());
    } catch {
      setTimeout(() => {
        this.#listening = null;
      }, LISTEN_AGAIN_MS).unref();
    }
  }

  #expire(): void {
    this.#writes += 1;
  }

  async #read(): Promise<void> {
    const asOf = { writes: this.#writes, at: performance.now() };
    const { snapshot, changes, isGap } = await this.#log.read(this.#snapshot).catch((thrown: unknown) => {
      // After a failover, the new server may lack the last commits and may use their ids again.
      this.#snapshot = null;
      this.reads += 1;
      this.follower.onGap();
      throw thrown;
    });
    this.reads += 1;
    if (isGap) this.follower.onGap();
    else this.follower.onChanges(changes);
    this.#snapshot = snapshot;
    this.#currentAsOf = asOf;
  }
}
