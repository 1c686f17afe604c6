import type { MeasuredSource } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';

/** The part of the front, and of the end, that is read. It holds timestamps of several frames of every stream. */
const END_BYTES = 2 * 2 ** 20;
const TICKS_PER_SECOND = 90_000;
/** Timestamps have 33 bits, and wrap around after a day. */
const WRAP = 2 ** 33;

/**
 * MPEG transport and program streams (ISO/IEC 13818-1, section 2.4.3.6). They have no header for their length, which is
 * that from the first presentation timestamp to the last. Both hold the same packets, which are found by their start
 * code.
 */
export async function measureMpegStream(source: MeasuredSource): Promise<RawMeasures> {
  const front = await source.read(0, Math.min(END_BYTES, source.sizeBytes) - 1);
  const first = timestampsIn(front);
  const last =
    source.sizeBytes <= END_BYTES
      ? first
      : timestampsIn(await source.read(source.sizeBytes - END_BYTES, source.sizeBytes - 1));
  let seconds = 0;
  for (const [stream, { earliest, step }] of first) {
    const latest = last.get(stream)?.latest ?? earliest;
    seconds = Math.max(seconds, (((latest - earliest + WRAP) % WRAP) + step) / TICKS_PER_SECOND);
  }
  const streamIds = [...first.keys()];
  return {
    trackKind: trackKindOf({
      hasVideo: streamIds.some((id) => id >= 0xe0),
      hasSound: streamIds.some((id) => id < 0xe0),
    }),
    durationSeconds: seconds,
  };
}

interface Timestamps {
  earliest: number;
  latest: number;
  /** The smallest distance between two timestamps, which stands for the duration of the last frame. */
  step: number;
}

/** The timestamps of each stream of sound (0xc0 to 0xdf, and 0xbd) and of video (0xe0 to 0xef) that has any. */
function timestampsIn(bytes: Buffer): Map<number, Timestamps> {
  const streams = new Map<number, Timestamps>();
  for (let at = bytes.indexOf('\0\0\x01', 0, 'latin1'); at >= 0; at = bytes.indexOf('\0\0\x01', at + 3, 'latin1')) {
    const id = bytes[at + 3] ?? 0;
    if (id !== 0xbd && (id < 0xc0 || id > 0xef)) continue;
    const time = timestampAt(bytes, at + 6);
    if (time === null) continue;
    const times = streams.get(id);
    if (times === undefined) streams.set(id, { earliest: time, latest: time, step: 0 });
    else {
      const gap = Math.abs(time - times.latest);
      if (gap > 0 && (times.step === 0 || gap < times.step)) times.step = gap;
      times.earliest = Math.min(times.earliest, time);
      times.latest = Math.max(times.latest, time);
    }
  }
  return streams;
}

/**
 * The timestamp in a packet header of MPEG-2 (after two flag bytes) or MPEG-1 (after stuffing and a buffer size). Null:
 * none.
 */
function timestampAt(bytes: Buffer, start: number): number | null {
  let at = start;
  if (((bytes[at] ?? 0) & 0xc0) === 0x80) {
    if (((bytes[at + 1] ?? 0) & 0x80) === 0) return null;
    at += 3;
  } else {
    for (let stuffing = 0; stuffing < 16 && bytes[at] === 0xff; stuffing++) at += 1;
    if (((bytes[at] ?? 0) & 0xc0) === 0x40) at += 2;
  }
  if (at + 5 > bytes.length) return null;
  const [marked, middle, low] = [bytes.readUInt8(at), bytes.readUInt16BE(at + 1), bytes.readUInt16BE(at + 3)];
  // The first four bits are 0010 or 0011, and a marker bit of 1 follows each part of the timestamp.
  if ((marked & 0xe1) !== 0x21 || (middle & 1) === 0 || (low & 1) === 0) return null;
  return ((marked >> 1) & 7) * 2 ** 30 + (middle >> 1) * 2 ** 15 + (low >> 1);
}
