// @ts-check
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The folder of the innermost package that a module is part of. */
const PACKAGE = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/;
const LICENCE = /^(licen[cs]e|copying|notice)/i;
/** Our files may contain copies under these alone. */
const PERMISSIVE = /^\(?(MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|Python-2\.0)\b/;

/**
 * Writes the licences of the bundled libraries beside the bundle, as most of them ask for.
 * @param {string} root
 * @returns {import('rolldown').Plugin}
 */
export function notices(root) {
  return {
    name: 'notices',
    async generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
      const folders = new Set(modules.flatMap((id) => PACKAGE.exec(id.replaceAll('\0', ''))?.[0] ?? []));
      folders.delete(join(root, 'node_modules/.cache'));
      const texts = await Promise.all([...folders].sort().map(noticeOf));
      this.emitFile({ type: 'asset', fileName: 'LIBRARIES.txt', source: texts.join(`\n${'='.repeat(80)}\n`) });
    },
  };
}

/**
 * Throws for a licence that is not permissive, which ends the build.
 * @param {string} folder
 */
async function noticeOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  if (!PERMISSIVE.test(license)) throw new Error(`expected a permissive licence of ${name}, got ${license}`);
  const files = (await readdir(folder)).filter((file) => LICENCE.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return `${[`${name} ${version} (${license})`, ...texts.map((text) => text.trim())].join('\n\n')}\n`;
}
