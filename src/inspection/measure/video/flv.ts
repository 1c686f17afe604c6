import type { ByteWindow } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';

const TAG_BYTES = 11;
const SOUND_TAG = 8;
const VIDEO_TAG = 9;
const SCRIPT_TAG = 18;
/** The most leading tags that are read to find out which kinds there are. */
const MAX_TAGS = 64;
const MAX_SCRIPT_BYTES = 16 * 1024;

/**
 * FLV (Adobe, "Video File Format Specification" version 10.1, annex E). The length is that from the first tag's
 * timestamp to the last one's.
 */
export async function measureFlv(window: ByteWindow): Promise<RawMeasures> {
  const header = await window.exactly(0, 9);
  if (header.toString('latin1', 0, 3) !== 'FLV') return {};
  let at = header.readUInt32BE(5) + 4;
  let [hasVideo, hasSound] = [false, false];
  let first: number | null = null;
  let size: RawMeasures = {};
  for (let nth = 0; nth < MAX_TAGS && at + TAG_BYTES <= window.sizeBytes; nth++) {
    const tag = await window.exactly(at, TAG_BYTES);
    const [type, bytes] = [tag.readUInt8(0) & 0x1f, tag.readUIntBE(1, 3)];
    hasVideo ||= type === VIDEO_TAG;
    hasSound ||= type === SOUND_TAG;
    if (type === SCRIPT_TAG && size.width === undefined)
      size = sizeInMetadata(await window.upTo(at + TAG_BYTES, Math.min(bytes, MAX_SCRIPT_BYTES)));
    else if (type === VIDEO_TAG || type === SOUND_TAG) first ??= timestampOf(tag);
    at += TAG_BYTES + bytes + 4;
  }
  const end = await window.exactly(Math.max(window.sizeBytes - 4, 0), 4);
  const start = window.sizeBytes - 4 - end.readUInt32BE(0);
  const last = start >= 9 ? timestampOf(await window.exactly(start, TAG_BYTES)) : 0;
  return { ...size, durationSeconds: (last - (first ?? 0)) / 1_000, trackKind: trackKindOf({ hasVideo, hasSound }) };
}

/** Milliseconds. The highest byte follows the three lower ones. */
function timestampOf(tag: Buffer): number {
  return tag.readUIntBE(4, 3) + tag.readUInt8(7) * 2 ** 24;
}

/** The size in `onMetaData` (section E.5), where a number is a name, the type 0, and a double. */
function sizeInMetadata(script: Buffer): RawMeasures {
  const [width, height] = ['width', 'height'].map((name) => {
    const at = script.indexOf(`\0${String.fromCharCode(name.length)}${name}\0`, 0, 'latin1');
    const value = at < 0 ? at : at + name.length + 3;
    return at < 0 || value + 8 > script.length ? 0 : script.readDoubleBE(value);
  });
  return { width, height };
}
