import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chown, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How programs are run that look at foreign bytes, so that they can reach neither this process nor its environment. */
export interface Confinement {
  /** Words in front of the command, each program by its full name. */
  readonly prefix: readonly string[];
  /** Another user, where this process may take on another; null: the same. */
  readonly user: number | null;
}

const NONE: Confinement = { prefix: [], user: null };
/** Of util-linux; where an operator's own programs are looked for is of no account. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** No distribution gives this id to a service, and every container has it. */
const OTHER_USER = 65_533;
const ANSWER_WITHIN_MS = 5_000;

let found: Promise<Confinement> | undefined;

/** What this machine allows, tried out once for the process. */
export function findConfinement(): Promise<Confinement> {
  found ??= tryOut();
  return found;
}

/**
 * No new privileges (prctl(2), PR_SET_NO_NEW_PRIVS), and a user namespace of its own, from which /proc/PID/environ of a process outside cannot be read even by the same user (ptrace(2), "Ptrace
 * access mode checking": without a capability in the target's namespace), without a network where that can be had. Where
 * namespaces are forbidden and this is root, another user. Neither: as before, a process of the same user.
 */
async function tryOut(): Promise<Confinement> {
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

/** What a confined program leaves in its folder can be read here, and this process's environment cannot be read there. */
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

/** For `spawn`. */
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
