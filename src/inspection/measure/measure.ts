import { essenceOf } from '../../model/text/mime-type.js';
import { ByteWindow, type MeasuredSource } from './byte-window.js';
import { formatOf } from './formats.js';
import type { Measures, RawMeasures } from './measures.js';

export type { Measures } from './measures.js';

const MAX_PIXELS = 2 ** 31 - 1;
const MAX_SECONDS = 100 * 24 * 60 * 60;

/**
 * The size in pixels and the length that a media's headers tell. Whatever the bytes are, it reads at most 1 MiB in few
 * reads, and resolves. Where a format has no header for its length (MP3 without one, AAC, AMR), the frames within that
 * limit are added up, and the length is extrapolated from them. Rejects only with what `read` rejected with.
 */
export async function measure(source: MeasuredSource): Promise<Measures> {
  return plausible(await measureHeaders(source), source.mimeType);
}

/** Everything that the headers tell, not checked for plausibility. Rejects as {@link measure}. */
export async function measureHeaders(source: MeasuredSource): Promise<RawMeasures> {
  const format = formatOf(source.mimeType);
  if (format?.header === undefined) return {};
  const window = new ByteWindow(source);
  try {
    return await format.header(window);
  } catch {
    // A parser that fails has met malformed bytes, unless the read itself failed.
    if (window.failure !== null) throw window.failure.reason;
    return {};
  }
}

/**
 * What the body tells beyond the headers. Null: nothing, or the body is not read. Rejects with what `read` rejects
 * with.
 */
export async function measureBody(source: MeasuredSource, headers: RawMeasures): Promise<RawMeasures | null> {
  const format = formatOf(source.mimeType);
  if (!format?.body || !format.when(headers, source.sizeBytes)) return null;
  return await format.body(source, headers);
}

/**
 * The number of pages of a document. Null: the document does not tell, or the type has no pages. Rejects as `read`
 * does.
 */
export async function countPages(source: MeasuredSource): Promise<number | null> {
  const pages = formatOf(source.mimeType)?.pages;
  return pages === undefined ? null : await pages(source);
}

/** Sound has no size, whatever its container says. The length is rounded to the millisecond. */
export function plausible({ width, height, durationSeconds }: RawMeasures, mimeType: string): Measures {
  const hasSize = !essenceOf(mimeType).startsWith('audio/') && arePixels(width) && arePixels(height);
  const size = hasSize ? { width, height } : { width: null, height: null };
  const seconds = Math.round((durationSeconds ?? 0) * 1_000) / 1_000;
  return { ...size, durationSeconds: seconds > 0 && seconds <= MAX_SECONDS ? seconds : null };
}

function arePixels(value: number | null | undefined): value is number {
  return Number.isInteger(value) && value != null && value > 0 && value <= MAX_PIXELS;
}
