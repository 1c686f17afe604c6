import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Daemon, deployed, freePort } from './daemon.js';

const ACCESS_LOG = 'access.log';
const ERROR_LOG = 'error.log';

/** A real nginx on a free port. */
export class Nginx {
  private constructor(
    private readonly daemon: Daemon,
    private readonly folder: string,
    readonly url: string,
  ) {}

  /** As `deploy/cdn/nginx.conf` has it. @param origin host and port of what stands behind it */
  static cache(origin: string): Promise<Nginx> {
    return Nginx.#start(({ folder, port }) =>
      deployed('cdn/nginx.conf', {
        cache: `proxy_cache_path ${folder}/cache levels=1:2 keys_zone=mediagraph:1m inactive=10m use_temp_path=off;`,
        origin: `server ${origin};`,
        listen: `listen 127.0.0.1:${port};`,
      }),
    );
  }

  /**
   * As `deploy/offload/nginx.conf` has it.
   * @param blobs the folder of the blob store
   * @param user who reads it; only root may choose one
   */
  static offload(origin: string, blobs: string, user?: string): Promise<Nginx> {
    return Nginx.#start(
      async ({ folder, port }) =>
        deployed('offload/nginx.conf', {
          origin: `server ${origin};`,
          listen: `listen 127.0.0.1:${port};`,
          internal: await includedInternal(folder, blobs),
        }),
      user,
    );
  }

  /**
   * As `deploy/nginx/mediagraph.conf` has it with `compose.shared-folder.yaml`. This nginx may be older than the one there, so the
   * addresses of the replicas take the place of their name.
   */
  static replicas(origins: readonly string[], blobs: string): Promise<Nginx> {
    return Nginx.#start(async ({ folder, port }) =>
      deployed('nginx/mediagraph.conf', {
        resolver: '',
        replicas: origins.map((origin) => `server ${origin} max_fails=3 fail_timeout=1s;`).join(' '),
        repeatable: origins.map((origin) => `server ${origin} max_fails=0;`).join(' '),
        listen: `listen 127.0.0.1:${port};`,
        log: `access_log ${folder}/${ACCESS_LOG} mediagraph;`,
        errors: `error_log ${folder}/${ERROR_LOG} crit;`,
        offload: await includedInternal(folder, blobs),
      }),
    );
  }

  /** In front of several replicas, each of which may go at any time. @param origins host and port of each */
  static balancing(origins: readonly string[]): Promise<Nginx> {
    return Nginx.#start(({ port }) => Promise.resolve(balancer(origins, port)));
  }

  /** @param server what stands in `server {}` beside the address */
  static serving(server: string): Promise<Nginx> {
    return Nginx.#start(({ port }) => Promise.resolve(`server { listen 127.0.0.1:${port}; ${server} }`));
  }

  static async #start(
    http: (place: { folder: string; port: number }) => Promise<string>,
    user = 'root',
  ): Promise<Nginx> {
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-nginx-'));
    try {
      const port = await freePort();
      const config = join(folder, 'nginx.conf');
      await writeFile(config, around(folder, await http({ folder, port }), user));
      const args = ['-p', folder, '-c', config, '-e', join(folder, ERROR_LOG), '-g', 'daemon off;'];
      const daemon = await Daemon.start('nginx', args, () => isListening(port));
      return new Nginx(daemon, folder, `http://127.0.0.1:${port}`);
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** What its configuration logs: requests, then errors. */
  async logged(): Promise<string> {
    const logs = [ACCESS_LOG, ERROR_LOG].map((name) => readFile(join(this.folder, name), 'utf8'));
    return (await Promise.all(logs)).join('');
  }

  async close(): Promise<void> {
    await this.daemon.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The directive that includes `deploy/offload/internal.conf`, which it writes. */
async function includedInternal(folder: string, blobs: string): Promise<string> {
  const file = join(folder, 'internal.conf');
  await writeFile(file, await deployed('offload/internal.conf', { blobs: `alias ${blobs}/;` }));
  return `include ${file};`;
}

/** What a system has around a file in conf.d/. */
function around(folder: string, http: string, user: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return `
${process.getuid?.() === 0 ? `user ${user};` : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
events {}
http {
${temporary.join('\n')}
access_log off;
sendfile on;
${http}
}`;
}

/**
 * A replica that ends closes its idle connections while a request may be on its way over one, and answers 503 to those
 * that it has already received. So nginx repeats both on another replica, POST too: webhooks are recognised, and uploads
 * have keys.
 */
function balancer(origins: readonly string[], port: number): string {
  return `
upstream mediagraph {
  ${origins.map((origin) => `server ${origin} max_fails=0;`).join('\n  ')}
  keepalive 32;
}
server {
  listen 127.0.0.1:${port};
  client_max_body_size 4m;
  location / {
    proxy_pass http://mediagraph;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_connect_timeout 5s;
    proxy_max_temp_file_size 0;
    proxy_next_upstream error timeout http_503 non_idempotent;
  }
}`;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => resolve(false));
  });
}
