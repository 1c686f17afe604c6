import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { programFile } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { Daemon, freePort } from '../support/daemon.js';
import type { Fence } from './fences.js';
import { type Ran, runShell } from './programs.js';

export interface MachineOptions {
  /** An administrator's URL of PostgreSQL. */
  readonly databaseUrl: string;
  /** The name of the database and of its role, which no other test uses. */
  readonly name: string;
  /** Addresses and ids of the pages, and what stands for them here. */
  readonly replaced: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The machine of an operator who works through the pages: a folder in place of `/`, with a real nginx, the clients of
 * PostgreSQL, and a `systemctl` that starts and ends processes as the unit of the page says.
 */
export class Machine {
  readonly #ports: Readonly<Record<string, string>>;
  #nginx: Daemon | null = null;

  private constructor(
    private readonly root: string,
    private readonly options: MachineOptions,
    [first, second, front]: readonly [number, number, number],
  ) {
    this.#ports = { first: `${first}`, second: `${second}`, front: `${front}` };
  }

  static async make(options: MachineOptions): Promise<Machine> {
    const root = await mkdtemp(join(tmpdir(), 'mediagraph-operator-'));
    const machine = new Machine(root, options, [await freePort(), await freePort(), await freePort()]);
    const folders = [
      'bin',
      'run',
      'tmp',
      'etc/mediagraph',
      'etc/nginx/conf.d',
      'var/lib/mediagraph',
      'srv/mediagraph/blobs',
    ];
    for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
    await machine.#program('mediagraph', `exec ${quoted(process.execPath)} ${quoted(programFile())} "$@"`);
    await machine.#program(
      'nginx',
      `exec "$(PATH=$SYSTEM_PATH command -v nginx)" -p ${root} -c ${root}/nginx.conf "$@"`,
    );
    await machine.#program('systemctl', SYSTEMCTL);
    await machine.#embeddedServer();
    await machine.#startNginx();
    return machine;
  }

  /** Writes the file that a fence is the content of. */
  async write({ text, words: [, path = ''] }: Fence): Promise<void> {
    const target = this.here(path);
    await mkdir(dirname(target), { recursive: true });
    // The emulators are on the loopback interface, which no provider may name otherwise.
    const network = path.endsWith('.yaml') ? '\nnetwork: { allowPrivate: [127.0.0.0/8] }\n' : '';
    await writeFile(target, this.here(text) + network);
  }

  /** Runs commands as the pages show them. Variables stay for the next ones. */
  async run(text: string): Promise<Ran> {
    const state = join(this.root, 'state');
    const script = `set -a; if [ -f ${state} ]; then . ${state}; fi\n${this.here(text)}\nexport -p > ${state}`;
    return runShell(script, this.#environment());
  }

  /** A text of the pages with the paths, ports and names of this machine. */
  here(text: string): string {
    const { name, replaced } = this.options;
    const { first = '', second = '', front = '' } = this.#ports;
    const server = new URL(this.options.databaseUrl);
    const known = {
      ...replaced,
      '--owner=mediagraph mediagraph': `--owner=${name} ${name}`,
      '@127.0.0.1:5432/mediagraph': `@${server.hostname}:${server.port || '5432'}/${name}`,
      '4001': first,
      '4002': second,
      'listen 80;': `listen 127.0.0.1:${front};`,
      'http://127.0.0.1/': `http://127.0.0.1:${front}/`,
      'https://media.example.com': `http://127.0.0.1:${front}`,
    };
    return Object.entries(known)
      .reduce((sofar, [there, here]) => sofar.replaceAll(there, here), text)
      .replace(/(role |--dbname=|dropdb (?:--if-exists )?|postgres:\/\/|s#|#)mediagraph(_b)?\b/g, `$1${name}$2`)
      .replace(/^mediagraph_b$/m, `${name}_b`)
      .replace(/(?<![\w.:/}])\/(etc|var|srv|tmp)(?=\/)/g, `${this.root}/$1`);
  }

  async close(): Promise<void> {
    const { name } = this.options;
    await this.run(`systemctl stop mediagraph@${this.#ports.first} mediagraph@${this.#ports.second}`);
    await this.run(`dropdb --if-exists --force ${name}`);
    for (const role of [`${name}_b`, name])
      await this.run(`psql --quiet --dbname=postgres --command='drop role if exists ${role}'`);
    await this.#nginx?.stop();
    await rm(this.root, { recursive: true, force: true });
  }

  #environment(): Readonly<Record<string, string>> {
    const { hostname, port, username, password } = new URL(this.options.databaseUrl);
    const path = process.env.PATH ?? '';
    const administrator = { PGHOST: hostname, PGPORT: port || '5432', PGUSER: username, PGPASSWORD: password };
    return {
      ...{ ...administrator, ROOT: this.root, SYSTEM_PATH: path, PATH: `${this.root}/bin:${path}` },
      ...this.options.env,
    };
  }

  async #program(name: string, script: string): Promise<void> {
    const path = join(this.root, 'bin', name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }

  /** The server of "The embedded database", which is not running. */
  async #embeddedServer(): Promise<void> {
    const place = join(this.root, 'srv', 'mediagraph');
    await copyTemplate(join(place, 'catalog'));
    const config = { database: { url: `pglite:${place}/catalog` }, storage: { root: `${place}/blobs` }, channels: [] };
    await writeFile(join(this.root, 'etc/mediagraph/embedded.yaml'), JSON.stringify(config));
  }

  async #startNginx(): Promise<void> {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${this.root}/tmp/${name};`,
    );
    await writeFile(
      join(this.root, 'nginx.conf'),
      `${process.getuid?.() === 0 ? 'user root;' : ''}
      worker_processes 1; pid ${this.root}/nginx.pid; error_log ${this.root}/error.log; events {}
      http { ${temporary.join(' ')} access_log off; include ${this.root}/etc/nginx/conf.d/*.conf; }`,
    );
    const args = ['-p', this.root, '-c', join(this.root, 'nginx.conf'), '-g', 'daemon off;'];
    const hasPid = () =>
      readFile(join(this.root, 'nginx.pid'), 'utf8').then(
        (pid) => pid.trim() !== '',
        () => false,
      );
    this.#nginx = await Daemon.start('nginx', args, hasPid);
  }
}

/** What systemd does with the template of the page, for `start`, `stop`, `restart`, `reload` and `kill`. */
const SYSTEMCTL = `
action=$1; shift
signal=TERM; units=
for word; do case $word in --signal=*) signal=\${word#--signal=};; *) units="$units $word";; esac; done
alive() { [ -f "$1" ] && grep -qv '^[^)]*) Z' "/proc/$(cat "$1")/stat" 2>/dev/null; }
for unit in $units; do
  port=\${unit#*@}; pid=$ROOT/run/$port.pid
  case $action in stop|restart|kill)
    if alive "$pid"; then kill -s "$signal" "$(cat "$pid")"; while alive "$pid"; do sleep 0.1; done; fi;;
  reload) kill -s HUP "$(cat "$pid")";;
  esac
  case $action in start|restart)
    command=$(sed -n "s/^ExecStart=//p" "$ROOT/etc/systemd/system/mediagraph@.service" | sed "s/%i/$port/g")
    (set -a; . "$ROOT/etc/mediagraph/environment"; exec sh -c "exec $command" >>"$ROOT/run/$port.log" 2>&1 </dev/null) &
    echo $! > "$pid";;
  esac
done`;

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\\\''")}'`;
}
