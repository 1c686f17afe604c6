import type { Fault } from '../settings/faults.js';

/** A configuration that cannot be used, with all of its faults. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(
    readonly faults: readonly Fault[],
    /** The name of the configuration in messages, such as its file. */
    readonly source: string,
    options?: { cause?: unknown },
  ) {
    super(`${source}: ${faults.map(({ path, message }) => `${path}: ${message}`).join('; ')}`, options);
  }
}
