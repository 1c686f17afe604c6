import { essenceOf } from '../../model/mime-type.js';
import { ByteWalk } from './chunks.js';
import type { Found } from './measures.js';
import { ByteWindow, type MeasuredSource } from './window.js';

/** Sound without a header of its own: the length is that of its frames. */
interface Frame {
  readonly bytes: number;
  readonly samples: number;
  readonly rate: number;
}

/** Null: no frame begins there. */
type FrameAt = (bytes: Buffer, at: number) => Frame | null;

/** As much of an MP3's front, and of its middle, as tells whether it keeps to one bit rate. */
const FRONT_BYTES = 64 * 1024;
const MIDDLE_BYTES = 16 * 1024;
/** Tags and the header's own frame, which some writers count. */
const SLACK_BYTES = 8 * 1024;

/** After the ID3v2 tags in front (ID3 tag version 2.4.0, section 3.1), which cover art makes large: they are not read. */
export async function afterId3(window: ByteWindow): Promise<number> {
  for (let at = 0; ; ) {
    const header = await window.upTo(at, 10);
    if (header.length < 10 || header.toString('latin1', 0, 3) !== 'ID3') return at;
    const size = [6, 7, 8, 9].reduce((sum, index) => sum * 128 + (header.readUInt8(index) & 0x7f), 0);
    const footer = header.readUInt8(5) & 0x10 ? 10 : 0;
    at += 10 + size + footer;
  }
}

/**
 * MPEG audio (ISO/IEC 11172-3, section 2.4.2.3): by the frames that a Xing, Info or VBRI header counts, else by the bit
 * rate if front and middle have but one, else by adding frames up.
 */
export async function measureMp3(window: ByteWindow): Promise<Found> {
  const start = await afterId3(window);
  const allBytes = (await beforeTags(window)) - start;
  const front = await window.upTo(start, Math.min(FRONT_BYTES, allBytes));
  const first = nextFrame(front, 0, mpegFrameAt);
  const frame = first === null ? null : mpegFrameAt(front, first);
  if (first === null || frame === null) return {};
  const counted = countedFrames(front.subarray(first, first + frame.bytes));
  if (counted !== null) {
    const durationSeconds = (counted.frames * frame.samples) / frame.rate;
    // What was cut short has fewer than it says.
    return { durationSeconds, isGuess: counted.bytes !== null && counted.bytes > allBytes + SLACK_BYTES };
  }
  const sum = addUp(front, mpegFrameAt);
  if (front.length === allBytes) return lengthOf(sum, allBytes);
  const middle = addUp(await window.upTo(start + Math.floor(allBytes / 2), MIDDLE_BYTES), mpegFrameAt);
  // Frames of one bit rate differ by a byte of padding.
  if (Math.max(sum.most, middle.most) - Math.min(sum.least, middle.least) <= 1)
    return { ...lengthOf(sum, allBytes), isGuess: false };
  const more = await window.asFarAsItGoes(start);
  return lengthOf(addUp(more.subarray(0, allBytes), mpegFrameAt), allBytes);
}

/** AAC as an ADTS stream: ISO/IEC 13818-7, section 6.2. */
export async function measureAac(window: ByteWindow): Promise<Found> {
  const start = await afterId3(window);
  return lengthOf(addUp(await window.asFarAsItGoes(start), adtsFrameAt), window.sizeBytes - start);
}

const AMR_MAGIC = '#!AMR\n';
const AMR_WIDE_MAGIC = '#!AMR-WB\n';

/** AMR and AMR-WB files of one channel: RFC 4867, section 5. */
export async function measureAmr(window: ByteWindow): Promise<Found> {
  const start = await amrStart(window);
  if (start === null) return {};
  const frameAt = amrFrameAt(start === AMR_WIDE_MAGIC.length ? WIDE_FRAME_BYTES : NARROW_FRAME_BYTES);
  return lengthOf(addUp(await window.asFarAsItGoes(start), frameAt), window.sizeBytes - start);
}

