import { essenceOf } from '../../model/text/mime-type.js';
import type { ByteWindow, MeasuredSource } from './byte-window.js';
import { measureMatroskaClusters } from './matroska/clusters.js';
import { measureMatroskaHeader } from './matroska/matroska-header.js';
import type { RawMeasures } from './measures.js';
import { measureHeif } from './mp4/heif.js';
import { measureMovieFrames } from './mp4/movie-frames.js';
import { measureMovieHeader } from './mp4/movie-header.js';
import { measureOggLastPage } from './ogg/last-page.js';
import { measureOggPages } from './ogg/pages.js';
import { countPdfPages } from './pdf/page-count.js';
import { measureFirstBytes } from './pictures/first-bytes.js';
import { measureJpeg } from './pictures/jpeg.js';
import { measurePng } from './pictures/png.js';
import { measureTiff } from './pictures/tiff.js';
import { measureAac, measureAacFrames } from './sound/aac.js';
import { measureAiff } from './sound/aiff.js';
import { measureAmr, measureAmrFrames } from './sound/amr.js';
import { measureFlac, measureFlacEnd } from './sound/flac.js';
import { measureMp3, measureMp3Frames } from './sound/mp3.js';
import { measureWav } from './sound/wav.js';
import { measureAsf } from './video/asf.js';
import { measureAvi } from './video/avi.js';
import { measureFlv } from './video/flv.js';
import { measureMpegStream } from './video/mpeg-streams.js';

/** How one container format is measured: first by its header, then by its body where `when` says so. */
type MediaFormat = {
  /** The essences of the format. */
  readonly types: readonly string[];
  /** Reads headers: at most 1 MiB, wherever in the media they lie. */
  readonly header?: (window: ByteWindow) => Promise<RawMeasures>;
  /** Counts the pages over the whole document. Null: the document does not tell. */
  readonly pages?: (source: MeasuredSource) => Promise<number | null>;
} & (BodyMeasure | { readonly body?: never });

interface BodyMeasure {
  /** Reads frames, pages or clusters, as far as the end of the media. Null: they tell nothing more. */
  readonly body: (source: MeasuredSource, headers: RawMeasures) => Promise<RawMeasures | null>;
  readonly when: (headers: RawMeasures, sizeBytes: number) => boolean;
}

/** Above this, the end of an Ogg counts as the header measure found it. */
const MAX_OGG_BYTES = 64 * 2 ** 20;
/** Above this, the frame count in an MP3's header is believed. Below, all frames are counted. */
const MAX_COUNTED_MP3_BYTES = 16 * 2 ** 20;

const always = () => true;
const isLengthMissing = (headers: RawMeasures) => !((headers.durationSeconds ?? 0) > 0) || headers.isEstimate === true;
const isSmallOgg = (_headers: RawMeasures, sizeBytes: number) => sizeBytes <= MAX_OGG_BYTES;
const isMissingOrSmallMp3 = (headers: RawMeasures, sizeBytes: number) =>
  isLengthMissing(headers) || sizeBytes <= MAX_COUNTED_MP3_BYTES;

const MP4 = ['video/mp4', 'video/x-m4v', 'video/quicktime', 'video/3gpp', 'video/3gpp2'];
const MP4_SOUND = ['audio/mp4', 'audio/x-m4a', 'audio/3gpp', 'audio/3gpp2'];
const HEIF = ['image/avif', 'image/heic', 'image/heif', 'image/heic-sequence', 'image/heif-sequence'];
const MATROSKA = ['video/webm', 'video/matroska', 'video/x-matroska'];
const MATROSKA_SOUND = ['audio/webm', 'audio/matroska', 'audio/x-matroska'];
const ASF = ['video/x-ms-asf', 'video/x-ms-wmv', 'application/vnd.ms-asf', 'audio/x-ms-asf', 'audio/x-ms-wma'];
const MPEG_STREAMS = ['video/mp2t', 'video/mpeg', 'video/mp1s', 'video/mp2p'];

/**
 * Which formats are measured, and how.
 *
 * image-size reads the pictures whose size lies in their first bytes. music-metadata reads none of the others: it tells
 * no size of a video, reads pages, clusters and cover art to their end, knows no VBRI header, and collects tags in
 * quadratic time (one megabyte of comments in a FLAC held the event loop for 14 seconds).
 */
const FORMATS: readonly MediaFormat[] = [
  { types: ['image/jpeg'], header: measureJpeg },
  { types: ['image/png', 'image/apng'], header: measurePng },
  { types: ['image/gif', 'image/webp', 'image/bmp'], header: measureFirstBytes },
  { types: ['image/tiff'], header: measureTiff },
  { types: HEIF, header: measureHeif },
  { types: [...MP4, ...MP4_SOUND], header: measureMovieHeader, body: measureMovieFrames, when: isLengthMissing },
  {
    types: [...MATROSKA, ...MATROSKA_SOUND],
    header: measureMatroskaHeader,
    body: measureMatroskaClusters,
    when: isLengthMissing,
  },
  { types: ['video/vnd.avi', 'video/x-msvideo'], header: measureAvi },
  { types: ['video/x-flv'], header: measureFlv },
  { types: ASF, header: measureAsf },
  { types: MPEG_STREAMS, body: measureMpegStream, when: always },
  { types: ['video/ogg', 'audio/ogg'], header: measureOggLastPage, body: measureOggPages, when: isSmallOgg },
  { types: ['application/ogg'], body: measureOggPages, when: isSmallOgg },
  { types: ['audio/mpeg'], header: measureMp3, body: measureMp3Frames, when: isMissingOrSmallMp3 },
  { types: ['audio/aac'], header: measureAac, body: measureAacFrames, when: isLengthMissing },
  { types: ['audio/amr', 'audio/amr-wb'], header: measureAmr, body: measureAmrFrames, when: isLengthMissing },
  { types: ['audio/flac', 'audio/x-flac'], header: measureFlac, body: measureFlacEnd, when: always },
  { types: ['audio/wav'], header: measureWav },
  { types: ['audio/aiff', 'audio/x-aiff'], header: measureAiff },
  { types: ['application/pdf'], pages: countPdfPages },
];

const BY_TYPE: ReadonlyMap<string, MediaFormat> = new Map(
  FORMATS.flatMap((format) => format.types.map((type) => [type, format] as const)),
);

/** Null: the type is not measured. */
export function formatOf(mimeType: string): MediaFormat | null {
  return BY_TYPE.get(essenceOf(mimeType)) ?? null;
}
