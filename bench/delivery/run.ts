/** `npm run bench:delivery`; see bench/README.md. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { scratchFolder } from '../support/child-processes.js';
import { wholeNumber } from '../support/options.js';
import { startOurs } from '../support/ours.js';
import { enginesOf } from '../support/scratch-database.js';
import { table } from '../support/table.js';
import { measureFirstByte } from './first-byte.js';
import { place, sampleFile } from './media.js';
import { startNginx } from './nginx.js';
import { measureSlowReaders } from './slow-readers.js';
import { compareThroughput, type ThroughputFigures } from './throughput.js';

const { values } = parseArgs({
  options: {
    engine: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    readers: { type: 'string' },
    requests: { type: 'string' },
    /** `throughput`, `slow` or `first-byte`; absent: all. */
    only: { type: 'string' },
    profile: { type: 'string' },
    /** One JSON object on standard output instead of tables. */
    json: { type: 'boolean', default: false },
  },
});
const seconds = wholeNumber('seconds', values.seconds, 5);
const rounds = wholeNumber('rounds', values.rounds, 5);
const readers = wholeNumber('readers', values.readers, 1_000);
const requests = wholeNumber('requests', values.requests, 300);
const wants = (part: string) => values.only === undefined || values.only === part;

const PARTS = 'Range: bytes=20000-83535';

async function besideNginx(engine: ReturnType<typeof enginesOf>[number]) {
  const folder = mkdtempSync(join(scratchFolder(), 'nginx-'));
  // wa-gateway takes no uploads: what is fetched is kept, and that is all.
  const channel = { id: 'line', provider: 'wa-gateway', baseUrl: 'http://127.0.0.1:9', credentials: { token: 'none' } };
  const config = { network: { allowPrivate: ['127.0.0.0/8'] }, channels: [channel] };
  const server = await startOurs({ engine, config, profileFolder: values.profile ?? null });
  const nginx = await startNginx(folder, folder);
  try {
    const small = sampleFile('small.jpg', 100_000);
    const large = sampleFile('large.pdf', 10_000_000);
    const contestants = async (file: typeof small) => ({
      ours: { url: await place(file, server, folder), pid: server.pid },
      nginx: { url: `${nginx.origin}/${file.name}`, pid: nginx.pid },
    });
    const [ofSmall, ofLarge] = [await contestants(small), await contestants(large)];
    const throughput: ThroughputFigures[] = [];
    if (wants('throughput')) {
      const plan = { seconds, rounds };
      const parts = { ...plan, connections: 32, headers: [PARTS] };
      throughput.push(await compareThroughput(ofSmall, { ...plan, what: '100 KB', connections: 32 }));
      throughput.push(await compareThroughput(ofLarge, { ...plan, what: '10 MB', connections: 8 }));
      throughput.push(await compareThroughput(ofSmall, { ...parts, what: '64 KiB of 100 KB' }));
      throughput.push(await compareThroughput(ofLarge, { ...parts, what: '64 KiB of 10 MB' }));
      const most = 'Range: bytes=1000000-8999999';
      const range = { ...plan, connections: 8, headers: [most], what: '8 MB of 10 MB' };
      throughput.push(await compareThroughput(ofLarge, range));
    }
    const slow = wants('slow')
      ? {
          ours: await measureSlowReaders({ ...ofLarge.ours, readers, seconds }),
          // The kernel may have no memory left for so many connections, and wrk's then time out.
          nginx: await measureSlowReaders({ ...ofLarge.nginx, readers, seconds }).catch(() => null),
        }
      : null;
    return { engine, throughput, slow };
  } finally {
    await Promise.all([server.stop(), nginx.stop()]);
  }
}

function print({ throughput, slow }: Awaited<ReturnType<typeof besideNginx>>): void {
  const rows = throughput.map((one) => ({
    what: one.what,
    'ours req/s': one.oursPerSecond.toFixed(0),
    'nginx req/s': one.nginxPerSecond.toFixed(0),
    '× nginx': one.times.toFixed(2),
    'ours CPU ms': one.oursCpuMs.toFixed(3),
    'nginx CPU ms': one.nginxCpuMs.toFixed(3),
  }));
  if (rows.length > 0) process.stdout.write(`\nthe same files, beside nginx\n\n${table(rows)}\n`);
  if (slow === null) return;
  const servers = Object.entries(slow).flatMap(([name, figures]) =>
    figures === null
      ? []
      : [
          {
            name,
            'slow readers': String(figures.readers),
            'memory before MB': figures.before.toFixed(0),
            'at most MB': figures.atMost.toFixed(0),
            'speed of fast readers': `× ${figures.fastShare.toFixed(2)}`,
          },
        ],
  );
  process.stdout.write(`\n10 MB to many slow readers and four fast ones\n\n${table(servers)}\n`);
}

const results: object[] = [];
for (const engine of enginesOf(values.engine)) {
  if (wants('throughput') || wants('slow')) {
    const figures = await besideNginx(engine);
    results.push(figures);
    if (!values.json) print(figures);
  }
  if (!wants('first-byte')) continue;
  const delays = [await measureFirstByte(engine, 'lazy', requests), await measureFirstByte(engine, 'off', requests)];
  results.push({ engine, firstByte: delays });
  const rows = delays.map(({ mode, p50, p99 }) => ({ 'mirror.mode': mode, p50: p50.toFixed(1), p99: p99.toFixed(1) }));
  if (!values.json) process.stdout.write(`\nfirst byte after the provider's, ms\n\n${table(rows)}\n`);
}
if (values.json) process.stdout.write(`${JSON.stringify({ results }, null, 2)}\n`);
