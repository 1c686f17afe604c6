import type { ByteWalk } from '../byte-walk.js';
import type { RawMeasures } from '../measures.js';

/** One frame of MP3, AAC or AMR. These formats have no header for their length, which is that of all frames. */
export interface Frame {
  readonly bytes: number;
  readonly samples: number;
  readonly rate: number;
}

/** Null: no frame begins at that offset. */
export type FrameAt = (bytes: Buffer, at: number) => Frame | null;

export interface FrameSum {
  readonly seconds: number;
  readonly firstFrameSeconds: number;
  /** The bytes that these seconds take, including anything between the frames. */
  readonly bytes: number;
  /** The bytes that were given. */
  readonly givenBytes: number;
  readonly smallestFrameBytes: number;
  readonly largestFrameBytes: number;
}

/** Adds up all whole frames that begin before `end`. Bytes between frames are skipped. */
export function sumFrames(bytes: Buffer, frameAt: FrameAt, end = bytes.length): FrameSum {
  let [at, seconds, firstFrameSeconds] = [0, 0, 0];
  let [smallestFrameBytes, largestFrameBytes] = [Number.POSITIVE_INFINITY, 0];
  while (at < end) {
    const frame = frameAt(bytes, at);
    if (frame === null) {
      at = nextFrame(bytes, at + 1, frameAt) ?? bytes.length;
      continue;
    }
    if (at + frame.bytes > bytes.length) break;
    smallestFrameBytes = Math.min(smallestFrameBytes, frame.bytes);
    largestFrameBytes = Math.max(largestFrameBytes, frame.bytes);
    if (seconds === 0) firstFrameSeconds = frame.samples / frame.rate;
    seconds += frame.samples / frame.rate;
    at += frame.bytes;
  }
  return { seconds, firstFrameSeconds, bytes: at, givenBytes: bytes.length, smallestFrameBytes, largestFrameBytes };
}

/** Extrapolates the length from the part that was added up. */
export function extrapolate({ seconds, bytes, givenBytes }: FrameSum, allBytes: number): RawMeasures {
  if (givenBytes >= allBytes) return { durationSeconds: seconds };
  return { durationSeconds: (seconds * allBytes) / bytes, isEstimate: true };
}

/** The offset of a frame that is followed by another one. A single frame header may be a coincidence. */
export function nextFrame(bytes: Buffer, from: number, frameAt: FrameAt): number | null {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const frame = frameAt(bytes, at);
    if (frame === null) continue;
    const next = at + frame.bytes;
    if (next === bytes.length || frameAt(bytes, next)?.rate === frame.rate) return at;
  }
  return null;
}

/** Larger than any frame together with the header of the next one. */
const FRAME_BYTES = 16 * 1024;

/**
 * Adds up all frames of a media. Null: there is none.
 * @param isSilentHeader whether the first frame is a header that has no sound
 */
export async function measureAllFrames(
  walk: ByteWalk,
  frameAt: FrameAt,
  isSilentHeader: (bytes: Buffer) => boolean = () => false,
): Promise<RawMeasures | null> {
  let seconds = 0;
  for (let isFirst = true; !walk.isAtEnd; isFirst = false) {
    const bytes = await walk.peek(FRAME_BYTES + 1);
    const isLast = bytes.length <= FRAME_BYTES;
    const sum = sumFrames(bytes, frameAt, isLast ? bytes.length : bytes.length - FRAME_BYTES);
    seconds += sum.seconds - (isFirst && isSilentHeader(bytes) ? sum.firstFrameSeconds : 0);
    if (isLast) break;
    walk.skip(Math.max(sum.bytes, 1));
  }
  return seconds > 0 ? { durationSeconds: seconds, isEstimate: false } : null;
}
