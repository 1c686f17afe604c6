import { openStores, type Stores } from '../app/stores.js';
import { type Config, ConfigError, type ConfigSource, loadConfig } from '../config/config.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { EXIT_BAD_CONFIG, formatFaults } from './check-config.js';

export interface StoresCommand extends ConfigSource {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Runs a command with the database and the blob store of a configuration. Resolves to the exit status. */
export function withStores(
  command: StoresCommand,
  run: (stores: Stores, config: Config, logger: Logger) => Promise<void>,
): Promise<number> {
  return withConfig(command, async (config, logger) => {
    const stores = await openStores(config, logger);
    try {
      await run(stores, config, logger);
    } finally {
      await stores.close();
    }
  });
}

/** Runs a command with a configuration. Resolves to the exit status. */
export async function withConfig(
  { stdout: _stdout, stderr, ...source }: StoresCommand,
  run: (config: Config, logger: Logger) => Promise<void>,
): Promise<number> {
  try {
    const config = await loadConfig(source);
    // Standard output is reserved for the command's result.
    const logger = createLogger({ level: config.log.level, destination: { write: (line) => void stderr.write(line) } });
    await run(config, logger);
    return 0;
  } catch (thrown) {
    if (thrown instanceof ConfigError) {
      stderr.write(formatFaults(thrown));
      return EXIT_BAD_CONFIG;
    }
    stderr.write(`mediagraph failed: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return 1;
  }
}
