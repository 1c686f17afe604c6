import type { Stats } from 'node:fs';
import { chmod, type FileHandle, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What the files and folders of a store may be used for, as the bits of chmod(2). */
export interface Permissions {
  readonly file: number;
  readonly folder: number;
}

const ALL_BITS = 0o7777;

/**
 * Gives an open file or folder the permissions that it lacks, since the umask may have removed some at its creation. It
 * removes none, so that a set-group-ID bit stays, and does nothing on file systems that have fixed permissions.
 */
export async function addPermissions(handle: FileHandle, mode: number): Promise<void> {
  const missing = withMissing(await handle.stat(), mode);
  if (missing !== null) await handle.chmod(missing);
}

/** Creates a folder and those above it that are missing, with these permissions whatever the umask is. */
export async function createFolders(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let at = path; at.length >= first.length; at = dirname(at)) {
    const missing = withMissing(await stat(at), mode);
    if (missing !== null) await chmod(at, missing);
  }
}

/** Null: nothing is missing, or the system has no such permissions. */
function withMissing({ mode: present }: Stats, mode: number): number | null {
  if (process.platform === 'win32' || (present & mode) === mode) return null;
  return (present & ALL_BITS) | mode;
}
