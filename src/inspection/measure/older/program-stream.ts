import { type Found, tracksOf } from '../measures.js';
import type { MeasuredSource } from '../window.js';

/** As much of the front, and of the end, as holds the times of several frames of every stream. */
const END_BYTES = 2 * 2 ** 20;
const CLOCK = 90_000;
/** Times of 33 bits begin again at zero, after a day. */
const TURN = 2 ** 33;

/**
 * MPEG transport and program streams (ISO/IEC 13818-1, section 2.4.3.6), which have no header for their length: from the
 * first to the last time that stands before a frame. Both hold the same packets, which are looked for by their start code.
 */
export async function measureProgramStream(source: MeasuredSource): Promise<Found> {
  const front = await source.read(0, Math.min(END_BYTES, source.sizeBytes) - 1);
  const first = timesOf(front);
  const last =
    source.sizeBytes <= END_BYTES
      ? first
      : timesOf(await source.read(source.sizeBytes - END_BYTES, source.sizeBytes - 1));
  let seconds = 0;
  for (const [stream, { least, step }] of first) {
    const most = last.get(stream)?.most ?? least;
    seconds = Math.max(seconds, (((most - least + TURN) % TURN) + step) / CLOCK);
  }
  const streams = [...first.keys()];
  return {
    tracks: tracksOf({ hasVideo: streams.some((id) => id >= 0xe0), hasSound: streams.some((id) => id < 0xe0) }),
    durationSeconds: seconds,
  };
}

interface Times {
  least: number;
  most: number;
  /** Between two of them, at least: about what the last one is shown for. */
  step: number;
}

/** Of each stream of sound (0xc0 to 0xdf, and 0xbd) and of video (0xe0 to 0xef) that has a time. */
function timesOf(bytes: Buffer): Map<number, Times> {
  const found = new Map<number, Times>();
  for (let at = bytes.indexOf('\0\0\x01', 0, 'latin1'); at >= 0; at = bytes.indexOf('\0\0\x01', at + 3, 'latin1')) {
    const id = bytes[at + 3] ?? 0;
    if (id !== 0xbd && (id < 0xc0 || id > 0xef)) continue;
    const time = timeAt(bytes, at + 6);
    if (time === null) continue;
    const times = found.get(id);
    if (times === undefined) found.set(id, { least: time, most: time, step: 0 });
    else {
      const gap = Math.abs(time - times.most);
      if (gap > 0 && (times.step === 0 || gap < times.step)) times.step = gap;
      times.least = Math.min(times.least, time);
      times.most = Math.max(times.most, time);
    }
  }
  return found;
}

/** The time of a packet's header, of MPEG-2 (two flag bytes before it) or MPEG-1 (stuffing and a buffer size); null: none. */
function timeAt(bytes: Buffer, start: number): number | null {
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
  // 0010 or 0011, and after each part of the time a one.
  if ((marked & 0xe1) !== 0x21 || (middle & 1) === 0 || (low & 1) === 0) return null;
  return ((marked >> 1) & 7) * 2 ** 30 + (middle >> 1) * 2 ** 15 + (low >> 1);
}
