import { z } from 'zod';

/** What the schema allows a fault at one path to show; `SHOWN_IN_FAULTS` and `KEYS_MAY_BE_SECRETS` in settings/section.ts. */
export interface FaultMarks {
  readonly isShown: boolean;
  readonly keysMayBeSecrets: boolean;
}

/** Follows a path through a schema and reads the marks on its way. */
export function faultMarksAt(schema: z.ZodType, path: readonly PropertyKey[]): FaultMarks {
  let level = unwrapped(schema);
  let isShown = false;
  for (const key of path) {
    isShown = markOf(level, 'shownInFaults') ?? isShown;
    level = level.flatMap((candidate) => childrenAt(candidate, key)).flatMap(unwrapped);
  }
  // The mark of a mapping holds for the values below it, not for a value that stands in its place.
  const isMapping = level.some((candidate) => candidate instanceof z.ZodObject);
  return {
    isShown: isMapping ? isShown : (markOf(level, 'shownInFaults') ?? isShown),
    keysMayBeSecrets: markOf(level, 'keysMayBeSecrets') ?? false,
  };
}

function markOf(level: readonly z.core.$ZodType[], name: 'shownInFaults' | 'keysMayBeSecrets'): boolean | undefined {
  for (const schema of level) {
    const mark = z.globalRegistry.get(schema)?.[name];
    if (typeof mark === 'boolean') return mark;
  }
  return undefined;
}

/** The schema itself and all that it wraps: defaults, transformations, variants. */
export function unwrapped(schema: z.core.$ZodType): z.core.$ZodType[] {
  return [schema, ...wrappedBy(schema).flatMap(unwrapped)];
}

function wrappedBy(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodPipe) return [schema.in, schema.out];
  if (schema instanceof z.ZodUnion) return schema.options;
  const isWrapper =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodReadonly;
  return isWrapper ? [schema.unwrap()] : [];
}

/** The schemas of the value under a key. */
export function childrenAt(schema: z.core.$ZodType, key: PropertyKey): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodArray) return [schema.element];
  if (schema instanceof z.ZodRecord) return [schema.valueType];
  if (!(schema instanceof z.ZodObject)) return [];
  const { shape } = schema;
  return Object.hasOwn(shape, key) ? [shape[String(key)]] : [];
}
