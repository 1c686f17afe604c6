import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Child, scratchFolder, startChild } from './child-processes.js';
import { type CpuTime, cpuTimeMs } from './cpu-time.js';
import { type Engine, makeDatabase, type ScratchDatabase } from './scratch-database.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A server under test. */
export interface Server extends Child {
  cpuTime(): Promise<CpuTime>;
}

const MOST_COMPLAINTS = 5;

/** An error that says what the server's log has against it, the latest last. */
export function faultOf(server: Server, message: string): Error {
  const lines = server.output().split('\n');
  const complaints = lines.filter((line) => /^\{"level":"(warn|error|fatal)"/.test(line)).slice(-MOST_COMPLAINTS);
  return new Error([message, ...complaints].join('\n'));
}

export interface OursOptions {
  readonly engine: Engine;
  /** What is not a default of the configuration, besides the stores. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Where its CPU profile is written when it stops; null: none is made. */
  readonly profileFolder: string | null;
  /** What else stands after `node`. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The product as `npm start` starts it, with the defaults of its configuration: logs, limits and policies included. Its
 * stores are empty and go when it stops.
 */
export async function startOurs({ engine, config, profileFolder, nodeArgs = [], env }: OursOptions): Promise<Server> {
  const folder = mkdtempSync(join(scratchFolder(), 'ours-'));
  const database = await makeDatabase(engine);
  const file = join(folder, 'config.yaml');
  const stores = { database: { url: database.url }, storage: { driver: 'fs', root: join(folder, 'blobs') } };
  writeFileSync(file, stringify({ server: { port: 0 }, ...stores, ...config }));
  const profile = profileFolder === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profileFolder];
  try {
    const child = await startChild({
      name: `ours-${engine}`,
      args: ['--max-semi-space-size=64', ...profile, ...nodeArgs, MAIN, 'serve', '--config', file],
      env,
      ready: /^mediagraph listens at (\S+)$/m,
    });
    return serverOver(child, database);
  } catch (thrown) {
    await database.remove();
    throw thrown;
  }
}

function serverOver(child: Child, database: ScratchDatabase): Server {
  return {
    ...child,
    cpuTime: async () => ({ server: cpuTimeMs(child.pid), database: await database.cpuTimeMs() }),
    stop: async () => {
      await child.stop();
      await database.remove();
    },
  };
}
