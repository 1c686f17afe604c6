import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';

/**
 * AIFF and AIFF-C (Audio Interchange File Format 1.3, "Common Chunk"): the number of frames, and their rate as an
 * 80-bit float (Apple Numerics Manual, "SANE data types").
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
