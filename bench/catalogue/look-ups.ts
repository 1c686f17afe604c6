import { sql } from 'kysely';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { type Engine, makeDatabase } from '../support/scratch-database.js';
import { median, quantile } from '../support/statistics.js';
import { Explaining, type Plan } from './plan.js';
import { fill, randomKeys, type Size, sizesOf, TENANT } from './rows.js';
import { measureStatements, type StatementFigures } from './statements.js';

const MESSAGES = 50;
/** So few that what they touch fits into the engine's cache, and each is asked for as often as makes some hundred. */
const LOOK_UPS = 40;

/**
 * For one message in one table: the levels of an index of more rows than are measured here, and the row. What a look-up
 * reads beyond that, it reads because there are more rows.
 */
const MOST_PAGES = MESSAGES * 2 * (4 + 1);

export interface LookUpPlan {
  readonly engine: Engine;
  /** Rows of `media`, and as many of `message_listings`; ascending. */
  readonly sizes: readonly number[];
  /** How often each look-up is made after it was made once. */
  readonly repetitions: number;
}

/** What is reported of each size, as soon as it is there. */
export interface Reports {
  lookUp(figures: LookUpFigures): void;
  statements(figures: StatementFigures): void;
  sizes(sizes: TableSizes): void;
}

export interface TableSizes {
  readonly engine: Engine;
  readonly rows: number;
  readonly sizes: readonly Size[];
}

/** The times of one look-up of 50 messages; milliseconds. */
export interface LookUpFigures {
  readonly engine: Engine;
  readonly rows: number;
  /** Whether the engine has counted its rows; it has not for a while after they came. */
  readonly statistics: boolean;
  readonly median: number;
  readonly p99: number;
  /** The ratios of the medians to those of the smallest size. */
  readonly timesSmallest: number;
  readonly plan: Plan;
}

/**
 * `findByMessages` of 50 random messages that exist, among more and more rows, before and after the engine counts them;
 * and the other statements that requests and workers wait for.
 * @throws Error when a message is not found
 */
export async function measureCatalogue(plan: LookUpPlan, reports: Reports): Promise<void> {
  const smallest = new Map<boolean, number>();
  for (const rows of plan.sizes) {
    const scratch = await makeDatabase(plan.engine);
    try {
      const database = await openDatabase({ url: scratch.url });
      try {
        await migrate(database);
        await database.unhurried((kysely) => fill(kysely, rows));
        for (const statistics of [false, true]) {
          if (statistics) await database.unhurried((kysely) => sql`vacuum (analyze)`.execute(kysely));
          const times = await timesOf(database, rows, plan.repetitions);
          const basis = smallest.get(statistics) ?? median(times);
          smallest.set(statistics, basis);
          reports.lookUp({
            engine: plan.engine,
            rows,
            statistics,
            median: median(times),
            p99: quantile(times, 0.99),
            timesSmallest: median(times) / basis,
            plan: await explain(database, rows),
          });
        }
        reports.sizes({ engine: plan.engine, rows, sizes: await sizesOf(database.kysely) });
        await measureStatements(database, rows, (figures) => reports.statements({ engine: plan.engine, ...figures }));
      } finally {
        await database.close();
      }
    } finally {
      await scratch.remove();
    }
  }
}

/** What grows faster than its indexes: null for nothing. */
export function growthFault(figures: LookUpFigures): string | null {
  const { pages } = figures.plan;
  if (pages <= MOST_PAGES) return null;
  return `expected a look-up to read ${MOST_PAGES} pages at most, got ${pages} (${nameOf(figures)})`;
}

export function nameOf({ engine, rows, statistics }: LookUpFigures): string {
  return `${engine}, ${rows.toLocaleString('en')} rows, ${statistics ? 'with' : 'without'} statistics`;
}

async function timesOf(database: Database, rows: number, repetitions: number): Promise<number[]> {
  const catalogue = new SqlMediaCatalogue(database);
  const lookUps = Array.from({ length: LOOK_UPS }, () => randomKeys(rows, MESSAGES));
  const times: number[] = [];
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    for (const keys of lookUps) {
      const startedAt = performance.now();
      const found = await catalogue.findByMessages(TENANT, keys);
      const elapsedMs = performance.now() - startedAt;
      if (found.size !== MESSAGES) throw new Error(`expected ${MESSAGES} messages, got ${found.size}`);
      // The first round warms up.
      if (repetition > 0) times.push(elapsedMs);
    }
  }
  return times;
}

async function explain({ kysely }: Database, rows: number): Promise<Plan> {
  const explaining = new Explaining();
  const explained = kysely.withPlugin(explaining);
  await new SqlMediaCatalogue({ kysely: explained, reads: explained }).findByMessages(
    TENANT,
    randomKeys(rows, MESSAGES),
  );
  return explaining.plan;
}
