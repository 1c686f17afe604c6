import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { atEnd } from './at-end.js';
import { scratchFolder } from './child-processes.js';
import { cpuTimeMs } from './cpu-time.js';

const ENGINES = ['embedded', 'postgres'] as const;
export type Engine = (typeof ENGINES)[number];

/** A server that databases may be made on: `postgres://…`; without it only the embedded engine is measured. */
const { BENCH_DATABASE_URL: SERVER_URL } = process.env;

/** An empty database for one server, gone when it is removed or when this process ends. */
export interface ScratchDatabase {
  readonly engine: Engine;
  /** As `database.url` of the configuration has it. */
  readonly url: string;
  /** The CPU time of the processes that serve it so far, milliseconds; null: there are none, or they cannot be read. */
  cpuTimeMs(): Promise<number | null>;
  /** The server that uses it has stopped before. */
  remove(): Promise<void>;
}

/** @throws Error for another word, and for `postgres` where no server is known */
export function enginesOf(option: string | undefined): readonly Engine[] {
  if (option === undefined) return SERVER_URL ? ENGINES : ['embedded'];
  const engine = ENGINES.find((one) => one === option);
  if (!engine) throw new Error(`expected --engine ${ENGINES.join(' or --engine ')}, got ${option}`);
  if (engine === 'postgres' && !SERVER_URL) throw new Error('expected BENCH_DATABASE_URL for --engine postgres');
  return [engine];
}

export function makeDatabase(engine: Engine): Promise<ScratchDatabase> {
  return engine === 'embedded' ? makeFolder() : makeOnServer(SERVER_URL ?? '');
}

async function makeFolder(): Promise<ScratchDatabase> {
  const folder = mkdtempSync(join(scratchFolder(), 'database-'));
  return {
    engine: 'embedded',
    url: `pglite:${folder}`,
    cpuTimeMs: async () => null,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function makeOnServer(adminUrl: string): Promise<ScratchDatabase> {
  const name = `mediagraph_bench_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  const remove = atEnd(async () => {
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  });
  try {
    await admin.query(`create database ${name}`);
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  const backends = new Backends(admin, name);
  return { engine: 'postgres', url: url.href, cpuTimeMs: () => backends.cpuTimeMs(), remove };
}

/** The processes that serve a database's connections, where they run on this machine and may be looked at. */
class Backends {
  /** By process: one that has ended has still worked. */
  readonly #seen = new Map<number, number>();

  constructor(
    private readonly admin: pg.Client,
    private readonly database: string,
  ) {}

  async cpuTimeMs(): Promise<number | null> {
    const { rows } = await this.admin.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
      [this.database],
    );
    try {
      for (const { pid } of rows) {
        // On another machine the number means another process, or none.
        if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')) return null;
        this.#seen.set(pid, cpuTimeMs(pid));
      }
    } catch {
      return null;
    }
    return [...this.#seen.values()].reduce((sum, ms) => sum + ms, 0);
  }
}
