/** `npm run bench:read`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/options.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { type Comparison, compare } from './comparison.js';
import { type Growth, measureGrowth } from './growth.js';

const COMPARISON = { rounds: 20, requests: 40, warmUpRequests: 300, concurrency: 8 };
const GROWTH = { rounds: 4, messagesPerRound: 10_000 };
const LATENCIES_MS = [0, 5];
const TEMPERATURES = ['cold', 'warm'] as const;
const PARTS: readonly string[] = [...TEMPERATURES, 'growth'];

function printComparison({ latencyMs, temperature, servers }: Comparison): void {
  const rows = servers.map((one) => ({
    server: one.server,
    'CPU ms/request': one.cpuPerRequest.toFixed(2),
    'of rounds': one.cpuRange.map((value) => value.toFixed(2)).join('–'),
    'and of its database': one.databaseCpuPerRequest?.toFixed(2) ?? '',
    '× straightforward': one.timesStraightforward.toFixed(2),
    'requests/s': one.requestsPerSecond.toFixed(0),
    'p50 ms': one.p50.toFixed(1),
    'p99 ms': one.p99.toFixed(1),
    'upstream calls': one.upstreamCalls.toFixed(0),
  }));
  const asked = temperature === 'cold' ? 'asked for the first time' : 'asked for again and again';
  process.stdout.write(
    `\n${temperature}: 50 messages of one media each, ${asked}; the provider answers after ${latencyMs} ms\n\n${table(rows)}\n`,
  );
}

function printGrowth({ engine, temperature, sizes, timeRatio, cpuRatio }: Growth): void {
  const rows = sizes.map((one) => ({
    _entities: String(one.messages),
    'µs/message': one.timePerMessage.toFixed(1),
    'CPU µs/message': one.cpuPerMessage.toFixed(1),
  }));
  const ratio = `a message of 10,000 against one of 100: time × ${timeRatio.toFixed(2)}, CPU × ${cpuRatio.toFixed(2)}`;
  process.stdout.write(`\nours, ${engine}, growth, ${temperature}\n\n${table(rows)}\n\n${ratio}\n`);
}

const { values } = parseArgs({
  options: {
    /** One JSON object on standard output instead of tables. */
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    engine: { type: 'string' },
    rounds: { type: 'string' },
    /** A folder for CPU profiles of ours. */
    profile: { type: 'string' },
  },
});
const { only } = values;
if (only !== undefined && !PARTS.includes(only))
  throw new Error(`expected --only ${PARTS.join(' or --only ')}, got ${only}`);
const temperatures = TEMPERATURES.filter((one) => only === undefined || only === one);
const engines = enginesOf(values.engine);
const profileFolder = values.profile ?? null;
const roundsOf = (absent: number) => wholeNumber('rounds', values.rounds, absent);

const comparisons: Comparison[] = [];
for (const latencyMs of temperatures.length > 0 ? LATENCIES_MS : []) {
  const rounds = roundsOf(COMPARISON.rounds);
  const compared = await compare({ ...COMPARISON, rounds, latencyMs, temperatures, engines, profileFolder });
  comparisons.push(...compared);
  if (!values.json) compared.forEach(printComparison);
}
const growths: Growth[] = [];
for (const engine of only === undefined || only === 'growth' ? engines : []) {
  const growth = await measureGrowth({ ...GROWTH, rounds: roundsOf(GROWTH.rounds), engine, profileFolder });
  growths.push(...growth);
  if (!values.json) growth.forEach(printGrowth);
}
if (values.json) process.stdout.write(`${JSON.stringify({ comparisons, growths }, null, 2)}\n`);
