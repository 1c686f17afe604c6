import type { ByteWindow } from '../byte-window.js';
import { type Measures, type RawMeasures, trackKindOf } from '../measures.js';

const SEGMENT = 0x18538067;
const INFO = 0x1549a966;
const TIMESTAMP_SCALE = 0x2ad7b1;
const DURATION = 0x4489;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_TYPE = 0x83;
const VIDEO = 0xe0;
const PIXEL_WIDTH = 0xb0;
const PIXEL_HEIGHT = 0xba;
const CROP_BOTTOM = 0x54aa;
const CROP_TOP = 0x54bb;
const CROP_LEFT = 0x54cc;
const CROP_RIGHT = 0x54dd;
const DISPLAY_WIDTH = 0x54b0;
const DISPLAY_HEIGHT = 0x54ba;
const DISPLAY_UNIT = 0x54b2;
const CLUSTER = 0x1f43b675;

interface Element {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Matroska and WebM (RFC 9559, in EBML, RFC 8794): the elements before the first cluster. Live recordings have no
 * length there.
 */
export async function measureMatroskaHeader(window: ByteWindow): Promise<RawMeasures> {
  let tracks: RawMeasures = {};
  let durationSeconds: number | null = null;
  for await (const segment of elementsIn(window, { start: 0, end: window.sizeBytes })) {
    if (segment.id !== SEGMENT) continue;
    for await (const element of elementsIn(window, segment)) {
      if (element.id === CLUSTER) break;
      if (element.id === INFO) durationSeconds = await durationOf(window, element);
      if (element.id === TRACKS) tracks = await measureTracks(window, element);
    }
    break;
  }
  return { ...tracks, durationSeconds };
}

/** RFC 9559, sections 5.1.2.9 and 5.1.2.10: a float in ticks, and the nanoseconds per tick. */
async function durationOf(window: ByteWindow, info: Element): Promise<number | null> {
  let scale = 1_000_000;
  let ticks: number | null = null;
  for await (const element of elementsIn(window, info)) {
    if (element.id === TIMESTAMP_SCALE) scale = await unsigned(window, element);
    if (element.id !== DURATION) continue;
    const bytes = await window.exactly(element.start, element.end - element.start);
    ticks = bytes.length === 4 ? bytes.readFloatBE(0) : bytes.readDoubleBE(0);
  }
  return ticks === null ? null : (ticks * scale) / 1e9;
}

/** The kinds of tracks (RFC 9559, section 5.1.4.1.3), and the size of the first video. */
async function measureTracks(window: ByteWindow, tracks: Element): Promise<RawMeasures> {
  let size: Partial<Measures> | null = null;
  let hasSound = false;
  for await (const track of elementsIn(window, tracks)) {
    if (track.id !== TRACK_ENTRY) continue;
    let type = 0;
    let video: Element | null = null;
    for await (const element of elementsIn(window, track)) {
      if (element.id === TRACK_TYPE) type = await unsigned(window, element);
      if (element.id === VIDEO) video = element;
    }
    hasSound ||= type === 2;
    if (type === 1) size ??= video === null ? {} : await sizeOf(window, video);
  }
  return { ...size, trackKind: trackKindOf({ hasVideo: size !== null, hasSound }) };
}

/** RFC 9559, section 5.1.4.1.28: the display size where it is in pixels (unit 0), otherwise the size after cropping. */
async function sizeOf(window: ByteWindow, video: Element): Promise<Partial<Measures>> {
  const values = new Map<number, number>();
  for await (const element of elementsIn(window, video)) {
    if (element.end - element.start <= 6) values.set(element.id, await unsigned(window, element));
  }
  const value = (id: number) => values.get(id) ?? 0;
  const width = value(PIXEL_WIDTH) - value(CROP_LEFT) - value(CROP_RIGHT);
  const height = value(PIXEL_HEIGHT) - value(CROP_TOP) - value(CROP_BOTTOM);
  if (value(DISPLAY_UNIT) !== 0) return { width, height };
  return { width: value(DISPLAY_WIDTH) || width, height: value(DISPLAY_HEIGHT) || height };
}

async function unsigned(window: ByteWindow, { start, end }: Element): Promise<number> {
  return end === start ? 0 : (await window.exactly(start, end - start)).readUIntBE(0, end - start);
}

/**
 * The elements between two offsets (RFC 8794, section 4): an id and a size, whose leading zero bits tell their own
 * length.
 */
async function* elementsIn(
  window: ByteWindow,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Element, void, undefined> {
  for (let at = start; at + 2 <= end; ) {
    const header = await window.upTo(at, 12);
    const idBytes = Math.clz32(header.readUInt8(0)) - 23;
    if (idBytes > 4) return;
    const id = header.readUIntBE(0, idBytes);
    const sizeBytes = Math.clz32(header.readUInt8(idBytes)) - 23;
    if (sizeBytes > 8) return;
    const digits = header.subarray(idBytes, idBytes + sizeBytes).toString('hex');
    const marker = 1n << BigInt(7 * sizeBytes);
    const size = BigInt(`0x${digits}`) - marker;
    const content = at + idBytes + sizeBytes;
    // All ones mark a size that was unknown when the element was written (section 6.2).
    const contentEnd = size === marker - 1n ? end : Math.min(content + Number(size), end);
    yield { id, start: content, end: contentEnd };
    at = contentEnd;
  }
}
