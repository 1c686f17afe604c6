import { stringify } from 'yaml';
import { z } from 'zod';
import { isMapping } from '../settings/faults.js';
import { MASK, withoutSecrets } from '../settings/masked.js';
import { asWritten, type Unit } from '../settings/units.js';
import { childrenAt, unwrapped } from './fault-marks.js';
import { configSchema } from './schema.js';

/** Shorter values also occur by chance. */
const MIN_SECRET_LENGTH = 6;

type Level = readonly z.core.$ZodType[];

/**
 * Writes a valid document as YAML, with all defaults and with a mask in place of each secret. The keys, and the forms of
 * durations and sizes, are those of the file.
 */
export function printedConfig(document: unknown): string {
  const secrets = new Set<string>();
  const resolved = resolve(unwrapped(configSchema), document, secrets);
  // A line break in a long text would change it for readers that are no YAML parsers.
  // The longest first: a secret may contain a shorter one.
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  return stringify(masked(resolved, longestFirst), { lineWidth: 0 });
}

/** The value with its defaults. @param secrets receives each secret, which the result does not contain */
function resolve(level: Level, given: unknown, secrets: Set<string>): unknown {
  const value = given === undefined || (given === null && !isNullable(level)) ? defaultOf(level) : given;
  if (value === undefined || value === null) return value;
  if (metaOf(level, 'secret') === true) {
    if (typeof value === 'string' || typeof value === 'number') secrets.add(String(value));
    return MASK;
  }
  if (Array.isArray(value)) return value.map((item, index) => resolve(levelAt(level, index), item, secrets));
  if (!isMapping(value)) return value;
  const object = objectFor(level, value);
  const keys = object ? Object.keys(object.shape) : Object.keys(value);
  const entries = keys.map((key) => [key, resolve(levelAt(object ? [object] : level, key), value[key], secrets)]);
  return Object.fromEntries(entries.filter(([, resolved]) => resolved !== undefined));
}

function levelAt(level: Level, key: PropertyKey): Level {
  return level.flatMap((schema) => childrenAt(schema, key)).flatMap(unwrapped);
}

/** The mapping that describes the value: of several, the one whose literal keys it has. */
function objectFor(level: Level, value: Readonly<Record<string, unknown>>): z.ZodObject | undefined {
  const objects = level.filter((schema) => schema instanceof z.ZodObject);
  return objects.find(({ shape }) =>
    Object.entries(shape).every(([key, schema]) => !(schema instanceof z.ZodLiteral) || schema.value === value[key]),
  );
}

function isNullable(level: Level): boolean {
  return level.some((schema) => schema instanceof z.ZodNullable);
}

function defaultOf(level: Level): unknown {
  for (const schema of level) {
    if (schema instanceof z.ZodDefault) return asWritten(schema.def.defaultValue, unitOf(level));
    if (schema instanceof z.ZodPrefault) return schema.def.defaultValue;
  }
  return undefined;
}

function unitOf(level: Level): Unit | undefined {
  const unit = metaOf(level, 'unit');
  return unit === 'ms' || unit === 'bytes' || unit === 'mode' ? unit : undefined;
}

function metaOf(level: Level, name: 'secret' | 'unit'): unknown {
  for (const schema of level) {
    const value = z.globalRegistry.get(schema)?.[name];
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Masks the secrets that other values contain: those within URLs, and copies of the secrets. */
function masked(value: unknown, secrets: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(item, secrets));
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, masked(item, secrets)]));
  if (typeof value !== 'string') return value;
  let text = value;
  for (const secret of secrets) if (secret.length >= MIN_SECRET_LENGTH) text = text.replaceAll(secret, MASK);
  return withoutSecrets(text);
}
