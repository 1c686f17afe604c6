import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FormattedExecutionResult } from 'graphql';

/** Of a character, where JSON escapes it. */
const MOST_BYTES_PER_CHARACTER = 6;
/** Of anything that is no text. */
const MOST_BYTES_PER_VALUE = 25;
/** Values that are looked at before others have their turn. */
const VALUES_PER_TURN = 50_000;
/** Items of a list that are written at once. */
const ITEMS_PER_TURN = 1_000;

/** Whether an answer as JSON is longer than so many bytes. Measured to the byte only where it may be. */
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

/** By the most that it can be. */
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

function* parts(value: unknown): Generator<number, void, void> {
  if (Array.isArray(value)) {
    yield Math.max(2, value.length + 1);
    for (const item of value) yield* parts(item);
  } else if (typeof value === 'object' && value !== null && !('toJSON' in value)) {
    const entries = Object.entries(value).filter(([, held]) => held !== undefined);
    yield Math.max(2, entries.length + 1);
    for (const [name, held] of entries) {
      yield Buffer.byteLength(JSON.stringify(name)) + 1;
      yield* parts(held);
    }
  } else yield Buffer.byteLength(JSON.stringify(value) ?? 'null');
}

/**
 * An answer as JSON. Lists at its top that are long, as routers ask for them, are written in turns, between which the
 * process serves others.
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
