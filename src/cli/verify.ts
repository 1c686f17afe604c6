import { once } from 'node:events';
import { verifyStores } from '../app/verification.js';
import type { Finding } from '../media/verify/finding.js';
import { CHANNEL_ID_PATTERN } from '../model/channel.js';
import { EXIT_BAD_CONFIG } from './check-config.js';
import { type StoresCommand, withConfig } from './with-stores.js';

export interface VerifyCommand extends StoresCommand {
  readonly repair: boolean;
  readonly digests: boolean;
  readonly storeLost: boolean;
  readonly json: boolean;
  /** As it was typed. Undefined: all channels. */
  readonly channel?: string;
  readonly graceMs: number;
}

const EXIT_REMAINING = 1;

/**
 * `mediagraph verify`: compares rows and blobs and prints a line for each finding. Resolves to the exit status: 2 for faulty
 * arguments or a faulty configuration, 1 where findings remain, bytes are lost, or the comparison failed.
 */
export async function verifyCommand({ json, channel, ...command }: VerifyCommand): Promise<number> {
  if (channel !== undefined && !CHANNEL_ID_PATTERN.test(channel)) {
    command.stderr.write(`error: expected the id of a channel, got ${JSON.stringify(channel)}\n`);
    return EXIT_BAD_CONFIG;
  }
  const { stdout, stderr, file, env, ...how } = command;
  const counts = { media: 0, found: 0, remaining: 0, lost: 0 };
  const status = await withConfig({ stdout, stderr, file, env }, async (config, logger) => {
    const onCompared = (media: number) => {
      counts.media += media;
    };
    for await (const finding of verifyStores({ config, logger, channelId: channel ?? null, onCompared, ...how })) {
      counts.found += 1;
      if (finding.outcome === 'none') counts.remaining += 1;
      if (finding.outcome === 'failed' || finding.outcome === 'expired') counts.lost += 1;
      await print(stdout, json ? JSON.stringify(finding) : formatFinding(finding));
    }
    if (!json) await print(stdout, summaryOf(counts));
  });
  return status === 0 && counts.remaining + counts.lost > 0 ? EXIT_REMAINING : status;
}

function formatFinding({ problem, id, channelId, key, message }: Finding): string {
  return `${problem.padEnd(10)}  ${channelId ?? '-'}  ${id}  ${key ?? '-'}  ${message}`;
}

function summaryOf({
  media,
  found,
  remaining,
  lost,
}: Record<'media' | 'found' | 'remaining' | 'lost', number>): string {
  return `${media} stored media compared: ${found} findings, ${remaining} remain, ${lost} media lost`;
}

/** A reader may be slower than the comparison, and there may be millions of findings. */
async function print(stdout: StoresCommand['stdout'], line: string): Promise<void> {
  if (stdout.write(`${line}\n`) === false && stdout === process.stdout) await once(process.stdout, 'drain');
}
