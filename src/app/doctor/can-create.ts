import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { kindOf } from './check.js';

/** Whether a missing folder could be created: whether the nearest existing folder above it permits new entries. */
export async function canCreate(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      await access(at, constants.W_OK | constants.X_OK);
      return true;
    } catch (thrown) {
      if (kindOf(thrown) !== 'ENOENT' || at === dirname(at)) return false;
    }
  }
}
