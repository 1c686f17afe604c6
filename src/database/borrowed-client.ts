import type { PostgresCursor, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { inStatementSpan } from '../telemetry/spans.js';

/** More than there are texts of statements, which take lists as arrays. */
const MAX_PREPARED = 200;

/**
 * The names under which a session keeps statements, so that it parses and plans each once (node-postgres, "Queries":
 * prepared statements). For the embedded engine, where planning costs a quarter of a look-up. Not for a server:
 * connection poolers may give every transaction another session.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();

  /** @returns undefined for a text that is not prepared, which node-postgres takes as no name */
  of(text: string, values: readonly unknown[]): string | undefined {
    if (values.length === 0) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size >= MAX_PREPARED) return known;
    const name = `statement ${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }
}

export interface BorrowedClientOptions {
  readonly client: pg.PoolClient;
  /** null: nothing is prepared. */
  readonly names: StatementNames | null;
  /** Called after the client went back to its pool. */
  readonly onReleased: () => void;
}

/** PostgreSQL docs, appendix A: the statement was undone as a whole, since others waited for it and it for them. */
const DEADLOCK_DETECTED = '40P01';
const MAX_ATTEMPTS = 3;

/**
 * A client of node-postgres as Kysely uses one. A statement outside of a transaction that the server ended to resolve a
 * deadlock is repeated (PostgreSQL docs, "Deadlocks").
 */
export class BorrowedClient implements PostgresPoolClient {
  #isInTransaction = false;

  constructor(private readonly options: BorrowedClientOptions) {}

  query<Row>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>>;
  query<Row>(cursor: PostgresCursor<Row>): PostgresCursor<Row>;
  query(text: string | PostgresCursor<unknown>, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new TypeError('expected the text of a statement, got a cursor');
    const { client, names } = this.options;
    const engine = names ? 'embedded' : 'server';
    const query = { name: names?.of(text, values), text, values: [...values] };
    const run = () => inStatementSpan(text, engine, () => client.query(query));
    if (/^(begin|start transaction)\b/.test(text)) this.#isInTransaction = true;
    else if (/^(commit|rollback)$/.test(text)) this.#isInTransaction = false;
    return this.#isInTransaction ? run() : repeatedAfterDeadlock(run);
  }

  release(): void {
    this.options.client.release();
    this.options.onReleased();
  }
}

async function repeatedAfterDeadlock<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (thrown) {
      const isDeadlock = thrown instanceof pg.DatabaseError && thrown.code === DEADLOCK_DETECTED;
      if (!isDeadlock || attempt === MAX_ATTEMPTS) throw thrown;
    }
  }
}
