import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';

/** PCM, floats, A-law, µ-law, and the extensible form of these: formats whose bytes per second are constant. */
const CONSTANT_RATE_FORMATS = [0x0001, 0x0003, 0x0006, 0x0007, 0xfffe];

/** RIFF WAVE (Multimedia Programming Interface and Data Specifications 1.0, "Waveform Audio File Format"). */
export async function measureWav(window: ByteWindow): Promise<Partial<Measures>> {
  const riff = await window.exactly(0, 12);
  if (!/^(RIFF|RF64)$/.test(riff.toString('latin1', 0, 4)) || riff.toString('latin1', 8) !== 'WAVE') return {};
  let format: Buffer | null = null;
  let samples = 0;
  for (let at = 12; ; ) {
    const header = await window.exactly(at, 8);
    const size = header.readUInt32LE(4);
    const type = header.toString('latin1', 0, 4);
    if (type === 'fmt ') format = await window.exactly(at + 8, 16);
    else if (type === 'fact') samples = (await window.exactly(at + 8, 4)).readUInt32LE(0);
    else if (type === 'data') {
      if (format === null) return {};
      const [rate, bytesPerSecond] = [format.readUInt32LE(4), format.readUInt32LE(8)];
      if (samples > 0 && !CONSTANT_RATE_FORMATS.includes(format.readUInt16LE(0)))
        return { durationSeconds: samples / rate };
      // A writer that cannot seek back leaves a size of 0 or of all ones.
      const left = window.sizeBytes - at - 8;
      return { durationSeconds: (size === 0 ? left : Math.min(size, left)) / bytesPerSecond };
    }
    // Chunks begin at even offsets.
    at += 8 + size + (size % 2);
  }
}
