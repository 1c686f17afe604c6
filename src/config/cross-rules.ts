import { z } from 'zod';
import { deliveryRules } from '../delivery/settings.js';
import { mirrorRules } from '../media/settings.js';
import { CHANNEL_PROVIDERS, channelFields, channelRules } from '../providers/settings.js';
import { DEFAULT_PORT, serverRules } from '../server/settings.js';
import { type Fault, isMapping, valueAt } from '../settings/faults.js';
import { listAt, type Rule } from '../settings/rules.js';
import { storageRules } from '../storage/settings.js';
import { check } from './check.js';
import type { Replaced } from './variables.js';

/** The faults of rules over several values: the rooms' own rules, and those that span rooms. */
export function crossFaults(replaced: Replaced): Fault[] {
  const rules = [
    ...channelRules,
    ...serverRules,
    ...deliveryRules,
    ...storageRules,
    ...mirrorRules,
    metricsOnTheServersPort,
  ];
  return [...rules.flatMap((rule) => rule(replaced.document)), ...channelsWithoutAdapter(replaced)];
}

const metricsOnTheServersPort: Rule = (document) => {
  const port = Number(valueAt(document, ['server', 'port']) ?? DEFAULT_PORT);
  const metricsPort = valueAt(document, ['metrics', 'port']) ?? null;
  if (metricsPort === null || port === 0 || Number(metricsPort) !== port) return [];
  return [{ path: 'metrics.port', message: "expected another port than the server's, or null to share it" }];
};

/** Checks the common keys of channels with an unknown provider, since no provider's schema applies to them. */
function channelsWithoutAdapter(replaced: Replaced): Fault[] {
  const commonKeys = z.looseObject(channelFields);
  return listAt(replaced.document, ['channels']).flatMap((channel, index) => {
    if (!isMapping(channel) || CHANNEL_PROVIDERS.has(channel.provider)) return [];
    // Paths start at the channel here, so they do not match the paths of values that came from the environment.
    const { faults } = check(commonKeys, { ...replaced, document: channel }, { showsValues: false });
    return (faults ?? []).map(({ path, message }) => ({ path: `channels[${index}].${path}`, message }));
  });
}
