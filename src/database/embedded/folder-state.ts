import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FolderLock } from './folder-lock.js';

/** The files of PostgreSQL in the folder of an embedded database. */
export const DATA_FOLDER = 'pgdata';

/** `absent`: the first start makes the database. `held`: another process has it open. */
export type FolderState = 'absent' | 'held' | 'free';

/** Looks at the folder of an embedded database and changes nothing. */
export function folderState(folder: string): FolderState {
  if (!existsSync(join(folder, DATA_FOLDER))) return 'absent';
  return FolderLock.isHeld(folder) ? 'held' : 'free';
}
