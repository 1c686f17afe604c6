/** `npm run bench:catalogue`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { growthFault, type LookUpFigures, measureLookUps, nameOf } from './look-ups.js';

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
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

const { values } = parseArgs({
  options: {
    /** One JSON object on standard output instead of a table. */
    json: { type: 'boolean', default: false },
    engine: { type: 'string' },
    /** The largest number of rows. */
    rows: { type: 'string' },
  },
});
const largest = wholeNumber('rows', values.rows, SIZES.at(-1) ?? 0);
const sizes = SIZES.filter((size) => size <= largest);

const figures: LookUpFigures[] = [];
for (const engine of enginesOf(values.engine)) {
  const ofEngine: LookUpFigures[] = [];
  await measureLookUps({ engine, sizes, repetitions: REPETITIONS }, (one) => {
    ofEngine.push(one);
    process.stderr.write(`${nameOf(one)}: ${one.median.toFixed(2)} ms\n`);
  });
  if (!values.json) print(ofEngine);
  figures.push(...ofEngine);
}
if (values.json) process.stdout.write(`${JSON.stringify({ lookUps: figures }, null, 2)}\n`);
const faults = figures.map(growthFault).filter((fault) => fault !== null);
if (faults.length > 0) throw new Error(faults.join('; '));
