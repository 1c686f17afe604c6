import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPLATE_VARIABLE } from './made-once.js';

/** Gives a folder the files of an empty embedded database, made by jest's global setup: making them anew takes seconds. */
export async function copyTemplate(folder: string): Promise<void> {
  const template = process.env[TEMPLATE_VARIABLE];
  if (template === undefined) throw new Error('expected the database template that the global setup makes');
  await cp(template, join(folder, 'pgdata'), { recursive: true });
}
