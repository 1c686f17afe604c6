import type { ByteWindow } from '../byte-window.js';
import { type Measures, type RawMeasures, trackKindOf } from '../measures.js';
import { type Box, boxAt, boxesIn, durationField } from './boxes.js';

/**
 * MP4, 3GP (ISO/IEC 14496-12) and QuickTime (QuickTime File Format, "Movie atoms"): the movie box, wherever it lies.
 * Only the headers of its tracks are read, since their sample tables may be long.
 */
export async function measureMovieHeader(window: ByteWindow): Promise<RawMeasures> {
  const movie = await boxAt(window, { start: 0, end: window.sizeBytes }, 'moov');
  if (movie === null) return {};
  let size: Partial<Measures> = {};
  let header: MovieHeader | null = null;
  let fragments: Box | null = null;
  let [hasVideo, hasSound] = [false, false];
  for await (const box of boxesIn(window, movie)) {
    if (box.type === 'mvhd') header ??= await movieHeaderOf(window, box);
    else if (box.type === 'mvex') fragments ??= box;
    else if (box.type === 'trak') {
      const handler = await handlerOf(window, box);
      hasSound ||= handler === 'soun';
      if (handler !== 'vide' || (await isChapterPictures(window, box))) continue;
      hasVideo = true;
      if (size.width === undefined) size = (await shownSize(window, box)) ?? {};
    }
  }
  const trackKind = trackKindOf({ hasVideo, hasSound });
  if (header === null) return { ...size, trackKind };
  // The movie header of a fragmented movie does not count the fragments (section 8.8.2).
  const duration = fragments === null ? header.duration : await durationWithFragments(window, fragments);
  return { ...size, trackKind, durationSeconds: duration === null ? null : duration / header.unitsPerSecond };
}

/** The kind of a track: HandlerBox, section 8.4.3. */
async function handlerOf(window: ByteWindow, track: Box): Promise<string | null> {
  const handler = await boxAt(window, track, 'mdia', 'hdlr');
  return handler && (await window.exactly(handler.start, 12)).toString('latin1', 8, 12);
}

/**
 * Whether a track holds an audio book's chapter pictures: it is not enabled (section 8.3.2), and no player shows it as
 * video.
 */
async function isChapterPictures(window: ByteWindow, track: Box): Promise<boolean> {
  const header = await boxAt(window, track, 'tkhd');
  const entry = await boxAt(window, track, 'mdia', 'minf', 'stbl', 'stsd');
  if (header === null || entry === null) return false;
  const isEnabled = ((await window.exactly(header.start, 4)).readUInt8(3) & 1) === 1;
  const codec = (await window.upTo(entry.start + 12, 4)).toString('latin1');
  return !isEnabled && /^(jpeg|png |mjpa|text)$/.test(codec);
}

interface MovieHeader {
  readonly unitsPerSecond: number;
  readonly duration: number | null;
}

/** MovieHeaderBox, section 8.2.2. */
async function movieHeaderOf(window: ByteWindow, box: Box): Promise<MovieHeader> {
  const content = await window.exactly(box.start, Math.min(box.end - box.start, 32));
  const version = content.readUInt8(0);
  const at = version === 1 ? 20 : 12;
  return { unitsPerSecond: content.readUInt32BE(at), duration: durationField(content, at + 4, version) };
}

/** MovieExtendsHeaderBox, section 8.8.2. Recorders that stream leave it out. */
async function durationWithFragments(window: ByteWindow, fragments: Box): Promise<number | null> {
  const box = await boxAt(window, fragments, 'mehd');
  if (box === null) return null;
  const content = await window.exactly(box.start, Math.min(box.end - box.start, 12));
  return durationField(content, 4, content.readUInt8(0));
}

/** The size at which a video track is shown, turned as its matrix says (TrackHeaderBox, section 8.3.2). */
async function shownSize(window: ByteWindow, track: Box): Promise<{ width: number; height: number } | null> {
  const box = await boxAt(window, track, 'tkhd');
  if (box === null) return null;
  const content = await window.exactly(box.start, Math.min(box.end - box.start, 96));
  const matrix = content.readUInt8(0) === 1 ? 52 : 40;
  // The sides are fixed-point numbers, 16.16.
  const shown = [content.readUInt32BE(matrix + 36), content.readUInt32BE(matrix + 40)].map((side) =>
    Math.round(side / 65_536),
  );
  const [width = 0, height = 0] = shown.every((side) => side > 0) ? shown : await codedSize(window, track);
  const isTurned = Math.abs(content.readInt32BE(matrix + 4)) > Math.abs(content.readInt32BE(matrix));
  return isTurned ? { width: height, height: width } : { width, height };
}

/** The size in the VisualSampleEntry (section 12.1.3), for writers that leave that of the track header empty. */
async function codedSize(window: ByteWindow, track: Box): Promise<number[]> {
  const box = await boxAt(window, track, 'mdia', 'minf', 'stbl', 'stsd');
  if (box === null) return [];
  const content = await window.exactly(box.start, 44);
  return [content.readUInt16BE(40), content.readUInt16BE(42)];
}