/** Where the frames begin; null: it is no such file. */
async function amrStart(window: ByteWindow): Promise<number | null> {
  const magic = (await window.upTo(0, AMR_WIDE_MAGIC.length)).toString('latin1');
  return [AMR_WIDE_MAGIC, AMR_MAGIC].find((known) => magic.startsWith(known))?.length ?? null;
}

/** Longer than any frame, and the header of the one behind it. */
const FRAME_BYTES = 16 * 1024;

/** The length of MP3, AAC and AMR by all of their frames, one after the other. */
export async function measureAllFrames(source: MeasuredSource): Promise<Found | null> {
  const essence = essenceOf(source.mimeType);
  const window = new ByteWindow(source);
  const isSpeech = essence.startsWith('audio/amr');
  const start = isSpeech ? await amrStart(window) : await afterId3(window);
  if (start === null) return null;
  const isMpeg = essence === 'audio/mpeg';
  const frameAt = isSpeech
    ? amrFrameAt(start === AMR_WIDE_MAGIC.length ? WIDE_FRAME_BYTES : NARROW_FRAME_BYTES)
    : isMpeg
      ? mpegFrameAt
      : adtsFrameAt;
  const walk = new ByteWalk(source, start, isMpeg ? await beforeTags(window) : source.sizeBytes);
  let seconds = 0;
  for (let isFirst = true; !walk.isAtEnd; isFirst = false) {
    const bytes = await walk.ahead(FRAME_BYTES + 1);
    const isLast = bytes.length <= FRAME_BYTES;
    const sum = addUp(bytes, frameAt, isLast ? bytes.length : bytes.length - FRAME_BYTES);
    // A header that counts the frames, wrongly, is one that has no sound.
    const hasHeader = isFirst && isMpeg && headerOf(bytes) !== null;
    seconds += sum.seconds - (hasHeader ? sum.firstSeconds : 0);
    if (isLast) break;
    walk.skip(Math.max(sum.bytes, 1));
  }
  return seconds > 0 ? { durationSeconds: seconds, isGuess: false } : null;
}

function headerOf(bytes: Buffer): Counted | null {
  const first = nextFrame(bytes, 0, mpegFrameAt);
  const frame = first === null ? null : mpegFrameAt(bytes, first);
  return first === null || frame === null ? null : countedFrames(bytes.subarray(first, first + frame.bytes));
}

interface Sum {
  readonly seconds: number;
  /** Of the first frame. */
  readonly firstSeconds: number;
  /** What these seconds took, what lies between frames included. */
  readonly bytes: number;
  /** All that could be looked at. */
  readonly lookedAt: number;
  /** Bytes of the smallest frame and of the largest. */
  readonly least: number;
  readonly most: number;
}

/** Adds up all frames that are whole and begin before `end`; between two, what is none is passed over. */
function addUp(bytes: Buffer, frameAt: FrameAt, end = bytes.length): Sum {
  let [at, seconds, firstSeconds] = [0, 0, 0];
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  while (at < end) {
    const frame = frameAt(bytes, at);
    if (frame === null) {
      at = nextFrame(bytes, at + 1, frameAt) ?? bytes.length;
      continue;
    }
    if (at + frame.bytes > bytes.length) break;
    least = Math.min(least, frame.bytes);
    most = Math.max(most, frame.bytes);
    if (seconds === 0) firstSeconds = frame.samples / frame.rate;
    seconds += frame.samples / frame.rate;
    at += frame.bytes;
  }
  return { seconds, firstSeconds, bytes: at, lookedAt: bytes.length, least, most };
}

/** What was not looked at is taken to be like what was. */
function lengthOf({ seconds, bytes, lookedAt }: Sum, allBytes: number): Found {
  if (lookedAt >= allBytes) return { durationSeconds: seconds };
  return { durationSeconds: (seconds * allBytes) / bytes, isGuess: true };
}

/** Where a frame begins that another follows: one alone may be chance. */
function nextFrame(bytes: Buffer, from: number, frameAt: FrameAt): number | null {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const frame = frameAt(bytes, at);
    if (frame === null) continue;
    const next = at + frame.bytes;
    if (next === bytes.length || frameAt(bytes, next)?.rate === frame.rate) return at;
  }
  return null;
}

