// @ts-check
/*
 * The files of an embedded database that is empty and up to date, which `npm run build` makes by the migrations
 * (`build/template.js`). A new folder is a copy of them, since to make them anew takes seconds and hundreds of megabytes.
 * Plain JavaScript, because the thread of the engine loads it.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { gunzipSync, gzipSync } from 'node:zlib';
import { TEMPLATE_DIGEST } from './template-digest.js';

/**
 * @typedef {object} Template
 * @property {readonly string[]} folders parents first
 * @property {ReadonlyArray<readonly [path: string, content: number]>} files
 * @property {readonly Uint8Array[]} contents many files of a database are equal
 */

/** @param {string} digest what the template was made by: the migrations and the engine */
export const templateName = (digest) => `template-${digest}.bin`;

/** @type {(template: Template) => Uint8Array} */
export const packTemplate = (template) => gzipSync(serialize(template), { level: 9 });

/**
 * Makes the folder if there is none. Without a template that these migrations made, or with one that cannot be read,
 * nothing happens, and the engine makes the folder. Either the whole folder is there afterwards, or none of it.
 * @param {string} folder
 */
export function copyTemplate(folder) {
  const partial = `${folder}.new`;
  rmSync(partial, { recursive: true, force: true });
  if (TEMPLATE_DIGEST === null || existsSync(folder)) return;
  try {
    unpackTemplate(readFileSync(new URL(`./${templateName(TEMPLATE_DIGEST)}`, import.meta.url)), partial);
    renameSync(partial, folder);
  } catch {
    rmSync(partial, { recursive: true, force: true });
  }
}

/**
 * @param {Uint8Array} packed
 * @param {string} folder does not exist yet; its parent does
 */
export function unpackTemplate(packed, folder) {
  /** @type {Template} */
  const { folders, files, contents } = deserialize(gunzipSync(packed));
  mkdirSync(folder, { mode: 0o700 });
  for (const path of folders) mkdirSync(join(folder, path), { mode: 0o700 });
  for (const [path, content] of files) writeFileSync(join(folder, path), contents[content] ?? '', { mode: 0o600 });
}
