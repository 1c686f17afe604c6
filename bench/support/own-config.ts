import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { scratchFolder } from './child-processes.js';

/** A configuration with nothing but stores, a port, and no channel. */
export function writeConfig(databaseUrl: string, port: number): string {
  const folder = mkdtempSync(join(scratchFolder(), 'config-'));
  const file = join(folder, 'config.yaml');
  const storage = { driver: 'fs', root: join(folder, 'blobs') };
  writeFileSync(file, stringify({ server: { port }, database: { url: databaseUrl }, storage, channels: [] }));
  return file;
}
