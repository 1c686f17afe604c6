import { z } from 'zod';
import { type Fault, formatPath, isMapping, valueAt } from '../settings/faults.js';
import { faultMarksAt } from './fault-marks.js';
import { nearestWord } from './nearest-word.js';
import type { Replaced } from './variables.js';

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  number: 'a number',
};

export type Checked<T> =
  | { readonly value: T; readonly faults: null }
  | { readonly value: null; readonly faults: readonly Fault[] };

export interface CheckOptions {
  /** false: no fault quotes a value. */
  readonly showsValues?: boolean;
}

/** Parses a document with a schema and returns all of its faults, worded for the operator. */
export function check<S extends z.ZodType>(
  schema: S,
  replaced: Replaced,
  { showsValues = true }: CheckOptions = {},
): Checked<z.output<S>> {
  const knownKeys = new Map<string, readonly string[]>();
  const result = schema.safeParse(replaced.document, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject) {
        knownKeys.set(formatPath(issue.path ?? []), Object.keys(issue.inst.shape));
      }
      return wording(issue);
    },
  });
  if (result.success) {
    return { value: result.data, faults: null };
  }
  const faults = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => {
          const { keysMayBeSecrets } = faultMarksAt(schema, issue.path);
          const known = knownKeys.get(formatPath(issue.path)) ?? [];
          return unknownKey([...issue.path, key], { known, keysMayBeSecrets }, replaced);
        })
      : [wrongValue(issue, showsValues && faultMarksAt(schema, issue.path).isShown, replaced)],
  );
  return { value: null, faults };
}

function wording(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${TYPE_WORDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(' or ')}`;
    default:
      return undefined;
  }
}

interface ParentOfKey {
  readonly known: readonly string[];
  readonly keysMayBeSecrets: boolean;
}

function unknownKey(
  path: readonly PropertyKey[],
  { known, keysMayBeSecrets }: ParentOfKey,
  { document }: Replaced,
): Fault {
  const key = String(path.at(-1));
  const isPlainName = /^[A-Za-z]{1,24}$/.test(key) && valueAt(document, path) !== null;
  if (keysMayBeSecrets && !isPlainName) {
    return { path: formatPath(path.slice(0, -1)), message: `unknown key; expected ${known.join(', ')}` };
  }
  const nearest = nearestWord(key, known);
  return {
    path: formatPath(path),
    message: nearest ? `unknown key; did you mean ${nearest}?` : `unknown key; expected ${known.join(', ')}`,
  };
}

function wrongValue(issue: z.core.$ZodIssue, isShown: boolean, { document, fromEnvironment }: Replaced): Fault {
  const path = formatPath(issue.path);
  const value = valueAt(document, issue.path);
  if (!issue.message.startsWith('expected')) {
    return { path, message: issue.message };
  }
  if (value === undefined) {
    return { path, message: `missing; ${issue.message}` };
  }
  const description = describe(value, isShown && !fromEnvironment.has(path));
  return { path, message: description ? `${issue.message}, got ${description}` : issue.message };
}

/** The kind of a value where that says enough, or the value itself if it may be shown. */
function describe(value: unknown, shown: boolean): string | null {
  if (value === null) {
    return 'null';
  }
  if (Array.isArray(value)) {
    return 'a list';
  }
  if (isMapping(value)) {
    return 'a mapping';
  }
  return shown ? JSON.stringify(value).slice(0, 80) : null;
}
