import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Every file below a folder, half-written ones included. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