/** Kilobits per second by index, for MPEG-1 layers I, II, III, and for MPEG-2 layer I and its others. */
const BIT_RATES = [
  [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const;
const MPEG_RATES = [44_100, 48_000, 32_000];

function mpegFrameAt(bytes: Buffer, at: number): Frame | null {
  if (at + 4 > bytes.length || bytes[at] !== 0xff) return null;
  const header = bytes.readUInt32BE(at);
  // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5; 3: layer I, 2: II, 1: III.
  const [version, layer] = [(header >>> 19) & 3, 4 - ((header >>> 17) & 3)];
  const isFirst = version === 3;
  const table = BIT_RATES[isFirst ? layer - 1 : layer === 1 ? 3 : 4];
  const kilobits = table?.[((header >>> 12) & 15) - 1];
  const rate = MPEG_RATES[(header >>> 10) & 3];
  if (header >>> 21 !== 0x7ff || version === 1 || layer === 4 || !kilobits || !rate) return null;
  const actualRate = isFirst ? rate : version === 2 ? rate / 2 : rate / 4;
  const samples = layer === 1 ? 384 : layer === 3 && !isFirst ? 576 : 1_152;
  const padding = (header >>> 9) & 1;
  const slots = Math.floor((samples * kilobits * 1_000) / 8 / actualRate / (layer === 1 ? 4 : 1)) + padding;
  return { bytes: layer === 1 ? slots * 4 : slots, samples, rate: actualRate };
}

interface Counted {
  readonly frames: number;
  /** That all frames take; null: not told. */
  readonly bytes: number | null;
}

/**
 * The number of frames by a header in the first of them, which has no sound: Xing's stands after the side information
 * (ISO/IEC 11172-3, section 2.4.1.7), Fraunhofer's VBRI after 32 bytes. Null: there is none, or it does not count.
 */
function countedFrames(frame: Buffer): Counted | null {
  if (frame.length < 50) return null;
  const isFirst = ((frame.readUInt8(1) >>> 3) & 3) === 3;
  const isMono = frame.readUInt8(3) >>> 6 === 3;
  const xing = 4 + (isFirst ? (isMono ? 17 : 32) : isMono ? 9 : 17);
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

/** Where the sound ends: ID3v1 (128 bytes), and an APE tag before it (APEv2, "APE Tags Header"), come after. */
async function beforeTags(window: ByteWindow): Promise<number> {
  let end = window.sizeBytes;
  if ((await window.upTo(Math.max(end - 128, 0), 3)).toString('latin1') === 'TAG') end -= 128;
  const footer = await window.upTo(Math.max(end - 32, 0), 32);
  if (footer.toString('latin1', 0, 8) !== 'APETAGEX') return end;
  const header = footer.readUInt32LE(20) & 0x80000000 ? 32 : 0;
  return Math.max(end - footer.readUInt32LE(12) - header, 0);
}

const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

function adtsFrameAt(bytes: Buffer, at: number): Frame | null {
  if (at + 7 > bytes.length || (bytes.readUInt16BE(at) & 0xfff6) !== 0xfff0) return null;
  const rate = AAC_RATES[(bytes.readUInt8(at + 2) >>> 2) & 15];
  const length = (bytes.readUIntBE(at + 3, 3) >>> 5) & 0x1fff;
  if (rate === undefined || length < 7) return null;
  return { bytes: length, samples: 1_024 * ((bytes.readUInt8(at + 6) & 3) + 1), rate };
}

/** By frame type, the byte that tells it included: 3GPP TS 26.101, annex A, and TS 26.201, annex A; what has no data is one byte. */
const NARROW_FRAME_BYTES = [13, 14, 16, 18, 20, 21, 27, 32, 6, 7, 6, 6, 1, 1, 1, 1];
const WIDE_FRAME_BYTES = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1];

/** Frames of 20 ms, in samples of a kilohertz. */
function amrFrameAt(sizes: readonly number[]): FrameAt {
  return (bytes, at) => ({ bytes: sizes[(bytes.readUInt8(at) >>> 3) & 15] ?? 1, samples: 20, rate: 1_000 });
}
