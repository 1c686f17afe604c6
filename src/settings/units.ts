import { z } from 'zod';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** The unit of a parsed value. */
export type Unit = 'ms' | 'bytes' | 'mode';

const WRITTEN_UNITS: Readonly<Record<'ms' | 'bytes', ReadonlyArray<readonly [string, number]>>> = {
  ms: [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ],
  bytes: [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ],
};

/** A parsed value in the form that a file has: 3,600,000 milliseconds as `1h`. */
export function asWritten(value: unknown, unit: Unit | undefined): unknown {
  if (unit === undefined || typeof value !== 'number' || value === 0) return value;
  if (unit === 'mode') return `0${value.toString(8)}`;
  const [name, size] = WRITTEN_UNITS[unit].find(([, one]) => value % one === 0) ?? ['', 1];
  return name === '' ? value : `${value / size}${name}`;
}

export const DAY_MS = 86_400_000;
/** Node stores timer delays in 31 bits of milliseconds and fires longer ones at once, so no setting of a timer may exceed this. */
export const LONGEST_TIMER_MS = 24 * DAY_MS;

/** Parses `500ms`, `10s`, `1.5h`, `30d` into milliseconds. Returns undefined for anything else, a bare number included. */
export function parseDuration(input: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(input.trim());
  const unitMs = UNIT_MS[match?.[2] ?? ''];
  return match && unitMs !== undefined ? Math.round(Number(match[1]) * unitMs) : undefined;
}

/** Parses `4096`, `100MB` (10^6), `64MiB` (2^20) into bytes. Returns undefined for anything else. */
export function parseBytes(input: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*((?:[kmgt]i?)?b)?$/i.exec(input.trim());
  const unitBytes = UNIT_BYTES[match?.[2]?.toLowerCase() ?? 'b'];
  return match && unitBytes !== undefined ? Math.round(Number(match[1]) * unitBytes) : undefined;
}

/** A duration, written with its unit. The parsed value is in milliseconds. */
export function duration({ minMs, maxMs, example }: { minMs: number; maxMs: number; example: string }) {
  const read = (input: unknown) => (typeof input === 'string' ? parseDuration(input) : undefined);
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return setting(
    (input) => within(read(input), minMs, maxMs),
    `a duration with its unit, ${range}, such as ${example}`,
    'ms',
  );
}

/** A duration that becomes the delay of a timer. */
export function timer(example: string) {
  return duration({ minMs: 1, maxMs: LONGEST_TIMER_MS, example });
}

/** A size, written as a number of bytes or with a unit. The parsed value is in bytes. */
export function bytes({ min = 1, max }: { min?: 0 | 1; max?: number } = {}) {
  const most = max === undefined ? '' : ` and at most ${max} bytes`;
  return setting(
    (input) => within(parseBytes(numberAsText(input)), min, max ?? Number.MAX_SAFE_INTEGER),
    `a size of at least ${min === 0 ? '0 bytes' : 'one byte'}${most}, such as 100MB, 64MiB or 4096`,
    'bytes',
  );
}

function integer({ min, max, what }: { min: number; max: number; what: string }) {
  return setting((input) => {
    const digits = numberAsText(input).trim();
    return /^\d+$/.test(digits) ? within(Number(digits), min, max) : undefined;
  }, `${what} from ${min} to ${max}`);
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number) {
  return integer({ min, max, what: 'a whole number' });
}

/** A whole number above zero, for limits without a natural maximum. */
export function positive() {
  return wholeNumber(1, 1_000_000_000);
}

/** A TCP port. @param min 0 where the operating system may choose a free port */
export function port(min: 0 | 1) {
  return integer({ min, max: 65_535, what: 'a port' });
}

/**
 * The permissions of files or folders, written in octal as for `chmod`. YAML reads an unquoted 0640 as a number, which
 * the loader keeps as it is written. @param owner what the owner needs
 */
export function permissions({ owner, example }: { owner: { bits: number; words: string }; example: string }) {
  const read = (input: unknown) => {
    const [, digits] = /^(?:0o?)?([0-7]{3})$/.exec(numberAsText(input).trim()) ?? [];
    const mode = digits === undefined ? 0 : Number.parseInt(digits, 8);
    return (mode & owner.bits) === owner.bits && (mode & OTHERS_WRITE) === 0 ? mode : undefined;
  };
  const form = `permissions of three or four octal digits such as "${example}"`;
  return setting(read, `${form}, in which the owner may ${owner.words} and others may not write`, 'mode');
}

const OTHERS_WRITE = 0o002;

export function boolean() {
  return setting((input) => {
    const word = typeof input === 'boolean' ? String(input) : input;
    return word === 'true' ? true : word === 'false' ? false : undefined;
  }, 'true or false');
}

// A value may be text, since a replaced variable always is. The reference page (docs/generate.ts) prints `form`, and uses
// `unit` to print defaults as they are written in the file.
function setting<T extends number | boolean>(
  read: (input: unknown) => T | undefined,
  expected: string,
  unit?: 'ms' | 'bytes' | 'mode',
) {
  const schema = z.unknown().transform((input, context) => {
    const value = read(input);
    if (value === undefined) {
      context.addIssue({ code: 'custom', message: `expected ${expected}` });
      return z.NEVER;
    }
    return value;
  });
  return schema.meta({ form: expected, unit });
}

function numberAsText(input: unknown): string {
  return typeof input === 'number' || typeof input === 'string' ? String(input) : '';
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function formatDuration(ms: number): string {
  const [unit, unitMs] = Object.entries(UNIT_MS).findLast(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}
