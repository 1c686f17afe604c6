import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp } from '../app.js';
import { type Config, parseConfig } from '../config.js';
import { createLogger } from '../telemetry/logger.js';
import { DemoClient } from './demo-client.js';
import { type DemoChannel, startDemoProviders } from './demo-providers.js';
import { type DemoResult, formatResult, formatWhatNext } from './demo-report.js';
import { MessagesWithMediaDocument } from './operations.generated.js';
import { untilSignal } from './serve.js';

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
    stdout.write('starting the embedded database and the stand-ins for the providers …\n');
    const logger = createLogger({ level: 'warn', destination: stderr });
    const app = await startApp({ config: demoConfig(providers.channels, folder), logger });
    try {
      const result = await askAndOpen(app.url, providers.messageIds);
      const providerOf = new Map(providers.channels.map(({ id, provider }) => [id, provider]));
      stdout.write(formatResult(result, { providers: providerOf, colours: stdout.isTTY === true && !env.NO_COLOR }));
      stdout.write(formatWhatNext({ url: app.url, messageId: providers.messageIds[0] ?? '' }));
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

/** One query for all messages, then every URL of the answer. */
async function askAndOpen(serverUrl: string, ids: readonly string[]): Promise<DemoResult> {
  const client = new DemoClient(`${serverUrl}/graphql`);
  try {
    const { data, errors } = await client.query(MessagesWithMediaDocument, { ids });
    const messages = data?.messagesWithMedia ?? [];
    const urls = messages.flatMap((message) => message?.media ?? []).flatMap(({ url }) => url ?? []);
    const opened = await Promise.all(urls.map(async (url) => [url, await client.open(url).catch(() => null)] as const));
    return { messages, faults: errors ?? [], opened: new Map(opened) };
  } finally {
    await client.close();
  }
}

// Private: the emulators' addresses are private ones, where no media of a provider is fetched from unless told so.
function demoConfig(channels: readonly DemoChannel[], folder: string): Config {
  const given = {
    server: { port: 0, explorer: 'graphiql' },
    database: { url: 'pglite:memory' },
    storage: { root: join(folder, 'blobs') },
    delivery: { signingKeys: [{ id: 'demo', secret: randomBytes(32).toString('base64url') }] },
    network: { allowPrivate: ['127.0.0.0/8'] },
    channels,
  };
  return parseConfig(given, {}, 'the demo');
}
