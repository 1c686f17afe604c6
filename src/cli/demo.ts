import { startApp } from '../app/app.js';
import { parseConfig } from '../config/config.js';
import { createLogger } from '../telemetry/logger.js';
import { untilSignal } from './serve.js';

export interface DemoOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): void };
}

/** The name of the workspace `demo/` under `imports` of package.json. Builds of the server alone do not contain it. */
const DEMO = '#demo';

/** `DemoHost` in `demo/src/host.ts`. */
function demoHost({ env, stdout, stderr }: DemoOptions) {
  return {
    env,
    stdout,
    stderr,
    untilSignal,
    startServer: (document: object, { log, exampleVariables }: DemoServerOptions) =>
      startApp({
        config: parseConfig(document, { PATH: env.PATH }, 'the demo'),
        logger: createLogger({ level: 'warn', destination: log }),
        exampleVariables,
      }),
  };
}

interface DemoServerOptions {
  readonly log: { write(line: string): void };
  readonly exampleVariables: Readonly<Record<string, unknown>>;
}

/** `mediagraph demo`: runs without an account and without the Internet, until SIGINT or SIGTERM. Resolves to the exit status. */
export async function demo(options: DemoOptions): Promise<number> {
  const run = await loadDemo().catch((thrown: unknown) => {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_MODULE_NOT_FOUND')) throw thrown;
    options.stderr.write('this installation does not contain the demo; the npm package contains it\n');
    return null;
  });
  return run ? await run(demoHost(options)) : 1;
}

async function loadDemo(): Promise<(host: ReturnType<typeof demoHost>) => Promise<number>> {
  const module: { demo: (host: ReturnType<typeof demoHost>) => Promise<number> } = await import(DEMO);
  return module.demo;
}
