import { readdir, readFile } from 'node:fs/promises';
import { Client } from '../client.js';
import type { RunningCommand } from '../command.js';
import { eventually } from '../eventually.js';
import type { S3TestServer } from '../s3.js';
import { ServerFolder } from '../server-folder.js';
import { TcpProxy } from '../tcp-proxy.js';
import { SECRETS } from '../test-bed.js';
import { steadyPort } from './steady-port.js';

export interface ReplicaOptions {
  readonly name: string;
  readonly databaseUrl: string;
  /** The section `storage.s3`, with the endpoint of the server itself. */
  readonly store: S3TestServer['options'];
  readonly channels: ReadonlyArray<Readonly<Record<string, unknown>>>;
  /** What stands in front of all replicas. */
  readonly publicUrl: string;
  readonly port: number;
}

/** What the operating system says of a process. */
export interface ProcessUse {
  readonly rssBytes: number;
  readonly descriptors: number;
  /** Null: the process did not answer in time. */
  readonly heapBytes: number | null;
}

const METRICS_TIMEOUT_MS = 2_000;
const ANSWERS_WITHIN_MS = 120_000;
const LOOK_PAUSE_MS = 500;
const PROBE = '{ __typename }';

/** A process of the real server, with its own ways to PostgreSQL and to S3, which may be cut. */
export class Replica {
  /** How often it was started. */
  starts = 0;
  /** All lines that it and its predecessors logged, by level and message. */
  readonly logged = new Map<string, number>();
  #command: RunningCommand | null = null;

  private constructor(
    readonly name: string,
    private readonly folder: ServerFolder,
    readonly database: TcpProxy,
    readonly store: TcpProxy,
    /** Speaks to this replica alone. */
    readonly client: Client,
  ) {}

  static async make(options: ReplicaOptions): Promise<Replica> {
    const { databaseUrl, store, channels, publicUrl, port, name } = options;
    const [database, storeProxy] = await Promise.all([TcpProxy.start(databaseUrl), TcpProxy.start(store.endpoint)]);
    const config = {
      server: { port, publicUrl },
      storage: { driver: 's3', s3: { ...store, endpoint: storeProxy.url } },
      delivery: { signingKeys: [{ id: 'k1', secret: SECRETS.signingSecret }] },
      channels,
    };
    const folder = await ServerFolder.make({ config, databaseUrl: database.url });
    return new Replica(name, folder, database, storeProxy, new Client(`http://127.0.0.1:${port}`));
  }

  get pid(): number {
    return this.#running().pid;
  }

  /** Resolves when it listens, which is before its dependencies need to answer. */
  async start(): Promise<void> {
    const command = this.folder.run(['serve']);
    this.#command = command;
    this.starts += 1;
    await command.printed(/mediagraph listens at (\S+)/);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#running().kill(signal);
  }

  /** @returns the exit status, or the signal's name */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string> {
    const command = this.#running();
    command.kill(signal);
    const status = await command.ended;
    this.#command = null;
    countLines(this.logged, command.stdout);
    return status;
  }

  /** Until it is ready by its own word, and a query passes. @throws Error with its last answer */
  async answers(): Promise<void> {
    const look = async () => {
      try {
        const ready = await this.client.get('/readyz');
        if (ready.status !== 200) return ready.bytes.toString();
        const { status, errors } = await this.client.query(PROBE, {});
        return status === 200 && errors.length === 0 ? 'ready' : `GraphQL answers ${status}`;
      } catch (thrown) {
        return String(thrown);
      }
    };
    const what = `${this.name} to answer`;
    await eventually(look, (seen) => seen === 'ready', { what, withinMs: ANSWERS_WITHIN_MS, pauseMs: LOOK_PAUSE_MS });
  }

  /** Null: there is no process at the moment. */
  async use(): Promise<ProcessUse | null> {
    try {
      const { pid } = this.#running();
      const [status, descriptors] = await Promise.all([
        readFile(`/proc/${pid}/status`, 'utf8'),
        readdir(`/proc/${pid}/fd`),
      ]);
      const [, kib = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
      if (kib === '') return null;
      return { rssBytes: Number(kib) * 1024, descriptors: descriptors.length, heapBytes: await this.#heap() };
    } catch {
      return null;
    }
  }

  /** Runs a command of the server over its configuration, and reads the JSON line that it prints. */
  answerOf(args: readonly string[]): Promise<unknown> {
    return this.folder.answerOf(args);
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.folder.close();
    if (this.#command) countLines(this.logged, this.#command.stdout);
    await Promise.all([this.database.close(), this.store.close()]);
  }

  async #heap(): Promise<number | null> {
    const signal = AbortSignal.timeout(METRICS_TIMEOUT_MS);
    const got = await this.client.get('/metrics', { signal }).catch(() => null);
    const [, bytes] = /^nodejs_heap_size_used_bytes (\S+)$/m.exec(got?.bytes.toString() ?? '') ?? [];
    return bytes === undefined ? null : Number(bytes);
  }

  #running(): RunningCommand {
    if (!this.#command) throw new Error(`expected ${this.name} to run`);
    return this.#command;
  }
}

function countLines(counts: Map<string, number>, output: string): void {
  for (const line of output.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { level, msg }: { level?: string | number; msg?: string } = JSON.parse(line);
    const name = `${level}: ${msg}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
}

/** The ports of replicas, which each keeps when it comes back. */
export async function replicaPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await steadyPort());
  return [...ports];
}
