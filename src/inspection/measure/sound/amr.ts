import { ByteWalk } from '../byte-walk.js';
import { ByteWindow, type MeasuredSource } from '../byte-window.js';
import type { RawMeasures } from '../measures.js';
import { extrapolate, type FrameAt, measureAllFrames, sumFrames } from './frames.js';

/**
 * The signature of each band, and its frame sizes by frame type, with the byte that holds the type: 3GPP TS 26.101,
 * annex A, and TS 26.201, annex A. A type without data takes one byte.
 */
const BANDS = [
  { magic: '#!AMR-WB\n', frameBytes: [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1] },
  { magic: '#!AMR\n', frameBytes: [13, 14, 16, 18, 20, 21, 27, 32, 6, 7, 6, 6, 1, 1, 1, 1] },
] as const;

/** AMR and AMR-WB files of one channel: RFC 4867, section 5. */
export async function measureAmr(window: ByteWindow): Promise<RawMeasures> {
  const band = await bandOf(window);
  if (band === null) return {};
  const start = band.magic.length;
  return extrapolate(sumFrames(await window.upToLimit(start), frameAtOf(band)), window.sizeBytes - start);
}

/** The length by all frames. Null: there is none. */
export async function measureAmrFrames(source: MeasuredSource): Promise<RawMeasures | null> {
  const band = await bandOf(new ByteWindow(source));
  return band && (await measureAllFrames(new ByteWalk(source, band.magic.length), frameAtOf(band)));
}

type Band = (typeof BANDS)[number];

/** Null: the media is no AMR of one channel. */
async function bandOf(window: ByteWindow): Promise<Band | null> {
  const start = (await window.upTo(0, BANDS[0].magic.length)).toString('latin1');
  return BANDS.find(({ magic }) => start.startsWith(magic)) ?? null;
}

/** Every frame lasts 20 ms: 20 samples at a rate of one kilohertz. */
function frameAtOf({ frameBytes }: Band): FrameAt {
  return (bytes, at) => ({ bytes: frameBytes[(bytes.readUInt8(at) >>> 3) & 15] ?? 1, samples: 20, rate: 1_000 });
}
