// @ts-check
/*
 * The sources as plain JavaScript, compiled once a run by jest's global setup: a process that a test starts is there in
 * half the time.
 */
import { cp, mkdir, mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** @returns the folder that holds them; `src/main.js` is what `node` runs */
export async function compileSources() {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-compiled-'));
  await Promise.all(['node_modules', 'assets', 'schema'].map((name) => symlink(join(ROOT, name), join(folder, name))));
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await cp(join(ROOT, 'demo/package.json'), join(folder, 'demo/package.json'));
  await Promise.all([compileFolder('src', join(folder, 'src')), compileFolder('demo/src', join(folder, 'demo/dist'))]);
  return folder;
}

/** @type {(name: string, target: string) => Promise<void>} */
async function compileFolder(name, target) {
  const source = join(ROOT, name);
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  await Promise.all(files.map((file) => compile(file, join(target, relative(source, file)))));
}

/** @type {(file: string, target: string) => Promise<void>} */
async function compile(file, target) {
  await mkdir(dirname(target), { recursive: true });
  if (!file.endsWith('.ts')) return cp(file, target);
  const { code } = await transformFile(file, { root: ROOT });
  await writeFile(target.replace(/\.ts$/, '.js'), code);
}
