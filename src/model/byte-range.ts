/**
 * A part of some bytes, as RFC 9110 section 14.1.2 counts: offsets of the first and of the last byte. An end that is null,
 * or beyond the last byte, means the last byte.
 */
export interface ByteRange {
  readonly start: number;
  readonly end: number | null;
}

/** A range whose end is told. */
export interface ByteSpan extends ByteRange {
  readonly end: number;
}

/** What a 206 is a part of. */
export interface ContentRange extends ByteSpan {
  /** Of the whole; null = the sender does not know. */
  readonly sizeBytes: number | null;
}

/** The value of a `Range` header. */
export function formatRange({ start, end }: ByteRange): string {
  return `bytes=${start}-${end ?? ''}`;
}

/** The `Content-Range` of a 206 (RFC 9110 section 14.4); null for everything but one range of bytes that can be. */
export function parseContentRange(header: string | undefined): ContentRange | null {
  const [matched, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(header ?? '') ?? [];
  if (matched === undefined) return null;
  const range = { start: Number(start), end: Number(end), sizeBytes: size === '*' ? null : Number(size) };
  const ends = range.sizeBytes ?? Number.MAX_SAFE_INTEGER;
  return Number.isSafeInteger(ends) && range.start <= range.end && range.end < ends ? range : null;
}

/** The size that the `Content-Range` of a 416 tells (RFC 9110 section 15.5.17); null where it tells none. */
export function parseUnsatisfiedRange(header: string | undefined): number | null {
  const size = Number(/^bytes \*\/(\d+)$/i.exec(header ?? '')?.[1] ?? Number.NaN);
  return Number.isSafeInteger(size) ? size : null;
}
