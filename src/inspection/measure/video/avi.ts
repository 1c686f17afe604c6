import type { ByteWindow } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';

/** The most lists and chunks that are read. */
const MAX_CHUNKS = 64;

/** AVI (Microsoft, "AVI RIFF File Reference"): the main header, and the header of each stream. */
export async function measureAvi(window: ByteWindow): Promise<RawMeasures> {
  const riff = (await window.exactly(0, 12)).toString('latin1');
  if (!riff.startsWith('RIFF') || riff.slice(8) !== 'AVI ') return {};
  const header = { width: 0, height: 0, seconds: 0, hasVideo: false, hasSound: false };
  let at = 12;
  for (let nth = 0; nth < MAX_CHUNKS && at + 8 <= window.sizeBytes; nth++) {
    const chunk = await window.upTo(at, 12);
    const [type, size] = [chunk.toString('latin1', 0, 4), chunk.readUInt32LE(4)];
    if (type === 'LIST') {
      const list = chunk.toString('latin1', 8, 12);
      if (list === 'movi') break;
      // Continue with the list's content.
      at += 12;
      continue;
    }
    if (type === 'avih') {
      const main = await window.exactly(at + 8, 40);
      [header.width, header.height] = [main.readUInt32LE(32), main.readUInt32LE(36)];
      header.seconds = (main.readUInt32LE(0) * main.readUInt32LE(16)) / 1e6;
    }
    if (type === 'strh') {
      const stream = await window.exactly(at + 8, 36);
      const kind = stream.toString('latin1', 0, 4);
      header.hasVideo ||= kind === 'vids';
      header.hasSound ||= kind === 'auds';
      const seconds = (stream.readUInt32LE(32) * stream.readUInt32LE(20)) / stream.readUInt32LE(24);
      if (Number.isFinite(seconds)) header.seconds = Math.max(header.seconds, seconds);
    }
    at += 8 + size + (size % 2);
  }
  const { width, height, seconds, ...tracks } = header;
  return { width, height, durationSeconds: seconds, trackKind: trackKindOf(tracks) };
}
