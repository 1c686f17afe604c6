import { ByteWalk } from '../byte-walk.js';
import { ByteWindow, type MeasuredSource } from '../byte-window.js';
import type { RawMeasures } from '../measures.js';
import { extrapolate, type Frame, measureAllFrames, sumFrames } from './frames.js';
import { endOfId3 } from './id3.js';

const SAMPLE_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/** AAC as an ADTS stream: ISO/IEC 13818-7, section 6.2. */
export async function measureAac(window: ByteWindow): Promise<RawMeasures> {
  const start = await endOfId3(window);
  return extrapolate(sumFrames(await window.upToLimit(start), adtsFrameAt), window.sizeBytes - start);
}

/** The length by all frames. Null: there is none. */
export async function measureAacFrames(source: MeasuredSource): Promise<RawMeasures | null> {
  const start = await endOfId3(new ByteWindow(source));
  return await measureAllFrames(new ByteWalk(source, start), adtsFrameAt);
}

function adtsFrameAt(bytes: Buffer, at: number): Frame | null {
  if (at + 7 > bytes.length || (bytes.readUInt16BE(at) & 0xfff6) !== 0xfff0) return null;
  const rate = SAMPLE_RATES[(bytes.readUInt8(at + 2) >>> 2) & 15];
  const length = (bytes.readUIntBE(at + 3, 3) >>> 5) & 0x1fff;
  if (rate === undefined || length < 7) return null;
  return { bytes: length, samples: 1_024 * ((bytes.readUInt8(at + 6) & 3) + 1), rate };
}
