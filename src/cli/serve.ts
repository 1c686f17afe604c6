import { type App, startApp } from '../app/app.js';
import { ConfigError, loadConfig } from '../config/config.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { startWatchdog } from '../telemetry/watchdog.js';
import { EXIT_BAD_CONFIG, formatFaults } from './check-config.js';

export interface ServeOptions {
  readonly file?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** `mediagraph serve`: runs until SIGTERM or SIGINT, then drains. SIGHUP reloads the API keys from the file. */
export async function serve({ file, env, stdout, stderr }: ServeOptions): Promise<number> {
  try {
    const config = await loadConfig({ file, env });
    const logger = createLogger(config.log);
    const app = await startApp({ config, logger });
    const stopWatchdog = startWatchdog();
    stdout.write(`mediagraph listens at ${app.url}\n`);
    const reload = () => void reloadConfig({ file, env }, app, logger);
    process.on('SIGHUP', reload);
    await untilSignal();
    process.off('SIGHUP', reload);
    await app.close();
    await stopWatchdog();
    return 0;
  } catch (thrown) {
    if (thrown instanceof ConfigError) {
      stderr.write(formatFaults(thrown));
      return EXIT_BAD_CONFIG;
    }
    stderr.write(`mediagraph could not start: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  }
}

async function reloadConfig(
  source: { file?: string; env: NodeJS.ProcessEnv },
  app: App,
  logger: Logger,
): Promise<void> {
  try {
    app.reload(await loadConfig(source));
    logger.info('the API keys were reloaded');
  } catch (thrown) {
    const faults = thrown instanceof ConfigError ? thrown.faults : undefined;
    logger.error(
      { err: faults ? undefined : thrown, faults },
      'the configuration could not be reloaded; the previous one stays in force',
    );
  }
}

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.off('SIGTERM', stop).off('SIGINT', stop);
      resolve();
    };
    process.on('SIGTERM', stop).on('SIGINT', stop);
  });
}
