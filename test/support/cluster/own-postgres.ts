import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { eventually } from '../eventually.js';
import { isInstalled, printedBy } from '../installed-tools.js';
import { steadyPort } from './steady-port.js';

/** Where Debian's packages keep the programs of each version, which are not in PATH. */
const DEBIAN = '/usr/lib/postgresql';
/** The temporary folder of a test run is readable by its own user only, and PostgreSQL runs as another one. */
const FOLDERS = '/tmp/mediagraph-postgres-';

const LOOK_PAUSE_MS = 100;

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** The folder of `initdb` and `postgres` of the newest installed version; null: none is installed. */
export async function postgresPrograms(): Promise<string | null> {
  const versions = await readdir(DEBIAN).catch(() => []);
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const folder = join(DEBIAN, version, 'bin');
    if (await isInstalled(join(folder, 'initdb'), '--version')) return folder;
  }
  return null;
}

/**
 * A PostgreSQL of one test, which the test restarts: the server of TEST_DATABASE_URL is everyone's. It keeps what it
 * confirmed when a process dies, but not when the machine does.
 */
export class OwnPostgres {
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(
    private readonly programs: string,
    private readonly folder: string,
    private readonly user: User,
    private readonly port: number,
  ) {}

  static async start(programs: string): Promise<OwnPostgres> {
    const user = await postgresUser();
    const folder = await mkdtemp(FOLDERS);
    const postgres = new OwnPostgres(programs, folder, user, await steadyPort());
    try {
      if (user.uid !== undefined && user.gid !== undefined) await chown(folder, user.uid, user.gid);
      const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
      const args = [...options, '--pgdata', join(folder, 'data')];
      await promisify(execFile)(join(programs, 'initdb'), args, { ...user, cwd: folder, env: {} });
      await postgres.#begin();
      return postgres;
    } catch (thrown) {
      await postgres.close();
      throw thrown;
    }
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  /** Runs a statement over a connection of its own. */
  async query(statement: string): Promise<Array<Record<string, unknown>>> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'the test',
      connectionTimeoutMillis: 5_000,
      query_timeout: 30_000,
    });
    // The server may end during a restart.
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  /** SIGINT ends the server in order (PostgreSQL: "fast"), SIGQUIT at once, as in a crash ("immediate"). */
  async restart(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    await this.#end(signal);
    await this.#begin();
  }

  async close(): Promise<void> {
    await this.#end('SIGQUIT');
    await rm(this.folder, { recursive: true, force: true });
  }

  async #begin(): Promise<void> {
    const settings = [
      `port=${this.port}`,
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
      'fsync=off',
      'max_connections=100',
    ];
    const args = ['-D', join(this.folder, 'data'), ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(join(this.programs, 'postgres'), args, {
      ...this.user,
      cwd: this.folder,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-10_000);
      });
    const isOver = () => child.exitCode !== null || child.signalCode !== null;
    const answers = () => this.query('select 1').then(Boolean, () => false);
    await eventually(async () => isOver() || (await answers()), Boolean, {
      what: 'PostgreSQL to answer',
      pauseMs: LOOK_PAUSE_MS,
    });
    if (isOver()) throw new Error(`expected PostgreSQL to start, got: ${this.#output}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

/** PostgreSQL refuses to run as root. */
async function postgresUser(): Promise<User> {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = await Promise.all([printedBy('id', '-u', 'postgres'), printedBy('id', '-g', 'postgres')]);
  return { uid: Number(uid), gid: Number(gid) };
}
