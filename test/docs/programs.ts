import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Between the outputs of a page's examples. */
const MARK = '\u0000';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** A shell script; it ends at the first command that fails. */
export function runShell(script: string, env: Environment): Promise<Ran> {
  return run('sh', ['-eu', '-c', script], '', env);
}

/**
 * Examples that build upon each other, as one ES module, which finds the packages of this repository. One output for each
 * example. @throws Error with what the program wrote, when it failed
 */
export async function runModule(examples: readonly string[], env: Environment = {}): Promise<string[]> {
  const marked = examples.map((example) => `${example}\nprocess.stdout.write('\\u0000');\n`);
  // What a page leaves open, an idle connection above all, is not waited for.
  const program = `${PRELUDE}${marked.join('')}process.exit();`;
  const { status, stdout, stderr } = await run(process.execPath, ['--input-type=module'], program, env);
  if (status !== 0) throw new Error(`expected the examples to run, got status ${status}: ${stdout}${stderr}`);
  return stdout.split(MARK).slice(0, -1);
}

/** TypeScript or JSX as JavaScript. */
export function compiled(source: string): string {
  const react = { runtime: 'automatic' } as const;
  const parser = { syntax: 'typescript', tsx: true } as const;
  return transformSync(source, { jsc: { target: 'es2022', parser, transform: { react } }, module: { type: 'es6' } })
    .code;
}

// Browsers have a WebSocket; this version of Node has none.
const PRELUDE = "import { WebSocket as ws } from 'ws';\nglobalThis.WebSocket ??= ws;\n";

async function run(command: string, args: readonly string[], input: string, env: Environment): Promise<Ran> {
  const child = spawn(command, args, { cwd: ROOT, env: { PATH: process.env.PATH, ...env }, timeout: 60_000 });
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: typeof status === 'number' ? status : null, stdout, stderr };
}
