import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from './client.js';
import { type CommandOptions, RunningCommand } from './command.js';
import { copyTemplate } from './copy-template.js';
import { SECRETS, WITHOUT_PLACEHOLDERS } from './test-bed.js';

export interface ServerFolderOptions {
  /** Sections of the configuration, `channels` among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `postgres://…`; the embedded engine in this folder unless given. */
  readonly databaseUrl?: string;
}

/** A real process, and who speaks to it. */
export interface ServerProcess {
  readonly command: RunningCommand;
  readonly client: Client;
}

/** What a server leaves behind, and the processes that run over it. */
export class ServerFolder {
  readonly #commands: RunningCommand[] = [];
  readonly #clients: Client[] = [];

  private constructor(
    private readonly path: string,
    readonly databaseUrl: string,
  ) {}

  static async make({ config, databaseUrl }: ServerFolderOptions): Promise<ServerFolder> {
    const path = await mkdtemp(join(tmpdir(), 'mediagraph-faults-'));
    const embedded = join(path, 'catalog');
    if (databaseUrl === undefined) await copyTemplate(embedded);
    const folder = new ServerFolder(path, databaseUrl ?? `pglite:${embedded}`);
    await folder.configure(config);
    return folder;
  }

  /** Writes the configuration that the next process reads, or one that gets SIGHUP. */
  async configure(config: ServerFolderOptions['config']): Promise<void> {
    const document = {
      server: { port: 0 },
      log: { level: 'warn' },
      database: { url: this.databaseUrl },
      storage: { root: this.blobs },
      ...WITHOUT_PLACEHOLDERS,
      network: { allowPrivate: ['127.0.0.0/8'] },
      delivery: { signingKeys: [{ id: 'k1', secret: SECRETS.signingSecret }] },
      ...config,
    };
    await writeFile(this.#config, JSON.stringify(document));
  }

  /** The root of the blob store. */
  get blobs(): string {
    return join(this.path, 'blobs');
  }

  get #config(): string {
    return join(this.path, 'config.json');
  }

  /** A command over this folder's configuration, e.g. `serve`. */
  run(args: readonly string[], options: CommandOptions = {}): RunningCommand {
    const command = new RunningCommand([...args, '--config', this.#config], options.env ?? {}, options);
    this.#commands.push(command);
    return command;
  }

  /** A server that listens and is ready. */
  async serve(options?: CommandOptions): Promise<ServerProcess> {
    const command = this.run(['serve'], options);
    const [, url = ''] = await command.printed(/mediagraph listens at (\S+)/);
    const client = new Client(url);
    this.#clients.push(client);
    return { command, client };
  }

  /** Runs a command to its end and reads the one JSON line that it prints. */
  async answerOf(args: readonly string[]): Promise<unknown> {
    const command = this.run(args);
    const status = await command.ended;
    if (status !== 0) throw new Error(`expected ${args.join(' ')} to end with 0, got ${status}: ${command.stderr}`);
    return JSON.parse(command.stdout);
  }

  /** Ends all processes, and removes the folder. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const command of this.#commands) command.kill('SIGKILL');
    await Promise.all(this.#commands.map(({ ended }) => ended));
    await rm(this.path, { recursive: true, force: true });
  }
}
