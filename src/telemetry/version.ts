import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** This package's manifest: two levels above this file in `src/` as well as in `dist/`. */
const MANIFEST = new URL('../../package.json', import.meta.url);

/** The version of this package. */
export function packageVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(MANIFEST, 'utf8'))).version;
}
