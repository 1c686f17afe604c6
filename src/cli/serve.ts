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

/**
 * `mediagraph serve`: runs until SIGTERM or SIGINT, then drains. SIGHUP reloads the file; during the start it takes
 * effect when the server listens.
 */
export async function serve({ file, env, stdout, stderr }: ServeOptions): Promise<number> {
  const reloads = new Reloads();
  process.on('SIGHUP', reloads.request);
  try {
    const config = await loadConfig({ file, env });
    const logger = createLogger(config.log);
    const app = await startApp({ config, logger });
    const stopWatchdog = startWatchdog();
    stdout.write(`mediagraph listens at ${app.url}\n`);
    reloads.start(() => reloadConfig({ file, env }, app, logger));
    await untilSignal();
    await reloads.stop();
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
  } finally {
    process.off('SIGHUP', reloads.request);
  }
}

/** One reload at a time. Any number of signals during a reload cause one more, which reads the latest file. */
class Reloads {
  #reload: (() => Promise<void>) | null = null;
  #isRequested = false;
  #running: Promise<void> | null = null;

  readonly request = (): void => {
    this.#isRequested = true;
    if (this.#reload) this.#running ??= this.#run(this.#reload);
  };

  start(reload: () => Promise<void>): void {
    this.#reload = reload;
    if (this.#isRequested) this.request();
  }

  /** Resolves when no reload is in progress. Later signals have no effect. */
  async stop(): Promise<void> {
    this.#reload = null;
    this.#isRequested = false;
    await this.#running;
  }

  async #run(reload: () => Promise<void>): Promise<void> {
    while (this.#isRequested) {
      this.#isRequested = false;
      await reload();
    }
    this.#running = null;
  }
}

async function reloadConfig(
  source: { file?: string; env: NodeJS.ProcessEnv },
  app: App,
  logger: Logger,
): Promise<void> {
  try {
    await app.reload(await loadConfig(source));
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
