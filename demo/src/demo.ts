import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DemoHost } from './host.js';
import { startInbox } from './inbox/inbox.js';
import type { DemoLine } from './line.js';
import { startDemoProviders } from './providers.js';
import { type ShopLine, startShop } from './shop-line.js';
import { formatReady, INTRODUCTION } from './tour/report.js';
import { paintFor } from './tour/table.js';
import { showTour } from './tour/tour.js';

/** `mediagraph demo`, without an account or the Internet. Runs until SIGINT or SIGTERM. Resolves to the exit status. */
export async function demo({ env, stdout, stderr, startServer, untilSignal }: DemoHost): Promise<number> {
  const stopped = untilSignal();
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-demo-'));
  const [providers, shop] = await Promise.all([startDemoProviders(), startShop()]);
  try {
    stdout.write(INTRODUCTION);
    const startedAt = performance.now();
    const app = await startServer(demoConfig([...providers.lines, shop], folder), {
      log: withoutExpectedFailures(stderr, shop),
      exampleVariables: { url: providers.pictureUrl },
    });
    // Starts during the tour, whose last step needs it.
    const starting = startInbox({ appUrl: app.url, shop, lines: providers.lines, folder });
    const inbox = starting.catch((reason: unknown) => ({ reason }));
    try {
      stdout.write(formatReady(app.url, performance.now() - startedAt));
      const paint = paintFor(stdout.isTTY === true && !env.NO_COLOR);
      await showTour({ app, providers, inbox, print: (text) => stdout.write(text), paint });
      await stopped;
    } finally {
      const started = await inbox;
      if ('close' in started) await started.close();
      await app.close();
    }
  } finally {
    await Promise.all([providers.close(), ...shop.servers.map((server) => server.close())]);
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

/** The emulators have private addresses, from which media is fetched only where the configuration allows it. */
function demoConfig(lines: readonly DemoLine[], folder: string): Readonly<Record<string, unknown>> {
  return {
    server: { port: 0, explorer: 'graphiql' },
    database: { url: 'pglite:memory' },
    storage: { root: join(folder, 'blobs') },
    delivery: { signingKeys: [{ id: 'demo', secret: randomBytes(32).toString('base64url') }] },
    mirror: { mode: 'eager' },
    network: { allowPrivate: ['127.0.0.0/8'] },
    channels: lines.map(({ channel }) => channel),
  };
}

const EXPECTED_FAILURES = ['"status":"FAILED"', '"status":"EXPIRED"', '"msg":"a copy failed and will be retried"'];

/**
 * Hides the log lines about two media of the inbox's line that fail on purpose. They would look like a fault of the
 * demo.
 */
function withoutExpectedFailures(stderr: DemoHost['stderr'], { channel }: ShopLine): DemoHost['stderr'] {
  const isExpected = (line: string) =>
    line.includes(`"channelId":"${channel.id}"`) && EXPECTED_FAILURES.some((words) => line.includes(words));
  return { write: (line) => void (isExpected(line) || stderr.write(line)) };
}
