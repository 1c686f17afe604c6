import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs an ES module in a process of its own, since some libraries do not load in the test runner. @returns its output */
export async function outputOf(script: string, nodeArgs: readonly string[] = []): Promise<string> {
  const args = [...nodeArgs, '--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return stdout.trim();
}
