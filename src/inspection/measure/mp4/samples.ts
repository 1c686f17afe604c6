import { afterId3 } from '../frames.js';
import type { Measures } from '../measures.js';
import type { ByteWindow } from '../window.js';

/** PCM, floats, A-law, µ-law, and the extensible form, in which messaging has no other. */
const EVEN_FORMATS = [0x0001, 0x0003, 0x0006, 0x0007, 0xfffe];

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
      if (samples > 0 && !EVEN_FORMATS.includes(format.readUInt16LE(0))) return { durationSeconds: samples / rate };
      // A writer that could not go back leaves 0 or all ones.
      const left = window.sizeBytes - at - 8;
      return { durationSeconds: (size === 0 ? left : Math.min(size, left)) / bytesPerSecond };
    }
    // Chunks begin at even places.
    at += 8 + size + (size % 2);
  }
}

/** FLAC (RFC 9639, section 8.2): its first block tells rate and samples. */
export async function measureFlac(window: ByteWindow): Promise<Partial<Measures>> {
  const block = await window.exactly(await afterId3(window), 26);
  if (block.toString('latin1', 0, 4) !== 'fLaC' || (block.readUInt8(4) & 0x7f) !== 0) return {};
  const rate = block.readUIntBE(18, 3) >> 4;
  const samples = (block.readUInt8(21) & 0x0f) * 2 ** 32 + block.readUInt32BE(22);
  return { durationSeconds: samples / rate };
}

/**
 * AIFF and AIFF-C (Audio Interchange File Format 1.3, "Common Chunk"): frames, and their rate as an 80-bit float (Apple
 * Numerics Manual, "SANE data types").
 */
export async function measureAiff(window: ByteWindow): Promise<Partial<Measures>> {
  const form = (await window.exactly(0, 12)).toString('latin1');
  if (!form.startsWith('FORM') || !/^AIF[FC]$/.test(form.slice(8))) return {};
  for (let at = 12; ; ) {
    const header = await window.exactly(at, 8);
    const size = header.readUInt32BE(4);
    if (header.toString('latin1', 0, 4) === 'COMM') {
      const common = await window.exactly(at + 8, 18);
      const rate = common.readUInt32BE(10) * 2 ** ((common.readUInt16BE(8) & 0x7fff) - 16_383 - 31);
      return { durationSeconds: common.readUInt32BE(2) / rate };
    }
    at += 8 + size + (size % 2);
  }
}
