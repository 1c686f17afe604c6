/** `npm run bench:read`; see bench/README.md. */
import { parseArgs } from 'node:util';
import { table } from '../support/table.js';
import { type Comparison, compare } from './comparison.js';
import { type Growth, measureGrowth } from './growth.js';

const COMPARISON = { rounds: 20, requests: 40, warmUpRequests: 400, concurrency: 8 };
const GROWTH = { rounds: 6, messagesPerRound: 10_000 };
const LATENCIES_MS = [0, 5];

function printComparison({ latencyMs, servers }: Comparison): void {
  const rows = servers.map((one) => ({
    server: one.server,
    'CPU ms/request': one.cpuPerRequest.toFixed(2),
    'of rounds': one.cpuRange.map((value) => value.toFixed(2)).join('–'),
    '× straightforward': one.timesStraightforward.toFixed(2),
    'requests/s': one.requestsPerSecond.toFixed(0),
    'p50 ms': one.p50.toFixed(1),
    'p99 ms': one.p99.toFixed(1),
    'upstream calls': `${one.upstreamCalls.distinct} / ${one.upstreamCalls.repeated}`,
  }));
  process.stdout.write(
    `\n50 messages of one media each, the provider answers after ${latencyMs} ms\n\n${table(rows)}\n`,
  );
}

function printGrowth({ sizes, timeRatio, cpuRatio }: Growth): void {
  const rows = sizes.map((one) => ({
    _entities: String(one.messages),
    'µs/message': one.timePerMessage.toFixed(1),
    'CPU µs/message': one.cpuPerMessage.toFixed(1),
    'upstream calls': String(one.upstreamCalls),
  }));
  const ratio = `a message of 10,000 against one of 100: time × ${timeRatio.toFixed(2)}, CPU × ${cpuRatio.toFixed(2)}`;
  process.stdout.write(`\nours, growth\n\n${table(rows)}\n\n${ratio}\n`);
}

const { values } = parseArgs({
  options: {
    /** One JSON object on standard output instead of tables. */
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
if (values.only !== undefined && !['comparison', 'growth'].includes(values.only)) {
  throw new Error(`expected --only comparison or --only growth, got ${values.only}`);
}

const comparisons: Comparison[] = [];
for (const latencyMs of values.only === 'growth' ? [] : LATENCIES_MS) {
  const comparison = await compare({ ...COMPARISON, latencyMs });
  comparisons.push(comparison);
  if (!values.json) printComparison(comparison);
}
const growth = values.only === 'comparison' ? null : await measureGrowth(GROWTH);
if (growth && !values.json) printGrowth(growth);
if (values.json) process.stdout.write(`${JSON.stringify({ comparisons, growth }, null, 2)}\n`);
