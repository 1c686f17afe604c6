import { execFile } from 'node:child_process';
import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Packages are installed only where the registry may be asked. */
export const mayInstall = process.env.TEST_REGISTRY === '1';

/** What a parent npm tells the scripts that it runs, which would make another npm act on the parent's project. */
const OF_PARENT =
  /^(npm_(package|lifecycle|command|execpath|node_execpath)|npm_config_local_prefix|INIT_CWD|NODE_OPTIONS|NODE_ENV|JEST_)/;

/** The environment of a shell in which nothing runs yet, but for npm's settings. */
export function plainEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => !OF_PARENT.test(name));
  const env = Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return {
    ...env,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_prefer_offline: 'true',
  };
}

/** Runs a command of a shell. Resolves with what it printed. @throws Error with its output when it fails */
export async function runIn(folder: string, command: string): Promise<string> {
  const options = { cwd: folder, env: plainEnvironment(), maxBuffer: 64 * 1024 * 1024 };
  return (await promisify(execFile)('sh', ['-c', command], options)).stdout;
}

/** What `npm ci` would install, without the minute that it takes: links to the packages of this repository. */
export async function linkModules(folder: string): Promise<void> {
  const from = join(ROOT, 'node_modules');
  const names = (await readdir(from)).filter((name) => name === '.bin' || !name.startsWith('.'));
  await Promise.all(names.map((name) => symlink(join(from, name), join(folder, name))));
}
