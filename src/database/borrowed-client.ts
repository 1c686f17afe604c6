import type { PostgresCursor, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type pg from 'pg';
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

/** A client of node-postgres as Kysely uses one. */
export class BorrowedClient implements PostgresPoolClient {
  constructor(private readonly options: BorrowedClientOptions) {}

  query<Row>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<Row>>;
  query<Row>(cursor: PostgresCursor<Row>): PostgresCursor<Row>;
  query(text: string | PostgresCursor<unknown>, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new TypeError('expected the text of a statement, got a cursor');
    const { client, names } = this.options;
    const engine = names ? 'embedded' : 'server';
    const query = { name: names?.of(text, values), text, values: [...values] };
    return inStatementSpan(text, engine, () => client.query(query));
  }

  release(): void {
    this.options.client.release();
    this.options.onReleased();
  }
}
