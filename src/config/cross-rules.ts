import { z } from 'zod';
import { channelSettings } from '../providers/channel-schema.js';
import { channelFields } from '../providers/channel-settings.js';
import { check } from './check.js';
import { type Fault, formatPath, isMapping, valueAt } from './faults.js';
import { isLoopback } from './loopback.js';
import type { Replaced } from './variables.js';

/**
 * What no single value can tell. The rules read the document as it was given, not the checked result, so that they speak
 * even where something else is wrong; they stay silent about values that have a fault of their own.
 */
export function crossFaults(replaced: Replaced): Fault[] {
  const { document } = replaced;
  return [
    ...duplicates(document, ['channels'], 'id'),
    ...duplicates(document, ['auth', 'apiKeys'], 'sha256', (digest) => digest.toLowerCase()),
    ...duplicates(document, ['delivery', 'signingKeys'], 'id'),
    ...openOnTheNetwork(document),
    ...apiKeyModeWithoutKeys(document),
    ...metricsOnTheServersPort(document),
    ...s3WithoutBucket(document),
    ...boundToEverybody(document),
    ...channelsWithoutAdapter(replaced),
  ];
}

function duplicates(
  document: unknown,
  list: readonly string[],
  key: string,
  normalise = (value: string) => value,
): Fault[] {
  const first = new Map<string, string>();
  return listAt(document, list).flatMap((item, index) => {
    const value = valueAt(item, [key]);
    if (typeof value !== 'string' && typeof value !== 'number') {
      return [];
    }
    const path = formatPath([...list, index, key]);
    const seen = normalise(String(value));
    const earlier = first.get(seen);
    first.set(seen, earlier ?? path);
    return earlier === undefined ? [] : [{ path, message: `the same as ${earlier}` }];
  });
}

function openOnTheNetwork(document: unknown): Fault[] {
  const mode = valueAt(document, ['auth', 'mode']) ?? 'none';
  const allowOpen = String(valueAt(document, ['auth', 'allowOpen'])) === 'true';
  const host = valueAt(document, ['server', 'host']) ?? '127.0.0.1';
  if (mode !== 'none' || allowOpen || typeof host !== 'string' || isLoopback(host)) {
    return [];
  }
  const message =
    'none lets everybody in, and server.host is not a loopback address; use apiKey, or set auth.allowOpen: true';
  return [{ path: 'auth.mode', message }];
}

function apiKeyModeWithoutKeys(document: unknown): Fault[] {
  const keys = valueAt(document, ['auth', 'apiKeys']) ?? [];
  const needed = valueAt(document, ['auth', 'mode']) === 'apiKey' && Array.isArray(keys) && keys.length === 0;
  return needed ? [{ path: 'auth.apiKeys', message: 'auth.mode apiKey needs at least one key' }] : [];
}

function metricsOnTheServersPort(document: unknown): Fault[] {
  const port = Number(valueAt(document, ['server', 'port']) ?? 4000);
  const metricsPort = valueAt(document, ['metrics', 'port']) ?? null;
  const same = metricsPort !== null && port !== 0 && Number(metricsPort) === port;
  return same
    ? [{ path: 'metrics.port', message: "expected another port than the server's, or null to share it" }]
    : [];
}

function s3WithoutBucket(document: unknown): Fault[] {
  const s3 = valueAt(document, ['storage', 's3']) ?? null;
  const needed = valueAt(document, ['storage', 'driver']) === 's3' && s3 === null;
  return needed ? [{ path: 'storage.s3', message: 'storage.driver s3 needs at least a bucket' }] : [];
}

function boundToEverybody(document: unknown): Fault[] {
  const given = valueAt(document, ['delivery', 'allowedOrigins']) ?? ['*'];
  const lists = Array.isArray(given) ? [given] : isMapping(given) ? Object.values(given) : [];
  const bound = String(valueAt(document, ['delivery', 'bindToOrigins'])) === 'true';
  const open = lists.some((list) => Array.isArray(list) && list.includes('*'));
  const message = 'links can be bound to origins that are named only; delivery.allowedOrigins holds "*"';
  return bound && open ? [{ path: 'delivery.bindToOrigins', message }] : [];
}

/** The common keys of channels whose provider is not known or not available, which no provider's schema looks at. */
function channelsWithoutAdapter(replaced: Replaced): Fault[] {
  const adapters = new Set<unknown>(channelSettings.options.map((option) => option.shape.provider.value));
  const commonKeys = z.looseObject(channelFields);
  return listAt(replaced.document, ['channels']).flatMap((channel, index) => {
    if (!isMapping(channel) || adapters.has(channel.provider)) {
      return [];
    }
    const { faults } = check(commonKeys, { ...replaced, document: channel });
    return (faults ?? []).map(({ path, message }) => ({ path: `channels[${index}].${path}`, message }));
  });
}

function listAt(document: unknown, path: readonly string[]): readonly unknown[] {
  const list = valueAt(document, path);
  return Array.isArray(list) ? list : [];
}
