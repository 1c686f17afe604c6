import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chown, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How programs that parse untrusted bytes run, so that they cannot read this process or its environment. */
export interface Confinement {
  /** The words before the command. Programs in it have absolute paths. */
  readonly prefix: readonly string[];
  /** The user id to run as. Null: that of this process. */
  readonly user: number | null;
}

const NONE: Confinement = { prefix: [], user: null };
/** Where util-linux is installed. The configured search path is not used: it may hold other programs of these names. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** A user id that no distribution gives to a service, and that exists in every container. */
const OTHER_USER = 65_533;
const ANSWER_WITHIN_MS = 5_000;

let confinement: Promise<Confinement> | undefined;

/**
 * The strongest confinement that this machine allows. It is tried out once per process, since the machine does not
 * change.
 */
export function findConfinement(): Promise<Confinement> {
  confinement ??= tryCandidates();
  return confinement;
}

/**
 * The strongest candidate is no new privileges (prctl(2), PR_SET_NO_NEW_PRIVS) in a user namespace of its own, without
 * a network. From there even the same user cannot read /proc/PID/environ of a process outside, which takes a capability
 * in that process's namespace (ptrace(2), "Ptrace access mode checking"). Where namespaces are forbidden and this
 * process is root, the program runs as another user. Otherwise it runs as the same user, without new privileges if
 * possible.
 */
async function tryCandidates(): Promise<Confinement> {
  const [setpriv, unshare] = await Promise.all([programAt('setpriv'), programAt('unshare')]);
  const noPrivileges = setpriv === null ? [] : [setpriv, '--no-new-privs'];
  const inner = (await works({ prefix: noPrivileges, user: null })) ? noPrivileges : [];
  const candidates: Confinement[] = [
    ...(unshare === null
      ? []
      : [
          { prefix: [unshare, '--user', '--net', ...inner], user: null },
          { prefix: [unshare, '--user', ...inner], user: null },
        ]),
    ...(process.geteuid?.() === 0 ? [{ prefix: inner, user: OTHER_USER }] : []),
    { prefix: inner, user: null },
  ];
  for (const candidate of candidates) if (await works(candidate)) return candidate;
  return NONE;
}

/** Whether a confined program starts, reads its source, and writes a result that this process can read. */
async function works(confinement: Confinement): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-confined-'));
  try {
    await writeFile(join(folder, 'source'), 'seen', { mode: 0o600 });
    await handOver(folder, confinement);
    await handOver(join(folder, 'source'), confinement);
    const [command, ...args] = [
      ...confinement.prefix,
      '/bin/sh',
      '-c',
      'umask 022; read -r seen <source; echo "$seen" >made',
    ];
    const child = spawn(command ?? '', args, {
      ...spawnedAs(confinement),
      cwd: folder,
      env: {},
      stdio: 'ignore',
      timeout: ANSWER_WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    await once(child, 'close');
    return (await readFile(join(folder, 'made'), 'utf8')) === 'seen\n';
  } catch {
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Gives a file or folder to the user that a confined program runs as. */
export async function handOver(path: string, { user }: Confinement): Promise<void> {
  if (user !== null) await chown(path, user, process.getegid?.() ?? user);
}

/** The options of `spawn` for the confinement's user. */
export function spawnedAs({ user }: Confinement): { readonly uid?: number; readonly gid?: number } {
  return user === null ? {} : { uid: user, gid: user };
}

async function programAt(name: string): Promise<string | null> {
  for (const path of FOLDERS.map((folder) => join(folder, name))) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return null;
}
