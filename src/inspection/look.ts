import type { MediaKind } from '../model/media.js';
import { essenceOf } from '../model/text/mime-type.js';
import { ByteWindow, type MeasuredSource } from './measure/byte-window.js';
import { countPages, measureBody, measureHeaders, plausible } from './measure/measure.js';
import type { Measures, RawMeasures, TrackKind } from './measure/measures.js';
import { endOfId3 } from './measure/sound/id3.js';

/** What the bytes of a media tell about it. */
export interface Look {
  readonly measures: Measures;
  /** The kind by the tracks, whatever the name and the sender say. Null: no container, or its tracks were not read. */
  readonly kind: Extract<MediaKind, 'VIDEO' | 'AUDIO'> | null;
  /** The type by the tracks, where it differs from the sniffed one. Null: the sniffed type is right. */
  readonly mimeType: string | null;
  /** The pages of a PDF, if its objects can be read without a renderer. */
  readonly pageCount: number | null;
}

/**
 * Reads the headers of a media, and its body where the headers do not tell enough. If `read` rejects while the body is
 * read, the result is what the headers told. Rejects only with what `read` rejected with before that.
 * @param onHeaders called with what the headers told, before the body is read, which may take long
 */
export async function look(file: MeasuredSource, onHeaders: (soFar: Look) => void = () => {}): Promise<Look> {
  const source = { ...file, mimeType: await typeBehindTag(file) };
  const headers = await measureHeaders(source);
  onHeaders(lookOf(file, source.mimeType, headers, null));
  const all = { ...headers, ...(await measureBody(source, headers).catch(() => null)) };
  return lookOf(file, source.mimeType, all, await countPages(source).catch(() => null));
}

function lookOf(file: MeasuredSource, sniffed: string, raw: RawMeasures, pageCount: number | null): Look {
  const kind = raw.trackKind ?? null;
  const mimeType = kind === null ? sniffed : typeByTracks(sniffed, kind);
  return {
    measures: plausible(raw, mimeType),
    kind,
    mimeType: mimeType === file.mimeType ? null : mimeType,
    pageCount,
  };
}

/**
 * Sound behind a tag with cover art is sniffed as MP3, since the tag fills the sample. The first frame tells its type.
 */
async function typeBehindTag(file: MeasuredSource): Promise<string> {
  if (essenceOf(file.mimeType) !== 'audio/mpeg') return file.mimeType;
  const window = new ByteWindow(file);
  const start = await endOfId3(window).catch(() => 0);
  const head = start === 0 ? Buffer.alloc(0) : await window.upTo(start, 4).catch(() => Buffer.alloc(0));
  if (head.toString('latin1') === 'fLaC') return 'audio/flac';
  // ADTS has a layer of zero (ISO/IEC 13818-7, section 6.2), which is reserved in MPEG audio.
  return head.length === 4 && (head.readUInt16BE(0) & 0xfff6) === 0xfff0 ? 'audio/aac' : file.mimeType;
}

/**
 * The names of each container with video and with sound only: RFC 4337, 3839, 4393, 5334 and 9559. QuickTime has no
 * name for sound.
 */
const CONTAINERS: ReadonlyArray<{ readonly VIDEO: readonly string[]; readonly AUDIO: readonly string[] }> = [
  { VIDEO: ['video/mp4', 'video/x-m4v', 'video/quicktime'], AUDIO: ['audio/mp4', 'audio/x-m4a'] },
  { VIDEO: ['video/3gpp'], AUDIO: ['audio/3gpp'] },
  { VIDEO: ['video/3gpp2'], AUDIO: ['audio/3gpp2'] },
  { VIDEO: ['video/webm'], AUDIO: ['audio/webm'] },
  { VIDEO: ['video/matroska', 'video/x-matroska'], AUDIO: ['audio/matroska', 'audio/x-matroska'] },
  { VIDEO: ['video/ogg'], AUDIO: ['audio/ogg'] },
  { VIDEO: ['video/x-ms-asf', 'video/x-ms-wmv'], AUDIO: ['audio/x-ms-asf', 'audio/x-ms-wma'] },
  // The name that sniffing gives where the first bytes hold no stream properties.
  { VIDEO: ['video/x-ms-asf', 'application/vnd.ms-asf'], AUDIO: ['audio/x-ms-asf', 'application/vnd.ms-asf'] },
];

/**
 * The container's name for tracks of that kind. It is unchanged where it fits, and where the container has one name
 * only.
 */
function typeByTracks(mimeType: string, kind: TrackKind): string {
  const essence = essenceOf(mimeType);
  if (essence.startsWith(`${kind.toLowerCase()}/`)) return mimeType;
  const otherKind = kind === 'VIDEO' ? 'AUDIO' : 'VIDEO';
  const names = CONTAINERS.find((container) => container[otherKind].includes(essence));
  return names?.[kind][0] ?? mimeType;
}
