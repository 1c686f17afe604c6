/** `npm run bench:webhooks`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { type Endurance, endure } from './endurance.js';

const PER_SECOND = 200;
const SECONDS = 30;
const READY_WITHIN_MS = 300_000;

function print(one: Endurance): void {
  const row = {
    engine: one.engine,
    deliveries: String(one.deliveries),
    repeated: String(one.repeated),
    'p50 ms': one.p50.toFixed(1),
    'p99 ms': one.p99.toFixed(1),
    'max ms': one.max.toFixed(1),
    'warm-up max ms': one.warmUpMax.toFixed(1),
    'sender late by ms': one.senderLateness.toFixed(1),
    'CPU ms/delivery': one.cpuPerDelivery.toFixed(2),
    'and of its database': one.databaseCpuPerDelivery?.toFixed(2) ?? '',
    READY: String(one.ready),
    'after s': one.readyAfterSeconds.toFixed(1),
  };
  const samples = one.resident.map(
    ({ atSeconds, megabytes }) => `${megabytes.toFixed(0)} MB at ${atSeconds.toFixed(0)} s`,
  );
  process.stdout.write(
    `\n${one.perSecond} signed deliveries a second, all acknowledged\n\n${table([row])}\n\nresident memory: ${samples.join(', ')}\n`,
  );
}

const { values } = parseArgs({
  options: {
    rate: { type: 'string' },
    seconds: { type: 'string' },
    engine: { type: 'string' },
    /** One JSON object on standard output instead of a table. */
    json: { type: 'boolean', default: false },
    /** A folder for CPU profiles of the server. */
    profile: { type: 'string' },
  },
});

const endurances: Endurance[] = [];
for (const engine of enginesOf(values.engine)) {
  const endurance = await endure({
    engine,
    perSecond: wholeNumber('rate', values.rate, PER_SECOND),
    seconds: wholeNumber('seconds', values.seconds, SECONDS),
    readyWithinMs: READY_WITHIN_MS,
    profileFolder: values.profile ?? null,
  });
  endurances.push(endurance);
  if (!values.json) print(endurance);
}
if (values.json) process.stdout.write(`${JSON.stringify({ endurances }, null, 2)}\n`);
