import { ByteWalk } from '../byte-walk.js';
import { ByteWindow, type MeasuredSource } from '../byte-window.js';
import type { RawMeasures } from '../measures.js';
import { extrapolate, type Frame, measureAllFrames, nextFrame, sumFrames } from './frames.js';
import { endOfId3, startOfTrailingTags } from './id3.js';

/** The parts of the front and of the middle that are compared to see whether the bit rate is constant. */
const FRONT_BYTES = 64 * 1024;
const MIDDLE_BYTES = 16 * 1024;
/** Tolerance for writers that include tags and the header's own frame in their byte count. */
const SLACK_BYTES = 8 * 1024;

/**
 * MPEG audio (ISO/IEC 11172-3, section 2.4.2.3). The length comes from the frame count of a Xing, Info or VBRI header;
 * without one from the bit rate, if it is the same in the front and in the middle; otherwise from added frames.
 */
export async function measureMp3(window: ByteWindow): Promise<RawMeasures> {
  const start = await endOfId3(window);
  const allBytes = (await startOfTrailingTags(window)) - start;
  const front = await window.upTo(start, Math.min(FRONT_BYTES, allBytes));
  const first = nextFrame(front, 0, mpegFrameAt);
  const frame = first === null ? null : mpegFrameAt(front, first);
  if (first === null || frame === null) return {};
  const counted = countedFrames(front.subarray(first, first + frame.bytes));
  if (counted !== null) {
    const durationSeconds = (counted.frames * frame.samples) / frame.rate;
    // A file that was cut short has fewer frames than its header counts.
    return { durationSeconds, isEstimate: counted.bytes !== null && counted.bytes > allBytes + SLACK_BYTES };
  }
  const sum = sumFrames(front, mpegFrameAt);
  if (front.length === allBytes) return extrapolate(sum, allBytes);
  const middle = sumFrames(await window.upTo(start + Math.floor(allBytes / 2), MIDDLE_BYTES), mpegFrameAt);
  const largest = Math.max(sum.largestFrameBytes, middle.largestFrameBytes);
  const smallest = Math.min(sum.smallestFrameBytes, middle.smallestFrameBytes);
  // Frames of one bit rate differ by one byte of padding.
  if (largest - smallest <= 1) return { ...extrapolate(sum, allBytes), isEstimate: false };
  const more = await window.upToLimit(start);
  return extrapolate(sumFrames(more.subarray(0, allBytes), mpegFrameAt), allBytes);
}

/** The length by all frames, without the header frame. Null: there is none. */
export async function measureMp3Frames(source: MeasuredSource): Promise<RawMeasures | null> {
  const window = new ByteWindow(source);
  const start = await endOfId3(window);
  const walk = new ByteWalk(source, start, await startOfTrailingTags(window));
  return await measureAllFrames(walk, mpegFrameAt, hasCountHeader);
}

/** Kilobits per second by index: MPEG-1 layers I, II and III, MPEG-2 layer I, and the other layers of MPEG-2. */
const BIT_RATES = [
  [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
const SAMPLE_RATES = [44_100, 48_000, 32_000];

function mpegFrameAt(bytes: Buffer, at: number): Frame | null {
  if (at + 4 > bytes.length || bytes[at] !== 0xff) return null;
  const header = bytes.readUInt32BE(at);
  // Version: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5. Layer: the field's 3 is layer I, 2 is II, 1 is III.
  const [version, layer] = [(header >>> 19) & 3, 4 - ((header >>> 17) & 3)];
  const isMpeg1 = version === 3;
  const table = BIT_RATES[isMpeg1 ? layer - 1 : layer === 1 ? 3 : 4];
  const kilobits = table?.[((header >>> 12) & 15) - 1];
  const rate = SAMPLE_RATES[(header >>> 10) & 3];
  if (header >>> 21 !== 0x7ff || version === 1 || layer === 4 || !kilobits || !rate) return null;
  const actualRate = isMpeg1 ? rate : version === 2 ? rate / 2 : rate / 4;
  const samples = layer === 1 ? 384 : layer === 3 && !isMpeg1 ? 576 : 1_152;
  const padding = (header >>> 9) & 1;
  const slots = Math.floor((samples * kilobits * 1_000) / 8 / actualRate / (layer === 1 ? 4 : 1)) + padding;
  return { bytes: layer === 1 ? slots * 4 : slots, samples, rate: actualRate };
}

interface FrameCount {
  readonly frames: number;
  /** The bytes of all frames together. Null: the header does not tell. */
  readonly bytes: number | null;
}

/** Whether the first frame is a header with a frame count, right or wrong. Such a frame has no sound. */
function hasCountHeader(bytes: Buffer): boolean {
  const first = nextFrame(bytes, 0, mpegFrameAt);
  const frame = first === null ? null : mpegFrameAt(bytes, first);
  return first !== null && frame !== null && countedFrames(bytes.subarray(first, first + frame.bytes)) !== null;
}

/**
 * The frame count in a header that takes the place of the first frame's sound: Xing's follows the side information
 * (ISO/IEC 11172-3, section 2.4.1.7), Fraunhofer's VBRI stands after 32 bytes. Null: no header, or one without a count.
 */
function countedFrames(frame: Buffer): FrameCount | null {
  if (frame.length < 50) return null;
  const isMpeg1 = ((frame.readUInt8(1) >>> 3) & 3) === 3;
  const isMono = frame.readUInt8(3) >>> 6 === 3;
  const xing = 4 + (isMpeg1 ? (isMono ? 17 : 32) : isMono ? 9 : 17);
  if (/^(Xing|Info)$/.test(frame.toString('latin1', xing, xing + 4))) {
    const flags = frame.readUInt32BE(xing + 4);
    const frames = flags & 1 ? frame.readUInt32BE(xing + 8) : 0;
    const bytes = flags & 2 && frame.length >= xing + 16 ? frame.readUInt32BE(xing + 12) : null;
    return frames === 0 ? null : { frames, bytes };
  }
  const isVbri = frame.toString('latin1', 36, 40) === 'VBRI' && frame.length >= 54;
  const frames = isVbri ? frame.readUInt32BE(50) : 0;
  return frames === 0 ? null : { frames, bytes: frame.readUInt32BE(46) };
}
