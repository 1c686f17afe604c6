/**
 * A byte range as in RFC 9110 section 14.1.2: the offsets of the first and the last byte. An end that is null, or
 * beyond the last byte, means the last byte.
 */
export interface ByteRange {
  readonly start: number;
  readonly end: number | null;
}

/** A range with a known end. */
export interface ByteSpan extends ByteRange {
  readonly end: number;
}

/** The content of a `Content-Range` header. */
export interface ContentRange extends ByteSpan {
  /** Size of the whole representation; null = the sender does not know it. */
  readonly sizeBytes: number | null;
}

/** Formats the value of a `Range` header. */
export function formatRange({ start, end }: ByteRange): string {
  return `bytes=${start}-${end ?? ''}`;
}

/** Parses the `Content-Range` of a 206 (RFC 9110 section 14.4). Returns null unless it is one valid range of bytes. */
export function parseContentRange(header: string | undefined): ContentRange | null {
  const [matched, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(header ?? '') ?? [];
  if (matched === undefined) return null;
  const range = { start: Number(start), end: Number(end), sizeBytes: size === '*' ? null : Number(size) };
  const ends = range.sizeBytes ?? Number.MAX_SAFE_INTEGER;
  return Number.isSafeInteger(ends) && range.start <= range.end && range.end < ends ? range : null;
}

/** Parses the size from the `Content-Range` of a 416 (RFC 9110 section 15.5.17). Returns null where it has none. */
export function parseUnsatisfiedRange(header: string | undefined): number | null {
  const size = Number(/^bytes \*\/(\d+)$/i.exec(header ?? '')?.[1] ?? Number.NaN);
  return Number.isSafeInteger(size) ? size : null;
}
