import { essenceOf } from '../../model/mime-type.js';
import { measureAac, measureAmr, measureMp3 } from './frames.js';
import { measureWebm } from './matroska/webm.js';
import type { Found, Measures } from './measures.js';
import { measureHeif } from './mp4/heif.js';
import { measureMovie } from './mp4/movie.js';
import { measureAiff, measureFlac, measureWav } from './mp4/samples.js';
import { measureOgg } from './ogg/ogg.js';
import { measureAsf } from './older/asf.js';
import { measureAvi, measureFlv } from './older/movies.js';
import { measureByHeader, measureJpeg, measurePng, measureTiff } from './picture.js';
import { ByteWindow, type MeasuredSource } from './window.js';

export type { Measures } from './measures.js';
export type { MeasuredSource } from './window.js';

const MAX_PIXELS = 2 ** 31 - 1;
const MAX_SECONDS = 100 * 24 * 60 * 60;

/**
 * By essence. image-size reads the pictures whose size lies in their first bytes. music-metadata reads none of the rest:
 * it tells no size of a video, reads pages, clusters and cover art to their end, knows no VBRI header, and collects tags
 * in quadratic time (one megabyte of comments in a FLAC held the event loop for 14 seconds).
 */
const MEASURERS: Readonly<Record<string, (window: ByteWindow) => Promise<Found>>> = {
  'image/jpeg': measureJpeg,
  'image/png': measurePng,
  'image/apng': measurePng,
  'image/gif': measureByHeader,
  'image/webp': measureByHeader,
  'image/bmp': measureByHeader,
  'image/tiff': measureTiff,
  'image/avif': measureHeif,
  'image/heic': measureHeif,
  'image/heif': measureHeif,
  'image/heic-sequence': measureHeif,
  'image/heif-sequence': measureHeif,
  'video/mp4': measureMovie,
  'video/x-m4v': measureMovie,
  'video/quicktime': measureMovie,
  'video/3gpp': measureMovie,
  'video/3gpp2': measureMovie,
  'video/webm': measureWebm,
  'video/matroska': measureWebm,
  'video/x-matroska': measureWebm,
  'video/vnd.avi': measureAvi,
  'video/x-msvideo': measureAvi,
  'video/x-flv': measureFlv,
  'video/ogg': measureOgg,
  'video/x-ms-asf': measureAsf,
  'video/x-ms-wmv': measureAsf,
  'application/vnd.ms-asf': measureAsf,
  'audio/x-ms-asf': measureAsf,
  'audio/x-ms-wma': measureAsf,
  'audio/mp4': measureMovie,
  'audio/x-m4a': measureMovie,
  'audio/3gpp': measureMovie,
  'audio/3gpp2': measureMovie,
  'audio/webm': measureWebm,
  'audio/matroska': measureWebm,
  'audio/x-matroska': measureWebm,
  'audio/aiff': measureAiff,
  'audio/x-aiff': measureAiff,
  'audio/ogg': measureOgg,
  'audio/mpeg': measureMp3,
  'audio/aac': measureAac,
  'audio/amr': measureAmr,
  'audio/amr-wb': measureAmr,
  'audio/wav': measureWav,
  'audio/flac': measureFlac,
  'audio/x-flac': measureFlac,
};

/**
 * What a media's headers say of its size in pixels and its length. Whatever the bytes are, it reads 1 MiB at most, in
 * few reads, and answers; where a format has no header for its length (MP3 without one, AAC, AMR), its frames are added
 * up as far as that goes, and the rest is taken to be like them. Rejects with what `read` rejected with, and nothing else.
 */
export async function measure(source: MeasuredSource): Promise<Measures> {
  return believable(await headersOf(source), source.mimeType);
}

/** As {@link measure}, with what else the headers told, and nothing doubted yet. */
export async function headersOf(source: MeasuredSource): Promise<Found> {
  const essence = essenceOf(source.mimeType);
  const measurer = Object.hasOwn(MEASURERS, essence) ? MEASURERS[essence] : undefined;
  if (measurer === undefined) return {};
  const window = new ByteWindow(source);
  try {
    return await measurer(window);
  } catch {
    // Whatever a parser stumbled over is a fault of the bytes, unless they could not be had.
    if (window.failure !== null) throw window.failure.reason;
    return {};
  }
}

/** What of it can be, of a media of this type. A length to the millisecond. */
export function believable({ width, height, durationSeconds }: Found, mimeType: string): Measures {
  const hasSize = !essenceOf(mimeType).startsWith('audio/') && arePixels(width) && arePixels(height);
  const size = hasSize ? { width, height } : { width: null, height: null };
  const seconds = Math.round((durationSeconds ?? 0) * 1_000) / 1_000;
  return { ...size, durationSeconds: seconds > 0 && seconds <= MAX_SECONDS ? seconds : null };
}

function arePixels(value: number | null | undefined): value is number {
  return Number.isInteger(value) && value != null && value > 0 && value <= MAX_PIXELS;
}
