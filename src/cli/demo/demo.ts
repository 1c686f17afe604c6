import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp } from '../../app.js';
import { type Config, parseConfig, readEnvironment } from '../../config.js';
import { createLogger } from '../../telemetry/logger.js';
import { untilSignal } from '../serve.js';
import { type DemoProviders, startDemoProviders } from './providers.js';
import { formatReady, INTRODUCTION } from './report.js';
import { paintFor } from './table.js';
import { showTour } from './tour.js';

export interface DemoOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): void };
}

/** `mediagraph demo`: needs no account and no Internet. Runs until SIGINT or SIGTERM; resolves to the exit status. */
export async function demo({ env, stdout, stderr }: DemoOptions): Promise<number> {
  const stopped = untilSignal();
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-demo-'));
  const providers = await startDemoProviders();
  try {
    stdout.write(INTRODUCTION);
    const from = performance.now();
    const logger = createLogger({ level: 'warn', destination: stderr });
    const app = await startApp({ config: demoConfig(providers, folder), logger });
    try {
      stdout.write(formatReady(app.url, performance.now() - from));
      const paint = paintFor(stdout.isTTY === true && !env.NO_COLOR);
      await showTour({ app, providers, print: (text) => stdout.write(text), paint });
      await stopped;
    } finally {
      await app.close();
    }
  } finally {
    await providers.close();
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

// Private: the emulators' addresses are private ones, where no media of a provider is fetched from unless told so.
function demoConfig({ lines }: DemoProviders, folder: string): Config {
  const given = {
    server: { port: 0, explorer: 'graphiql' },
    database: { url: 'pglite:memory' },
    storage: { root: join(folder, 'blobs') },
    delivery: { signingKeys: [{ id: 'demo', secret: randomBytes(32).toString('base64url') }] },
    mirror: { mode: 'eager' },
    network: { allowPrivate: ['127.0.0.0/8'] },
    channels: lines.map(({ channel }) => channel),
  };
  return parseConfig(given, { PATH: readEnvironment().PATH }, 'the demo');
}
