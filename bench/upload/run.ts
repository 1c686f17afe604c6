/** `npm run bench:upload`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { measureUploads, type UploadFigures } from './uploads.js';

const MEGABYTES = 100;
const ROUNDS = 7;
const PARALLEL = 20;

function print(one: UploadFigures): void {
  const row = {
    engine: one.engine,
    'upload ms': one.uploadMs.toFixed(0),
    'curl | tee | openssl ms': one.pipelineMs.toFixed(0),
    '×': one.timesPipeline.toFixed(2),
    'fastest ms': `${one.fastestUploadMs.toFixed(0)} and ${one.fastestPipelineMs.toFixed(0)}`,
    'upload CPU ms': one.uploadCpuMs.toFixed(0),
    'curl | tee | openssl CPU ms': one.pipelineCpuMs.toFixed(0),
    '× CPU': one.timesPipelineCpu.toFixed(2),
    [`${one.parallel} at once ms`]: one.parallelMs.toFixed(0),
    'memory before MB': one.residentBefore.toFixed(0),
    'at most MB': one.residentAtMost.toFixed(0),
    'growth MB': one.residentGrowth.toFixed(0),
  };
  process.stdout.write(`\na file of ${one.megabytes} MB, uploaded from a URL\n\n${table([row])}\n`);
}

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string' },
    rounds: { type: 'string' },
    parallel: { type: 'string' },
    engine: { type: 'string' },
    profile: { type: 'string' },
    /** One JSON object on standard output instead of a table. */
    json: { type: 'boolean', default: false },
  },
});

const figures: UploadFigures[] = [];
for (const engine of enginesOf(values.engine)) {
  const one = await measureUploads({
    engine,
    megabytes: wholeNumber('megabytes', values.megabytes, MEGABYTES),
    rounds: wholeNumber('rounds', values.rounds, ROUNDS),
    parallel: wholeNumber('parallel', values.parallel, PARALLEL),
    profileFolder: values.profile ?? null,
  });
  figures.push(one);
  if (!values.json) print(one);
}
if (values.json) process.stdout.write(`${JSON.stringify({ figures }, null, 2)}\n`);
