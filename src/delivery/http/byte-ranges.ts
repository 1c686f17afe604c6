import type { ByteSpan } from '../../model/byte-range.js';

/** What a `Range` header selects of a representation of known length. */
export type Selected = 'whole' | 'unsatisfiable' | ByteSpan;

/** More ranges than any player requests. RFC 9110 section 17.15 advises to ignore requests for too many. */
const MAX_RANGES = 64;
const SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/;

/**
 * Selects a range by RFC 9110 section 14.2. A malformed header, or one in another unit, is ignored. Several satisfiable
 * ranges select the whole, which that section allows.
 */
export function selectRange(header: string | undefined, sizeBytes: number): Selected {
  const [, set] = /^bytes=(.*)$/i.exec(header ?? '') ?? [];
  if (set === undefined) return 'whole';
  const specs = set.split(',').map((spec) => withoutBlanks(spec));
  // Empty elements of a list are ignored (section 5.6.1.2).
  const nonEmpty = specs.filter((spec) => spec !== '');
  if (nonEmpty.length === 0 || nonEmpty.length > MAX_RANGES) return 'whole';
  const ranges: ByteSpan[] = [];
  for (const spec of nonEmpty) {
    const range = resolve(spec, sizeBytes);
    if (range === 'malformed') return 'whole';
    if (range) ranges.push(range);
  }
  const [first, second] = ranges;
  if (!first) return 'unsatisfiable';
  return second ? 'whole' : first;
}

/** Trims spaces and tabs, the only optional whitespace of RFC 9110 section 5.6.3. */
function withoutBlanks(spec: string): string {
  let start = 0;
  let end = spec.length;
  while (spec[start] === ' ' || spec[start] === '\t') start += 1;
  while (end > start && (spec[end - 1] === ' ' || spec[end - 1] === '\t')) end -= 1;
  return spec.slice(start, end);
}

/** Null: unsatisfiable, section 14.1.2. A number too large for a double becomes Infinity, which compares correctly. */
function resolve(spec: string, sizeBytes: number): ByteSpan | 'malformed' | null {
  const [matched, first = '', last = '', suffix] = SPEC.exec(spec) ?? [];
  if (matched === undefined) return 'malformed';
  const end = sizeBytes - 1;
  if (suffix !== undefined) {
    const length = Number(suffix);
    return length === 0 || sizeBytes === 0 ? null : { start: Math.max(0, sizeBytes - length), end };
  }
  const start = Number(first);
  const requestedEnd = last === '' ? Number.POSITIVE_INFINITY : Number(last);
  if (requestedEnd < start) return 'malformed';
  return start > end ? null : { start, end: Math.min(requestedEnd, end) };
}
