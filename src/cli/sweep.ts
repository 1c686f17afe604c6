import { MediaDeletion } from '../media/delete.js';
import { sweep } from '../media/sweep.js';
import { OriginPools } from '../net/origin-pools.js';
import { connectChannels } from '../providers/connect-channels.js';
import { type StoresCommand, withStores } from './with-stores.js';

export interface SweepCommand extends StoresCommand {
  readonly dryRun: boolean;
  /** Blobs without a row that are younger are left alone. */
  readonly graceMs: number;
}

/** `mediagraph sweep`: one sweep now; prints what it did as one JSON line. Resolves to the exit status. */
export function sweepCommand({ dryRun, graceMs, ...command }: SweepCommand): Promise<number> {
  return withStores(command, async (stores, config, logger) => {
    // A deletion that a crash interrupted goes on at its provider.
    const pools = new OriginPools();
    const providers = connectChannels(config, pools, stores.quotas);
    try {
      const deletion = new MediaDeletion({ channels: providers.directory, ...stores, logger });
      const report = await sweep({ ...stores, deletion, graceMs, dryRun });
      command.stdout.write(`${JSON.stringify({ dryRun, ...report })}\n`);
    } finally {
      await Promise.all([providers.close(), pools.close()]);
    }
  });
}
