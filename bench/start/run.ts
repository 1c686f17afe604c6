/** `npm run bench:start`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { writeConfig } from '../support/own-config.js';
import { enginesOf, makeDatabase } from '../support/scratch-database.js';
import { median, pairedRatio } from '../support/statistics.js';
import { table } from '../support/table.js';
import { freePort, type Start, startApolloAlone, startMediagraph } from './starts.js';

const ROUNDS = 7;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, engine: { type: 'string' }, rounds: { type: 'string' } },
});
const rounds = wholeNumber('rounds', values.rounds, ROUNDS);

async function yardstick(): Promise<Start> {
  const { stop, ...start } = await startApolloAlone();
  await stop();
  return start;
}

const starts = new Map<string, Start[]>();
const note = (name: string, start: Start) => starts.set(name, [...(starts.get(name) ?? []), start]);

for (let round = 0; round < rounds; round++) {
  for (const engine of enginesOf(values.engine)) {
    const database = await makeDatabase(engine);
    const port = await freePort();
    const file = writeConfig(database.url, port);
    for (const state of ['fresh', 'existing']) {
      note(`Apollo Server beside ${engine}, ${state}`, await yardstick());
      const { stop, ...start } = await startMediagraph(file, port);
      await stop();
      note(`${engine}, ${state}`, start);
    }
    await database.remove();
  }
}

const results = [...starts.entries()]
  .filter(([name]) => !name.startsWith('Apollo'))
  .map(([name, ours]) => {
    const theirs = starts.get(`Apollo Server beside ${name}`) ?? [];
    const ratio = (of: (start: Start) => number) => pairedRatio(ours.map(of), theirs.map(of));
    const middle = (of: (start: Start) => number) => ({ ours: median(ours.map(of)), apollo: median(theirs.map(of)) });
    return {
      name,
      cpuMs: middle((start) => start.cpuMs),
      wallMs: middle((start) => start.wallMs),
      cpuRatio: ratio((start) => start.cpuMs),
      wallRatio: ratio((start) => start.wallMs),
    };
  });
const rows = results.map(({ name, cpuMs, wallMs, cpuRatio, wallRatio }) => ({
  'start to the first answer': name,
  'CPU ms': cpuMs.ours.toFixed(0),
  'of Apollo Server alone': cpuMs.apollo.toFixed(0),
  'CPU ×': cpuRatio.toFixed(2),
  'wall ms': wallMs.ours.toFixed(0),
  'wall ×': wallRatio.toFixed(2),
}));
process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : `${table(rows)}\n`);
