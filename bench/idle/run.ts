/** `npm run bench:idle`; see bench/README.md. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort, startMediagraph } from '../start/starts.js';
import { wholeNumber } from '../support/options.js';
import { writeConfig } from '../support/own-config.js';
import { cpuTimeOfTreeMs, processTree, residentMegabytesOfTree } from '../support/process-tree.js';
import { enginesOf, makeDatabase } from '../support/scratch-database.js';
import { table } from '../support/table.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    engine: { type: 'string' },
    settle: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const settle = wholeNumber('settle', values.settle, 30);
const seconds = wholeNumber('seconds', values.seconds, 20);

const results = [];
for (const engine of enginesOf(values.engine)) {
  const database = await makeDatabase(engine);
  const port = await freePort();
  const file = writeConfig(database.url, port);
  for (const state of ['fresh', 'existing']) {
    const { pid, stop } = await startMediagraph(file, port);
    await sleep(settle * 1_000);
    const megabytes = residentMegabytesOfTree(pid);
    const before = cpuTimeOfTreeMs(pid);
    await sleep(seconds * 1_000);
    const cpuMsPerSecond = (cpuTimeOfTreeMs(pid) - before) / seconds;
    results.push({ name: `${engine}, ${state}`, megabytes, cpuMsPerSecond, processes: processTree(pid).length });
    await stop();
  }
  await database.remove();
}
const rows = results.map(({ name, megabytes, cpuMsPerSecond, processes }) => ({
  idle: name,
  'resident MB': megabytes.toFixed(0),
  'CPU ms each second': cpuMsPerSecond.toFixed(1),
  processes: String(processes),
}));
process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : `${table(rows)}\n`);
