import { type Found, tracksOf } from '../measures.js';
import type { ByteWindow } from '../window.js';

/** Lists and chunks of an AVI that are looked at, at most. */
const MAX_CHUNKS = 64;

/** AVI (Microsoft, "AVI RIFF File Reference"): the main header, and the header of each stream. */
export async function measureAvi(window: ByteWindow): Promise<Found> {
  const riff = (await window.exactly(0, 12)).toString('latin1');
  if (!riff.startsWith('RIFF') || riff.slice(8) !== 'AVI ') return {};
  const found = { width: 0, height: 0, seconds: 0, hasVideo: false, hasSound: false };
  let at = 12;
  for (let nth = 0; nth < MAX_CHUNKS && at + 8 <= window.sizeBytes; nth++) {
    const header = await window.upTo(at, 12);
    const [type, size] = [header.toString('latin1', 0, 4), header.readUInt32LE(4)];
    if (type === 'LIST') {
      const list = header.toString('latin1', 8, 12);
      if (list === 'movi') break;
      // What is in it follows.
      at += 12;
      continue;
    }
    if (type === 'avih') {
      const main = await window.exactly(at + 8, 40);
      [found.width, found.height] = [main.readUInt32LE(32), main.readUInt32LE(36)];
      found.seconds = (main.readUInt32LE(0) * main.readUInt32LE(16)) / 1e6;
    }
    if (type === 'strh') {
      const stream = await window.exactly(at + 8, 36);
      const kind = stream.toString('latin1', 0, 4);
      found.hasVideo ||= kind === 'vids';
      found.hasSound ||= kind === 'auds';
      const seconds = (stream.readUInt32LE(32) * stream.readUInt32LE(20)) / stream.readUInt32LE(24);
      if (Number.isFinite(seconds)) found.seconds = Math.max(found.seconds, seconds);
    }
    at += 8 + size + (size % 2);
  }
  const { width, height, seconds, ...kinds } = found;
  return { width, height, durationSeconds: seconds, tracks: tracksOf(kinds) };
}

const TAG_BYTES = 11;
const SOUND_TAG = 8;
const VIDEO_TAG = 9;
const SCRIPT_TAG = 18;
/** Tags at the front that are looked at for their kinds. */
const MAX_TAGS = 64;
const MAX_SCRIPT_BYTES = 16 * 1024;

/** FLV (Adobe, "Video File Format Specification" version 10.1, annex E): from the first tag's time to the last one's. */
export async function measureFlv(window: ByteWindow): Promise<Found> {
  const header = await window.exactly(0, 9);
  if (header.toString('latin1', 0, 3) !== 'FLV') return {};
  let at = header.readUInt32BE(5) + 4;
  let [hasVideo, hasSound] = [false, false];
  let first: number | null = null;
  let size: Found = {};
  for (let nth = 0; nth < MAX_TAGS && at + TAG_BYTES <= window.sizeBytes; nth++) {
    const tag = await window.exactly(at, TAG_BYTES);
    const [type, bytes] = [tag.readUInt8(0) & 0x1f, tag.readUIntBE(1, 3)];
    hasVideo ||= type === VIDEO_TAG;
    hasSound ||= type === SOUND_TAG;
    if (type === SCRIPT_TAG && size.width === undefined)
      size = sizeIn(await window.upTo(at + TAG_BYTES, Math.min(bytes, MAX_SCRIPT_BYTES)));
    else if (type === VIDEO_TAG || type === SOUND_TAG) first ??= timeOf(tag);
    at += TAG_BYTES + bytes + 4;
  }
  const end = await window.exactly(Math.max(window.sizeBytes - 4, 0), 4);
  const start = window.sizeBytes - 4 - end.readUInt32BE(0);
  const last = start >= 9 ? timeOf(await window.exactly(start, TAG_BYTES)) : 0;
  return { ...size, durationSeconds: (last - (first ?? 0)) / 1_000, tracks: tracksOf({ hasVideo, hasSound }) };
}

/** Milliseconds, whose highest byte stands behind the others. */
function timeOf(tag: Buffer): number {
  return tag.readUIntBE(4, 3) + tag.readUInt8(7) * 2 ** 24;
}

/** Numbers of `onMetaData` (section E.5): a name, the type 0, and a double. */
function sizeIn(script: Buffer): Found {
  const [width, height] = ['width', 'height'].map((name) => {
    const at = script.indexOf(`\0${String.fromCharCode(name.length)}${name}\0`, 0, 'latin1');
    const value = at < 0 ? at : at + name.length + 3;
    return at < 0 || value + 8 > script.length ? 0 : script.readDoubleBE(value);
  });
  return { width, height };
}
