import type { ByteWindow } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';

/**
 * The first eight bytes of each object's GUID, which tell them apart ("Advanced Systems Format Specification", section
 * 10).
 */
const HEADER = '3026b2758e66cf11';
const FILE_PROPERTIES = 'a1dcab8c47a9cf11';
const STREAM_PROPERTIES = '9107dcb7b7a9cf11';
const VIDEO = 'c0ef19bc4d5bcf11';
const AUDIO = '409e69f84d5bcf11';
const MAX_OBJECTS = 64;

/** ASF, the container of WMV and WMA: the objects in its header (sections 3.1 to 3.3). */
export async function measureAsf(window: ByteWindow): Promise<RawMeasures> {
  if ((await window.exactly(0, 30)).toString('hex', 0, 8) !== HEADER) return {};
  let [hasVideo, hasSound] = [false, false];
  let measures: RawMeasures = {};
  let at = 30;
  for (let nth = 0; nth < MAX_OBJECTS && at + 24 <= window.sizeBytes; nth++) {
    const object = await window.upTo(at, 104);
    const [id, size] = [object.toString('hex', 0, 8), Number(object.readBigUInt64LE(16))];
    if (id === FILE_PROPERTIES) measures = { ...measures, durationSeconds: secondsOf(object) };
    if (id === STREAM_PROPERTIES) {
      const kind = object.toString('hex', 24, 32);
      hasSound ||= kind === AUDIO;
      if (kind === VIDEO && !hasVideo)
        measures = { ...measures, width: object.readUInt32LE(78), height: object.readUInt32LE(82) };
      hasVideo ||= kind === VIDEO;
    }
    if (size < 24) break;
    at += size;
  }
  return { ...measures, trackKind: trackKindOf({ hasVideo, hasSound }) };
}

/** The play duration, in 100 ns, includes the preroll, in milliseconds: section 3.2. */
function secondsOf(properties: Buffer): number {
  return Number(properties.readBigUInt64LE(64)) / 1e7 - Number(properties.readBigUInt64LE(80)) / 1_000;
}
