import type { MediaKind } from '../model/media.js';
import { essenceOf } from '../model/mime-type.js';
import { countPages } from './measure/count-pages.js';
import { afterId3 } from './measure/frames.js';
import { believable, headersOf } from './measure/measure.js';
import type { Found, Measures, Tracks } from './measure/measures.js';
import { measureThroughout } from './measure/throughout.js';
import { ByteWindow, type MeasuredSource } from './measure/window.js';

/** What the bytes of a media tell of it. */
export interface Look {
  readonly measures: Measures;
  /** What the media is by its tracks, whatever its name and its sender said; null: it is no container, or tells none. */
  readonly kind: Extract<MediaKind, 'VIDEO' | 'AUDIO'> | null;
  /** The type by the tracks, where the one that was sniffed says another; null: that one stands. */
  readonly mimeType: string | null;
  /** Of a PDF, as far as it tells without being decoded. */
  readonly pageCount: number | null;
}

/**
 * Looks at the headers, and where those do not tell the length, at all of the bytes as far as `read` lets it: when that
 * rejects meanwhile, what was found before is the answer. Rejects with what `read` rejected with before, and nothing else.
 * @param tell is given what is known before that which may take long
 */
export async function look(file: MeasuredSource, tell: (soFar: Look) => void = () => {}): Promise<Look> {
  const source = { ...file, mimeType: await typeBehindTag(file) };
  const headers = await headersOf(source);
  tell(lookOf(file, source.mimeType, headers, null));
  const found = { ...headers, ...(await measureThroughout(source, headers).catch(() => null)) };
  const isDocument = essenceOf(source.mimeType) === 'application/pdf';
  return lookOf(file, source.mimeType, found, isDocument ? await countPages(source).catch(() => null) : null);
}

function lookOf(file: MeasuredSource, sniffed: string, found: Found, pageCount: number | null): Look {
  const tracks = found.tracks ?? null;
  const mimeType = tracks === null ? sniffed : typeByTracks(sniffed, tracks);
  return {
    measures: believable(found, mimeType),
    kind: tracks,
    mimeType: mimeType === file.mimeType ? null : mimeType,
    pageCount,
  };
}

/** Where cover art in a tag pushes the sound out of what was sniffed, it is taken for MP3: the first frame tells. */
async function typeBehindTag(file: MeasuredSource): Promise<string> {
  if (essenceOf(file.mimeType) !== 'audio/mpeg') return file.mimeType;
  const window = new ByteWindow(file);
  const start = await afterId3(window).catch(() => 0);
  const head = start === 0 ? Buffer.alloc(0) : await window.upTo(start, 4).catch(() => Buffer.alloc(0));
  if (head.toString('latin1') === 'fLaC') return 'audio/flac';
  // ADTS has a layer of zero (ISO/IEC 13818-7, section 6.2), which MPEG audio does not know.
  return head.length === 4 && (head.readUInt16BE(0) & 0xfff6) === 0xfff0 ? 'audio/aac' : file.mimeType;
}

/** Names of one container, by what is in it: RFC 4337, 3839, 4393, 5334, 9559; QuickTime has one name for both. */
const CONTAINERS: ReadonlyArray<{ readonly VIDEO: readonly string[]; readonly AUDIO: readonly string[] }> = [
  { VIDEO: ['video/mp4', 'video/x-m4v', 'video/quicktime'], AUDIO: ['audio/mp4', 'audio/x-m4a'] },
  { VIDEO: ['video/3gpp'], AUDIO: ['audio/3gpp'] },
  { VIDEO: ['video/3gpp2'], AUDIO: ['audio/3gpp2'] },
  { VIDEO: ['video/webm'], AUDIO: ['audio/webm'] },
  { VIDEO: ['video/matroska', 'video/x-matroska'], AUDIO: ['audio/matroska', 'audio/x-matroska'] },
  { VIDEO: ['video/ogg'], AUDIO: ['audio/ogg'] },
  { VIDEO: ['video/x-ms-asf', 'video/x-ms-wmv'], AUDIO: ['audio/x-ms-asf', 'audio/x-ms-wma'] },
  // Where which of them it is was not seen in its first bytes.
  { VIDEO: ['video/x-ms-asf', 'application/vnd.ms-asf'], AUDIO: ['audio/x-ms-asf', 'application/vnd.ms-asf'] },
];

/** The type that says what the tracks are; the same where it does, and for containers that have one name only. */
function typeByTracks(mimeType: string, tracks: Tracks): string {
  const essence = essenceOf(mimeType);
  if (essence.startsWith(`${tracks.toLowerCase()}/`)) return mimeType;
  const other = tracks === 'VIDEO' ? 'AUDIO' : 'VIDEO';
  const names = CONTAINERS.find((container) => container[other].includes(essence));
  return names?.[tracks][0] ?? mimeType;
}
