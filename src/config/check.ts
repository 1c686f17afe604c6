import { z } from 'zod';
import { type Fault, formatPath, isMapping, valueAt } from './faults.js';
import { nearestWord } from './nearest-word.js';
import type { Replaced } from './variables.js';

/** The only values that a fault may show: what stands elsewhere may be a secret, or be one by mistake. */
const SHOWN =
  /^(server\.(host|port|explorer|trustProxy)|(log|metrics|mirror|upload|network|retention|limits|federation|providers)\.\w.*|auth\.(mode|allowOpen)|auth\.apiKeys\[\d+\]\.scopes\[\d+\]|storage\.driver|delivery\.(urlTtl|visibility)|channels\[\d+\]\.(id|provider))$/;

/** Where a key may be a secret that was written without its name, such as `credentials: { s3cr3t }`. */
const SECRET_PARENT = /(credentials|webhook|signingKeys|apiKeys|jwt|s3|database)(\[\d+\])?$/;

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  number: 'a number',
};

export type Checked<T> =
  | { readonly value: T; readonly faults: null }
  | { readonly value: null; readonly faults: readonly Fault[] };

/** Holds a document against a schema; every fault is told at once, in words for whoever wrote the file. */
export function check<S extends z.ZodType>(schema: S, replaced: Replaced): Checked<z.output<S>> {
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
      ? issue.keys.map((key) => unknownKey(issue.path, key, knownKeys.get(formatPath(issue.path)) ?? [], replaced))
      : [wrongValue(issue, replaced)],
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

function unknownKey(
  parent: readonly PropertyKey[],
  key: string,
  known: readonly string[],
  { document }: Replaced,
): Fault {
  const path = [...parent, key];
  const named = /^[A-Za-z]{1,24}$/.test(key) && valueAt(document, path) !== null;
  if (SECRET_PARENT.test(formatPath(parent)) && !named) {
    return { path: formatPath(parent), message: `unknown key; expected ${known.join(', ')}` };
  }
  const near = nearestWord(key, known);
  return {
    path: formatPath(path),
    message: near ? `unknown key; did you mean ${near}?` : `unknown key; expected ${known.join(', ')}`,
  };
}

function wrongValue(issue: z.core.$ZodIssue, { document, fromEnvironment }: Replaced): Fault {
  const path = formatPath(issue.path);
  const value = valueAt(document, issue.path);
  if (!issue.message.startsWith('expected')) {
    return { path, message: issue.message };
  }
  if (value === undefined) {
    return { path, message: `missing; ${issue.message}` };
  }
  const came = describe(value, SHOWN.test(path) && !fromEnvironment.has(path));
  return { path, message: came ? `${issue.message}, got ${came}` : issue.message };
}

// Private: a value's kind where that says enough, the value itself only where it may be shown.
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
