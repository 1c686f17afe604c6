import type { ByteSpan } from '../../model/byte-range.js';

/** What a `Range` header comes to for a representation of known length. */
export type Selected = 'whole' | 'unsatisfiable' | ByteSpan;

/** More than any player asks for at once; RFC 9110 section 17.15 advises to ignore what only costs. */
const MAX_RANGES = 64;
const SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/;

/**
 * RFC 9110 section 14.2: a header that is malformed, or in another unit, is ignored. One satisfiable range is answered
 * with it; several are answered with the whole, which that section allows.
 */
export function selectRange(header: string | undefined, sizeBytes: number): Selected {
  const [, set] = /^bytes=(.*)$/i.exec(header ?? '') ?? [];
  if (set === undefined) return 'whole';
  const specs = set.split(',').map((spec) => withoutBlanks(spec));
  // Empty elements of a list count for nothing (section 5.6.1.2).
  const given = specs.filter((spec) => spec !== '');
  if (given.length === 0 || given.length > MAX_RANGES) return 'whole';
  const ranges: ByteSpan[] = [];
  for (const spec of given) {
    const range = resolve(spec, sizeBytes);
    if (range === 'malformed') return 'whole';
    if (range) ranges.push(range);
  }
  const [first, second] = ranges;
  if (!first) return 'unsatisfiable';
  return second ? 'whole' : first;
}

/** RFC 9110 section 5.6.3; other spaces are no part of the grammar. */
function withoutBlanks(spec: string): string {
  let start = 0;
  let end = spec.length;
  while (spec[start] === ' ' || spec[start] === '\t') start += 1;
  while (end > start && (spec[end - 1] === ' ' || spec[end - 1] === '\t')) end -= 1;
  return spec.slice(start, end);
}

/** null: unsatisfiable, section 14.1.2. Digits beyond any file's length are infinity, which compares as it should. */
function resolve(spec: string, sizeBytes: number): ByteSpan | 'malformed' | null {
  const [matched, first = '', last = '', suffix] = SPEC.exec(spec) ?? [];
  if (matched === undefined) return 'malformed';
  const end = sizeBytes - 1;
  if (suffix !== undefined) {
    const length = Number(suffix);
    return length === 0 || sizeBytes === 0 ? null : { start: Math.max(0, sizeBytes - length), end };
  }
  const start = Number(first);
  const asked = last === '' ? Number.POSITIVE_INFINITY : Number(last);
  if (asked < start) return 'malformed';
  return start > end ? null : { start, end: Math.min(asked, end) };
}
