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
import { place, type ServedFile, sampleFile } from './media.js';
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
    /** `throughput`, `offload`, `slow` or `first-byte`; absent: all. */
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

/** What the rows below measure: 32 connections for what is small, and 8 for what is large. */
const SMALL_LOADS = [
  { what: '100 KB', connections: 32 },
  { what: 'first 64 KiB of 100 KB', connections: 32, headers: ['Range: bytes=0-65535'] },
] as const;
const LARGE_LOADS = [
  { what: '10 MB', connections: 8 },
  { what: '1 MiB from the middle of 10 MB', connections: 8, headers: ['Range: bytes=4500000-5548575'] },
] as const;
const MORE_LARGE_LOADS = [
  { what: '64 KiB of 10 MB', connections: 32, headers: ['Range: bytes=20000-83535'] },
  { what: '8 MB of 10 MB', connections: 8, headers: ['Range: bytes=1000000-8999999'] },
] as const;

const SMALL = sampleFile('small.jpg', 100_000);
const LARGE = sampleFile('large.pdf', 10_000_000);

// wa-gateway takes no uploads: what is fetched is kept, and that is all.
const CHANNEL = { id: 'line', provider: 'wa-gateway', baseUrl: 'http://127.0.0.1:9', credentials: { token: 'none' } };
const ONE_CHANNEL = { network: { allowPrivate: ['127.0.0.0/8'] }, channels: [CHANNEL] };

/** Ours with `delivery.offload` behind nginx, and the same nginx alone with the same files. */
async function behindNginx(engine: ReturnType<typeof enginesOf>[number]) {
  const folder = mkdtempSync(join(scratchFolder(), 'nginx-'));
  const blobs = join(folder, 'blobs');
  const offload = { storage: { driver: 'fs', root: blobs }, delivery: { offload: 'x-accel-redirect' } };
  const config = { ...ONE_CHANNEL, ...offload };
  const server = await startOurs({ engine, config, profileFolder: values.profile ?? null });
  const nginx = await startNginx(folder, folder, { origin: server.said, blobs });
  try {
    const throughput: ThroughputFigures[] = [];
    for (const [file, loads] of [[SMALL, SMALL_LOADS] as const, [LARGE, LARGE_LOADS] as const]) {
      const { pathname, search } = new URL(await place(file, server, folder));
      const contestants = {
        ours: { url: `${nginx.front}${pathname}${search}`, pids: [server.pid, nginx.pid] },
        nginx: { url: `${nginx.origin}/${file.name}`, pids: [nginx.pid] },
      };
      for (const load of loads) throughput.push(await compareThroughput(contestants, { ...load, seconds, rounds }));
    }
    return { engine, offload: throughput };
  } finally {
    await Promise.all([server.stop(), nginx.stop()]);
  }
}

async function besideNginx(engine: ReturnType<typeof enginesOf>[number]) {
  const folder = mkdtempSync(join(scratchFolder(), 'nginx-'));
  const server = await startOurs({ engine, config: ONE_CHANNEL, profileFolder: values.profile ?? null });
  const nginx = await startNginx(folder, folder);
  try {
    const contestants = async (file: ServedFile) => ({
      ours: { url: await place(file, server, folder), pids: [server.pid] },
      nginx: { url: `${nginx.origin}/${file.name}`, pids: [nginx.pid] },
    });
    const [ofSmall, ofLarge] = [await contestants(SMALL), await contestants(LARGE)];
    const throughput: ThroughputFigures[] = [];
    if (wants('throughput')) {
      for (const load of SMALL_LOADS) throughput.push(await compareThroughput(ofSmall, { ...load, seconds, rounds }));
      for (const load of [...LARGE_LOADS, ...MORE_LARGE_LOADS])
        throughput.push(await compareThroughput(ofLarge, { ...load, seconds, rounds }));
    }
    const slow = wants('slow')
      ? {
          ours: await measureSlowReaders({ url: ofLarge.ours.url, pid: server.pid, readers, seconds }),
          // The kernel may have no memory left for so many connections, and wrk's then time out.
          nginx: await measureSlowReaders({ url: ofLarge.nginx.url, pid: nginx.pid, readers, seconds }).catch(
            () => null,
          ),
        }
      : null;
    return { engine, throughput, slow };
  } finally {
    await Promise.all([server.stop(), nginx.stop()]);
  }
}

function printThroughput(title: string, throughput: readonly ThroughputFigures[]): void {
  const rows = throughput.map((one) => ({
    what: one.what,
    'ours req/s': one.oursPerSecond.toFixed(0),
    'nginx req/s': one.nginxPerSecond.toFixed(0),
    '× nginx': one.times.toFixed(2),
    'ours CPU ms': one.oursCpuMs.toFixed(3),
    'nginx CPU ms': one.nginxCpuMs.toFixed(3),
  }));
  process.stdout.write(`\n${title}\n\n${table(rows)}\n`);
}

function print({ throughput, slow }: Awaited<ReturnType<typeof besideNginx>>): void {
  if (throughput.length > 0) printThroughput('the same files, beside nginx', throughput);
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
  if (wants('offload')) {
    const figures = await behindNginx(engine);
    results.push(figures);
    if (!values.json)
      printThroughput('the same files behind nginx with delivery.offload, beside nginx alone', figures.offload);
  }
  if (!wants('first-byte')) continue;
  const delays = [await measureFirstByte(engine, 'lazy', requests), await measureFirstByte(engine, 'off', requests)];
  results.push({ engine, firstByte: delays });
  const rows = delays.map(({ mode, p50, p99 }) => ({ 'mirror.mode': mode, p50: p50.toFixed(1), p99: p99.toFixed(1) }));
  if (!values.json) process.stdout.write(`\nfirst byte after the provider's, ms\n\n${table(rows)}\n`);
}
if (values.json) process.stdout.write(`${JSON.stringify({ results }, null, 2)}\n`);
