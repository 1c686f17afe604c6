/** `npm run bench:catalogue`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { growthFault, type LookUpFigures, measureCatalogue, nameOf, type TableSizes } from './look-ups.js';
import type { StatementFigures } from './statements.js';

const SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/** Ten million rows take ten minutes and twenty gigabytes. */
const LARGEST = 1_000_000;
const REPETITIONS = 10;

function print(figures: readonly LookUpFigures[]): void {
  const rows = figures.map((one) => ({
    rows: one.rows.toLocaleString('en'),
    engine: one.engine,
    statistics: one.statistics ? 'yes' : 'no',
    'median ms': one.median.toFixed(2),
    'p99 ms': one.p99.toFixed(2),
    '× the smallest': one.timesSmallest.toFixed(2),
    'planned in ms': one.plan.planningMs.toFixed(2),
    pages: String(one.plan.pages),
    'of them read': String(one.plan.pagesRead),
  }));
  process.stdout.write(`\na look-up of 50 messages\n\n${table(rows)}\n\n`);
  for (const one of figures) process.stdout.write(`${nameOf(one)}: ${one.plan.nodes.join(', ')}\n`);
}

function printStatements(statements: readonly StatementFigures[]): void {
  const rows = statements.map((one) => ({
    statement: one.statement,
    engine: one.engine,
    rows: one.rows.toLocaleString('en'),
    'median ms': one.fault ?? one.median.toFixed(2),
    'p99 ms': one.fault === null ? one.p99.toFixed(2) : '',
  }));
  process.stdout.write(`\n${table(rows)}\n`);
}

function printSizes(tables: readonly TableSizes[]): void {
  const rows = tables.flatMap(({ engine, rows, sizes }) =>
    sizes.map(({ name, bytes }) => ({
      'table or index': name,
      engine,
      rows: rows.toLocaleString('en'),
      MB: (bytes / 1_000_000).toFixed(1),
      'bytes for each media': (bytes / rows).toFixed(0),
    })),
  );
  process.stdout.write(`\n${table(rows)}\n`);
}

const { values } = parseArgs({
  options: {
    /** One JSON object on standard output instead of a table. */
    json: { type: 'boolean', default: false },
    engine: { type: 'string' },
    /** The largest number of rows. */
    rows: { type: 'string' },
    /** The smallest number of rows. */
    from: { type: 'string' },
  },
});
const largest = wholeNumber('rows', values.rows, LARGEST);
const smallest = wholeNumber('from', values.from, 0);
const sizes = SIZES.filter((size) => size >= smallest && size <= largest);

const figures: LookUpFigures[] = [];
const statements: StatementFigures[] = [];
const tables: TableSizes[] = [];
for (const engine of enginesOf(values.engine)) {
  await measureCatalogue(
    { engine, sizes, repetitions: REPETITIONS },
    {
      lookUp: (one) => {
        figures.push(one);
        process.stderr.write(`${nameOf(one)}: ${one.median.toFixed(2)} ms\n`);
      },
      statements: (one) => void statements.push(one),
      sizes: (one) => void tables.push(one),
    },
  );
}
if (values.json) process.stdout.write(`${JSON.stringify({ lookUps: figures, statements, tables }, null, 2)}\n`);
else {
  print(figures);
  printStatements(statements);
  printSizes(tables);
}
const faults = figures.map(growthFault).filter((fault) => fault !== null);
if (faults.length > 0) throw new Error(faults.join('; '));
