import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd } from '../support/at-end.js';

const START_TIMEOUT_MS = 10_000;

export interface Nginx {
  readonly origin: string;
  /** Where it is in front of a server that offloads. Null: there is none. */
  readonly front: string | null;
  /** The process id of the only worker. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** A server with `delivery.offload`, and the root of its blob store. */
export interface OffloadingServer {
  readonly origin: string;
  readonly blobs: string;
}

const DEPLOYED = new URL('../../deploy/offload/', import.meta.url);

/**
 * nginx as its documentation sets it up for files: one worker, sendfile, an access log.
 * @param behind what it is in front of as well, as `deploy/offload/nginx.conf` has it
 */
export async function startNginx(folder: string, files: string, behind?: OffloadingServer): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  const [port, frontPort] = [await freePort(), await freePort()];
  const config = join(folder, 'nginx.conf');
  const front = behind ? deployed(folder, behind, frontPort) : '';
  writeFileSync(config, configuration(folder, files, port, front));
  const child = spawn('nginx', ['-p', folder, '-c', config, '-g', 'daemon off;'], { stdio: 'ignore' });
  const end = atEnd(() => stop(child));
  const originAt = (listening: number) => `http://127.0.0.1:${listening}`;
  const pid = await workerOf(child);
  return { origin: originAt(port), front: behind ? originAt(frontPort) : null, pid, stop: end };
}

/** The deployed configuration with the lines that are marked as an operator's own replaced. */
function deployed(folder: string, { origin, blobs }: OffloadingServer, port: number): string {
  const internal = join(folder, 'internal.conf');
  const own: Readonly<Record<string, string>> = {
    origin: `server ${new URL(origin).host};`,
    listen: `listen 127.0.0.1:${port};`,
    blobs: `alias ${blobs}/;`,
    internal: `include ${internal};`,
  };
  const replaced = (name: string) => {
    const lines = readFileSync(new URL(name, DEPLOYED), 'utf8').split('\n');
    return lines.map((line) => own[/# yours: (\S+)$/.exec(line)?.[1] ?? ''] ?? line).join('\n');
  };
  writeFileSync(internal, replaced('internal.conf'));
  return replaced('nginx.conf');
}

function configuration(folder: string, files: string, port: number, front: string): string {
  // Its worker gives up root's rights otherwise, and then cannot enter the folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
${user}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 4096; }
http {
  sendfile on;
  keepalive_requests 1000000;
  access_log ${folder}/access.log;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  types { image/jpeg jpg; application/pdf pdf; }
  server {
    listen 127.0.0.1:${port};
    root ${files};
  }
${front}
}
`;
}

async function workerOf(master: ChildProcess): Promise<number> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    if (master.exitCode !== null || performance.now() > deadline) throw new Error('expected nginx to start');
    const children = readFileSync(`/proc/${master.pid}/task/${master.pid}/children`, 'utf8').trim();
    if (children !== '') return Number(children.split(' ', 1)[0]);
    await sleep(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
