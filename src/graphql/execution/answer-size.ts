import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FormattedExecutionResult } from 'graphql';

/** The bytes of a character that JSON escapes. */
const MOST_BYTES_PER_CHARACTER = 6;
/** The bytes of a value that is not text. */
const MOST_BYTES_PER_VALUE = 25;
/** Values that are measured before the event loop runs other work. */
const VALUES_PER_TURN = 50_000;
/** Items of a list that are serialized before the event loop runs other work. */
const ITEMS_PER_TURN = 1_000;

/** Whether an answer as JSON is longer than `maxBytes`. It is measured exactly only if an upper bound is longer. */
export async function isLongerThan(result: FormattedExecutionResult, maxBytes: number): Promise<boolean> {
  if (!mayBeLonger(result, maxBytes)) return false;
  let bytes = 0;
  let values = 0;
  for (const part of parts(result)) {
    bytes += part;
    values += 1;
    if (bytes > maxBytes) return true;
    if (values % VALUES_PER_TURN === 0) await nextTurn();
  }
  return false;
}

/** Compares an upper bound of the length, without serializing any value. */
function mayBeLonger(result: FormattedExecutionResult, maxBytes: number): boolean {
  let left = maxBytes;
  const measure = (value: unknown): void => {
    if (typeof value === 'string') left -= value.length * MOST_BYTES_PER_CHARACTER + 3;
    else if (typeof value !== 'object' || value === null) left -= MOST_BYTES_PER_VALUE;
    else if (Array.isArray(value)) {
      left -= 3;
      for (const item of value) {
        if (left < 0) return;
        measure(item);
      }
    } else {
      left -= 3;
      for (const name in value) {
        if (left < 0) return;
        left -= name.length * MOST_BYTES_PER_CHARACTER + 4;
        measure(Reflect.get(value, name));
      }
    }
  };
  measure(result);
  return left < 0;
}

/** The lengths of the parts of an answer as JSON. */
function* parts(value: unknown): Generator<number, void, void> {
  if (Array.isArray(value)) {
    yield Math.max(2, value.length + 1);
    for (const item of value) yield* parts(item);
  } else if (typeof value === 'object' && value !== null && !('toJSON' in value)) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    yield Math.max(2, entries.length + 1);
    for (const [name, member] of entries) {
      yield Buffer.byteLength(JSON.stringify(name)) + 1;
      yield* parts(member);
    }
  } else yield Buffer.byteLength(JSON.stringify(value) ?? 'null');
}

/**
 * Serializes an answer as JSON. Long lists at its top level, as routers request them, are serialized in turns, between
 * which the process serves other requests.
 */
export async function stringifyAnswer({ errors, data, extensions }: FormattedExecutionResult): Promise<string> {
  const isLong = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > ITEMS_PER_TURN;
  if (!isLong(errors) && !(data && Object.values(data).some(isLong)))
    return `${JSON.stringify({ errors, data, extensions })}\n`;
  const write = async (value: unknown): Promise<string> => {
    if (!isLong(value)) return JSON.stringify(value) ?? 'null';
    const pieces: string[] = [];
    for (let at = 0; at < value.length; at += ITEMS_PER_TURN) {
      pieces.push(JSON.stringify(value.slice(at, at + ITEMS_PER_TURN)).slice(1, -1));
      await nextTurn();
    }
    return `[${pieces.join(',')}]`;
  };
  const members: string[] = [];
  if (errors) members.push(`"errors":${await write(errors)}`);
  if (data) {
    const fields: string[] = [];
    for (const [name, value] of Object.entries(data)) {
      if (value !== undefined) fields.push(`${JSON.stringify(name)}:${await write(value)}`);
    }
    members.push(`"data":{${fields.join(',')}}`);
  } else if (data === null) members.push('"data":null');
  if (extensions) members.push(`"extensions":${JSON.stringify(extensions)}`);
  return `{${members.join(',')}}\n`;
}
