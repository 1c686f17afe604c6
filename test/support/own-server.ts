import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app/app.js';
import { parseConfig } from '../../src/config/config.js';
import type { Database } from '../../src/database/database.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Client } from './client.js';
import { SECRETS, WITHOUT_PLACEHOLDERS } from './test-bed.js';

export interface OwnServerOptions {
  /** Sections of the configuration, `channels` among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** An open database in place of the configured one. The caller closes it. */
  readonly database?: Database;
  /** The folders of the programs that render, as in PATH; absent: none. */
  readonly toolsPath?: string;
  /** The lowest level of the lines that are kept. Default: warn. */
  readonly logLevel?: 'info' | 'warn';
}

/** A server in this process over channels and a database that the test chose, and who speaks to it. */
export class OwnServer {
  private constructor(
    private readonly app: App,
    private readonly folder: string,
    private readonly document: Readonly<Record<string, unknown>>,
    readonly client: Client,
    /** Every line that the server logged, from `logLevel` on. */
    readonly logLines: readonly string[],
  ) {}

  static async start({ config, database, toolsPath, logLevel = 'warn' }: OwnServerOptions): Promise<OwnServer> {
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-own-'));
    const document = {
      server: { port: 0 },
      storage: { root: join(folder, 'blobs') },
      ...WITHOUT_PLACEHOLDERS,
      network: { allowPrivate: ['127.0.0.0/8'] },
      delivery: { signingKeys: [{ id: 'k1', secret: SECRETS.signingSecret }] },
      ...config,
      // This process runs the tests as well, and is late because of that.
      limits: { eventLoopDelay: null, ...Object(config.limits) },
    };
    const logLines: string[] = [];
    const logger = createLogger({ level: logLevel, destination: { write: (line) => void logLines.push(line) } });
    const app = await startApp({
      config: parseConfig(document, toolsPath === undefined ? {} : { PATH: toolsPath }),
      logger,
      database,
    });
    return new OwnServer(app, folder, document, new Client(app.url), logLines);
  }

  /** The root of the blob store. */
  get blobs(): string {
    return join(this.folder, 'blobs');
  }

  /** Reloads the configuration with changed sections, as SIGHUP does. */
  reload(sections: Readonly<Record<string, unknown>>): Promise<void> {
    return this.app.reload(parseConfig({ ...this.document, ...sections }, {}));
  }

  /** How often the server logged something. */
  logged(message: string): number {
    return this.logLines.filter((line) => line.includes(message)).length;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.app.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Servers that are closed after each test. Call it at the top of a file, or of a `describe` before its database. */
export function useOwnServers(): (options: OwnServerOptions) => Promise<OwnServer> {
  const servers: OwnServer[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  return async (options) => {
    const server = await OwnServer.start(options);
    servers.push(server);
    return server;
  };
}
