import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { later } from '../database/later.js';
import type { QueueColumns, Tables } from '../database/tables.js';

/** A table whose rows are work. */
export interface Queue {
  readonly table: 'media' | 'uploads' | 'webhook_events';
  /** The columns of its primary key, with their types. */
  readonly key: Readonly<Record<string, 'text' | 'bigint'>>;
  /** Counts how often a row was claimed. */
  readonly attempts: string;
  /** Whether a row waits for work; it names the columns of the table alone. */
  readonly isDue: (now: Date) => RawBuilder<unknown>;
  /** Which rows come first. */
  readonly order: RawBuilder<unknown>;
}

export interface Claim {
  readonly owner: string;
  readonly now: Date;
  readonly limit: number;
  /** Until when others leave it alone, counted from `now`, unless the lease is renewed. */
  readonly leaseMs: number;
}

/** What is known of a piece of work from its earlier attempts. */
export interface WorkHistory {
  /** It was under way when a process died, and runs alone. */
  readonly suspect: boolean;
  /** How often its lease ran out instead of being handed back. */
  readonly interruptions: number;
  /** How often its process died while it ran alone. */
  readonly deaths: number;
}

type Row<Table extends Queue['table']> = Selectable<Tables[Table]>;

/**
 * The only place that leases: claims, renewals, and what became of a dead process's work. Every method is one statement,
 * so all or nothing, and may be called from any number of processes at once; each rejects when the database does not
 * answer. A row whose lease has run out was under way when its process died or was cut off: it is suspect, and its
 * death is counted where it ran alone. Times are the database's clock, as the caller keeps it.
 */
export class WorkQueue<Table extends Queue['table']> {
  readonly #db: Database['kysely'];
  readonly #table: RawBuilder<unknown>;

  constructor(
    db: Database['kysely'],
    private readonly queue: Queue & { readonly table: Table },
  ) {
    this.#db = db;
    this.#table = sql.table(queue.table);
  }

  /** Leases due rows in their order. No two claims get the same. `among` narrows what is due. */
  async claim({ owner, now, limit, leaseMs }: Claim, among: RawBuilder<unknown> = sql`true`): Promise<Row<Table>[]> {
    const { isDue, order, attempts } = this.queue;
    const count = sql.ref(attempts);
    // An owner that lives may find what it could not renew in time, or could not end.
    const isOrphaned = sql`(work.lease_owner is not null and work.lease_owner <> ${owner})`;
    const { rows } = await sql<Row<Table>>`
      with picked as (
        select ${this.#columns()} from ${this.#table}
        where ${isDue(now)} and (lease_until is null or lease_until <= ${now}) and ${among}
        order by ${order}
        limit ${limit}
        for update skip locked
      )
      update ${this.#table} as work
      set lease_owner = ${owner}, lease_until = ${later(now, leaseMs)}, lease_alone = false,
        ${count} = work.${count} + 1,
        interruptions = work.interruptions + ${isOrphaned}::integer,
        deaths = work.deaths + (${isOrphaned} and work.lease_alone)::integer,
        suspect = work.suspect or ${isOrphaned}
      from picked
      where ${this.#isSame('work', 'picked')}
      returning work.*`.execute(this.#db);
    return rows;
  }

  /**
   * Lengthens the owner's leases of these rows, also those whose time is over, while they are the owner's still.
   * @returns which of them are, by their keys
   */
  async renew<Key extends object>(
    owner: string,
    keys: readonly Key[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Key>> {
    if (keys.length === 0) return new Set();
    const { rows } = await sql<{ place: number }>`
      with picked as (
        select * from ${this.#unnested(keys)}
      )
      update ${this.#table} as work set lease_until = ${later(now, leaseMs)}
      from picked
      where ${this.#isSame('work', 'picked')} and work.lease_owner = ${owner}
      returning picked.place`.execute(this.#db);
    const places = new Set(rows.map(({ place }) => Number(place) - 1));
    return new Set(keys.filter((_, index) => places.has(index)));
  }

  /**
   * Notes that the owner does nothing besides this row, or does again: a death counts only meanwhile.
   * @returns whether the lease is the owner's still
   */
  async setAlone<Key extends object>(owner: string, key: Key, isAlone: boolean): Promise<boolean> {
    const { rows } = await sql`
      with picked as (
        select * from ${this.#unnested([key])}
      )
      update ${this.#table} as work set lease_alone = ${isAlone}
      from picked
      where ${this.#isSame('work', 'picked')} and work.lease_owner = ${owner}
      returning 1`.execute(this.#db);
    return rows.length > 0;
  }

  /** Hands back all that the owner holds, the attempts not counted. */
  async release(owner: string): Promise<void> {
    const count = sql.ref(this.queue.attempts);
    await sql`
      update ${this.#table}
      set lease_owner = null, lease_until = null, lease_alone = false, ${count} = greatest(${count} - 1, 0)
      where lease_owner = ${owner}`.execute(this.#db);
  }

  /** Ends every lease of the dead. Only for a process that knows that it is alone, before its first claim. @returns how many */
  async abandon(): Promise<number> {
    const { numAffectedRows = 0n } = await sql`
      update ${this.#table} set lease_until = 'epoch' where lease_owner is not null`.execute(this.#db);
    return Number(numAffectedRows);
  }

  #columns(): RawBuilder<unknown> {
    return sql.join(Object.keys(this.queue.key).map((column) => sql.ref(column)));
  }

  #isSame(left: string, right: string): RawBuilder<unknown> {
    const columns = Object.keys(this.queue.key);
    return sql.join(
      columns.map((column) => sql`${sql.ref(`${left}.${column}`)} = ${sql.ref(`${right}.${column}`)}`),
      sql` and `,
    );
  }

  #unnested(keys: readonly object[]): RawBuilder<unknown> {
    const columns = Object.entries(this.queue.key);
    const lists = columns.map(([column, type]) => {
      const values = keys.map((key) => Object.entries(key).find(([name]) => name === column)?.[1]);
      return sql`${values}::${sql.raw(type)}[]`;
    });
    const names = sql.join([...columns.map(([column]) => sql.ref(column)), sql.ref('place')]);
    return sql`unnest(${sql.join(lists)}) with ordinality as given (${names})`;
  }
}

/** For updates that end a lease, whatever becomes of the row. */
export const UNLEASED = { lease_owner: null, lease_until: null, lease_alone: false } as const;
/** For updates that begin the count of deaths anew. */
export const UNSUSPECTED = { suspect: false, deaths: 0, interruptions: 0 } as const;

export function historyOf({ suspect, interruptions, deaths }: Pick<QueueColumns, keyof WorkHistory>): WorkHistory {
  return { suspect, interruptions, deaths };
}
