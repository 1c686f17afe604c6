import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { checkConfig } from '../../../src/cli/check-config.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const DEPLOY = `${ROOT}deploy/`;
export const VERSION: string = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).version;

export function textOf(file: string): string {
  return readFileSync(DEPLOY + file, 'utf8');
}

/** The documents of a YAML file below `deploy/`, with anchors and merge keys as Compose and kubectl read them. */
export function documentsOf(file: string): unknown[] {
  return parseAllDocuments(textOf(file), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`expected YAML in ${file}, got: ${document.errors[0]?.message}`);
    return document.toJS();
  });
}

/** What `mediagraph check-config` says about a file below `deploy/`, with its exit status. */
export async function checked(file: string, env: Readonly<Record<string, string>>): Promise<[number, string]> {
  const printed: string[] = [];
  const out = { write: (text: string) => printed.push(text) };
  const status = await checkConfig({ file: DEPLOY + file, env, print: false, stdout: out, stderr: out });
  return [status, printed.join('')];
}

/** The names of the variables in a text, with the rest of each: `:-default`, `:?message` or nothing. */
export function variablesOf(text: string): Array<[name: string, rest: string]> {
  const lines = text.split('\n').filter((line) => !line.trim().startsWith('#'));
  const found = lines.join('\n').matchAll(/\$\{([A-Z][A-Z0-9_]*)([^}]*)\}/g);
  return [...found].map(([, name = '', rest = '']) => [name, rest]);
}
