import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MAIN_VARIABLE } from './made-once.js';

const main = process.env[MAIN_VARIABLE];
if (main === undefined) throw new Error(`expected ${MAIN_VARIABLE}, which jest's global setup sets`);

/** In place of the module of this name: a thread has none of jest's loaders, and the compiled sources need none. */
export const INSPECTION_WORKER = pathToFileURL(join(main, '..', 'inspection', 'threads', 'worker.js'));
