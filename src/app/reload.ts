import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.js';
import type { ChannelChanges } from '../providers/connect-channels.js';
import type { Parts } from './parts.js';
import { retentionTimes } from './tenant-limits.js';

/** The sections that a reload applies. All others need a restart. */
const RELOADED: ReadonlySet<string> = new Set(['channels', 'auth', 'tenants'] satisfies Array<keyof Config>);
/** What the loader adds to the sections of the file. */
const ADDED: ReadonlySet<string> = new Set(['withoutEffect', 'production', 'toolsPath'] satisfies Array<keyof Config>);

/**
 * Applies the settings that can change at run time: channels, API keys, the settings of tokens and those of tenants. It
 * also clears what this process remembers of media. Resolves when all of it is in force, within seconds.
 */
export async function reload(parts: Parts, next: Config): Promise<void> {
  const { config, providers, metrics, bytes, lookup, retention, limits, authentication, logger } = parts;
  const channels = providers.replace(next.channels);
  metrics.setChannels(providers.settings());
  limits.replace(next.tenants);
  retention.replace(retentionTimes({ ...config, tenants: next.tenants }));
  bytes.rows.clear();
  lookup.forget();
  await Promise.all([authentication.apply(next.auth), resumeJobs(parts, channels)]);
  logger.info({ channels }, 'the configuration was reloaded');
  const restart = needRestart(config, next);
  if (restart.length > 0) logger.warn({ sections: restart }, 'changes of these sections take effect after a restart');
}

/** Jobs that failed before may succeed with other settings, and those of channels that came back have waited. */
async function resumeJobs({ providers, stores, jobs, logger }: Parts, changes: ChannelChanges): Promise<void> {
  const ids = new Set([...changes.added, ...changes.changed]);
  try {
    await stores.jobs.hasten(providers.settings().filter(({ id }) => ids.has(id)));
  } catch (err) {
    logger.warn({ err }, 'waiting jobs of changed channels could not be made due; they keep their times');
  }
  jobs.channelsChanged();
}

/** The sections that differ from those that the process started with, except the reloaded ones. */
function needRestart(config: Config, next: Config): string[] {
  const names = Object.keys(config) as Array<keyof Config>;
  const sections = names.filter(
    (name) => !RELOADED.has(name) && !ADDED.has(name) && !isDeepStrictEqual(config[name], next[name]),
  );
  const opens = (config.auth.mode === 'none') !== (next.auth.mode === 'none');
  return opens ? [...sections, 'auth.mode'] : sections;
}
