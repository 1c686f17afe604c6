import { type Found, tracksOf } from '../measures.js';
import type { ByteWindow } from '../window.js';

/** Their first eight bytes, which no other object shares ("Advanced Systems Format Specification", section 10). */
const HEADER = '3026b2758e66cf11';
const FILE_PROPERTIES = 'a1dcab8c47a9cf11';
const STREAM_PROPERTIES = '9107dcb7b7a9cf11';
const VIDEO = 'c0ef19bc4d5bcf11';
const AUDIO = '409e69f84d5bcf11';
const MAX_OBJECTS = 64;

/** ASF, which WMV and WMA are: the objects in its header (sections 3.1 to 3.3). */
export async function measureAsf(window: ByteWindow): Promise<Found> {
  if ((await window.exactly(0, 30)).toString('hex', 0, 8) !== HEADER) return {};
  let [hasVideo, hasSound] = [false, false];
  let found: Found = {};
  let at = 30;
  for (let nth = 0; nth < MAX_OBJECTS && at + 24 <= window.sizeBytes; nth++) {
    const object = await window.upTo(at, 104);
    const [id, size] = [object.toString('hex', 0, 8), Number(object.readBigUInt64LE(16))];
    if (id === FILE_PROPERTIES) found = { ...found, durationSeconds: secondsOf(object) };
    if (id === STREAM_PROPERTIES) {
      const kind = object.toString('hex', 24, 32);
      hasSound ||= kind === AUDIO;
      if (kind === VIDEO && !hasVideo)
        found = { ...found, width: object.readUInt32LE(78), height: object.readUInt32LE(82) };
      hasVideo ||= kind === VIDEO;
    }
    if (size < 24) break;
    at += size;
  }
  return { ...found, tracks: tracksOf({ hasVideo, hasSound }) };
}

/** In units of 100 ns, with the time that a player waits before it begins, in milliseconds: section 3.2. */
function secondsOf(properties: Buffer): number {
  return Number(properties.readBigUInt64LE(64)) / 1e7 - Number(properties.readBigUInt64LE(80)) / 1_000;
}
