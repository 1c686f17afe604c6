import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const FILE = 'mediagraph.lock';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** The start time of the process from its system, because process ids are reused; null if it cannot be read. */
  readonly birth: string | null;
}

/**
 * Permits one process per folder. PGlite does not lock its folder, and writes of a second process are lost. The calls
 * are synchronous, to keep the time between the creation of the file and its content short.
 */
export class FolderLock {
  private constructor(
    private readonly path: string,
    private readonly content: string,
  ) {}

  /**
   * Takes the lock, also from a dead owner.
   * @throws Error that names a live owner
   */
  static take(folder: string): FolderLock {
    const path = join(folder, FILE);
    const owner: Owner = { pid: process.pid, host: hostname(), birth: birthOf(process.pid) };
    const content = JSON.stringify(owner);
    while (!created(path, content)) removeDead(path, folder);
    return new FolderLock(path, content);
  }

  /** Whether a process has the lock, as far as can be known here. It changes nothing. */
  static isHeld(folder: string): boolean {
    const content = contentOf(join(folder, FILE));
    return content !== null && isHeldBy(parseOwner(content));
  }

  /** Releases the lock. Repeated calls have no effect. */
  release(): void {
    if (contentOf(this.path) === this.content) unlinkSync(this.path);
  }
}

function created(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' });
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/**
 * Renames the file before deleting it, so that a file that another process has created meanwhile is detected and
 * restored.
 */
function removeDead(path: string, folder: string): void {
  const content = contentOf(path);
  if (content === null) return;
  const owner = parseOwner(content);
  if (isHeldBy(owner)) throw refusal(folder, owner);
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return;
    throw thrown;
  }
  const moved = contentOf(aside);
  if (moved !== content) linkSync(aside, path);
  unlinkSync(aside);
}

/** The owner of an unreadable lock, and one on another host, may be alive. */
function isHeldBy(owner: Owner | null): boolean {
  return owner === null || owner.host !== hostname() || isAlive(owner);
}

function refusal(folder: string, owner: Owner | null): Error {
  const by = owner === null ? 'an unknown process' : `process ${owner.pid} on ${owner.host}`;
  const hint = owner?.host === hostname() ? '' : `; if that process is gone, delete ${FILE} in it`;
  return new Error(`the database folder ${folder} is open in ${by}, and only one process can use it${hint}`);
}

function isAlive({ pid, birth }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: the process exists and belongs to another user.
    return codeOf(thrown) !== 'ESRCH';
  }
  return birth === null || birthOf(pid) === birth;
}

/** Linux: the state and the start time in /proc/PID/stat (proc(5)). Null for a zombie, and on other systems. */
function birthOf(pid: number): string | null {
  const stat = contentOf(`/proc/${pid}/stat`) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : (fields[19] ?? null);
}

function parseOwner(content: string): Owner | null {
  try {
    const parsed: unknown = JSON.parse(content);
    return isOwner(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isSafeInteger(value.pid) &&
    'host' in value &&
    typeof value.host === 'string' &&
    'birth' in value &&
    (value.birth === null || typeof value.birth === 'string')
  );
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ESRCH') return null;
    throw thrown;
  }
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : null;
}
