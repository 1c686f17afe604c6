import { essenceOf } from '../../model/mime-type.js';
import { measureFlacEnd } from './flac.js';
import { measureAllFrames } from './frames.js';
import { measureClusters } from './matroska/clusters.js';
import type { Found } from './measures.js';
import { measureTracks } from './mp4/tracks.js';
import { measureOggPages } from './ogg/pages.js';
import { measureProgramStream } from './older/program-stream.js';
import type { MeasuredSource } from './window.js';

/** Above this, the end of an Ogg is believed as its headers' reader found it. */
const MAX_OGG_BYTES = 64 * 2 ** 20;

/** Above this, the number of frames that an MP3's header tells is believed; below, they are counted. */
const MAX_COUNTED_MP3_BYTES = 16 * 2 ** 20;

/** What all of the bytes tell where the headers do not tell the length, or not for sure; null: nothing more. */
export async function measureThroughout(source: MeasuredSource, headers: Found): Promise<Found | null> {
  const isTold = (headers.durationSeconds ?? 0) > 0 && headers.isGuess !== true;
  switch (essenceOf(source.mimeType)) {
    case 'audio/ogg':
    case 'video/ogg':
    case 'application/ogg':
      return source.sizeBytes <= MAX_OGG_BYTES ? await measureOggPages(source) : null;
    case 'audio/mpeg':
      return isTold && source.sizeBytes > MAX_COUNTED_MP3_BYTES ? null : await measureAllFrames(source);
    case 'audio/aac':
    case 'audio/amr':
    case 'audio/amr-wb':
      return isTold ? null : await measureAllFrames(source);
    case 'audio/flac':
    case 'audio/x-flac':
      return await measureFlacEnd(source, headers);
    case 'video/mp2t':
    case 'video/mpeg':
    case 'video/mp1s':
    case 'video/mp2p':
      return await measureProgramStream(source);
    case 'video/mp4':
    case 'video/x-m4v':
    case 'video/quicktime':
    case 'video/3gpp':
    case 'video/3gpp2':
    case 'audio/mp4':
    case 'audio/x-m4a':
    case 'audio/3gpp':
    case 'audio/3gpp2':
      return isTold ? null : await measureTracks(source);
    case 'video/webm':
    case 'audio/webm':
    case 'video/matroska':
    case 'video/x-matroska':
    case 'audio/matroska':
    case 'audio/x-matroska':
      return isTold ? null : await measureClusters(source);
    default:
      return null;
  }
}
