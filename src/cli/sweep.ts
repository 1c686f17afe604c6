import { sweepOnce } from '../app/background.js';
import { type StoresCommand, withStores } from './with-stores.js';

export interface SweepCommand extends StoresCommand {
  readonly dryRun: boolean;
  /** Blobs without a row are deleted only when they are older. */
  readonly graceMs: number;
}

/** `mediagraph sweep`: sweeps once and prints a report as one JSON line. Resolves to the exit status. */
export function sweepCommand({ dryRun, graceMs, ...command }: SweepCommand): Promise<number> {
  return withStores(command, async (stores, config, logger) => {
    const report = await sweepOnce({ stores, config, logger, dryRun, graceMs });
    command.stdout.write(`${JSON.stringify({ dryRun, ...report })}\n`);
  });
}
