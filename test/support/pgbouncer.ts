import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Daemon, freePort } from './daemon.js';

/** A real PgBouncer in transaction mode, in front of one database. */
export class PgBouncer {
  private constructor(
    private readonly daemon: Daemon,
    private readonly folder: string,
    /** The database behind it, as `database.url` has it. */
    readonly url: string,
  ) {}

  /** @param connections to the server, which all clients share */
  static async start(database: string, connections: number): Promise<PgBouncer> {
    const { hostname, port, pathname, username, password } = new URL(database);
    const name = decodeURIComponent(pathname.slice(1));
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-pgbouncer-'));
    const listenPort = await freePort();
    const config = join(folder, 'pgbouncer.ini');
    const server = `host=${hostname} port=${port || 5432} dbname=${name} user=${username} password=${password}`;
    await writeFile(
      config,
      `[databases]
${name} = ${server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${connections}
ignore_startup_parameters = extra_float_digits
`,
    );
    // It does not run as root, and reads its file as another user.
    await Promise.all([chmod(folder, 0o755), chmod(config, 0o644)]);
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    const daemon = await Daemon.start('pgbouncer', [...user, config], () => accepts(listenPort), 'SIGINT');
    return new PgBouncer(daemon, folder, `postgres://${username}@127.0.0.1:${listenPort}/${name}`);
  }

  async close(): Promise<void> {
    await this.daemon.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy()).once('connect', () => socket.end());
  });
}
