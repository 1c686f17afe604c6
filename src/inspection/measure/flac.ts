import type { Found } from './measures.js';
import type { MeasuredSource } from './window.js';

/** A frame of the largest block, in eight channels, is longer only where nothing could be compressed. */
const TAIL_BYTES = 256 * 1024;

/** How far the last frame goes, where that is told (RFC 9639, section 9.1), since a stream that was cut short or written to a pipe has another length than its header. */
export async function measureFlacEnd(source: MeasuredSource, { durationSeconds }: Found): Promise<Found | null> {
  const front = await source.read(0, Math.min(TAIL_BYTES, source.sizeBytes) - 1);
  const start = front.indexOf('fLaC');
  if (start < 0 || front.length < start + 26) return null;
  const [largest, rate] = [front.readUInt16BE(start + 10), front.readUIntBE(start + 18, 3) >> 4];
  if (rate === 0) return null;
  const from = Math.max(source.sizeBytes - TAIL_BYTES, 0);
  const tail = from === 0 ? front : await source.read(from, source.sizeBytes - 1);
  const end = lastSample(tail, largest);
  if (end === null) return null;
  const seconds = end / rate;
  // The header is exact where both agree; the last frame is shorter than the others.
  return durationSeconds && Math.abs(durationSeconds - seconds) <= largest / rate ? null : { durationSeconds: seconds };
}

/** Backwards, the first frame header that is whole: its number, times the length of a block, and its own length. */
function lastSample(bytes: Buffer, largest: number): number | null {
  for (let at = bytes.lastIndexOf(0xff); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(0xff, at - 1)) {
    const end = frameEnd(bytes, at, largest);
    if (end !== null) return end;
  }
  return null;
}

function frameEnd(bytes: Buffer, at: number, largest: number): number | null {
  if (at + 16 > bytes.length || (bytes.readUInt16BE(at) & 0xfffe) !== 0xfff8) return null;
  const isVariable = (bytes.readUInt8(at + 1) & 1) === 1;
  const [sizeCode, rateCode] = [bytes.readUInt8(at + 2) >> 4, bytes.readUInt8(at + 2) & 15];
  if (sizeCode === 0 || rateCode === 15) return null;
  const coded = codedNumber(bytes, at + 4);
  if (coded === null) return null;
  let next = coded.next;
  let block = sizeCode === 1 ? 192 : sizeCode < 6 ? 576 << (sizeCode - 2) : 256 << (sizeCode - 8);
  if (sizeCode === 6) block = bytes.readUInt8(next) + 1;
  if (sizeCode === 7) block = bytes.readUInt16BE(next) + 1;
  next += sizeCode === 6 ? 1 : sizeCode === 7 ? 2 : 0;
  next += rateCode === 12 ? 1 : rateCode === 13 || rateCode === 14 ? 2 : 0;
  if (next >= bytes.length || crc8(bytes.subarray(at, next)) !== bytes.readUInt8(next)) return null;
  return isVariable ? coded.value + block : coded.value * largest + block;
}

/** As UTF-8 is written, up to 36 bits: section 9.1.5. */
function codedNumber(bytes: Buffer, at: number): { readonly value: number; readonly next: number } | null {
  const first = bytes.readUInt8(at);
  if (first < 0x80) return { value: first, next: at + 1 };
  const length = Math.clz32(~(first << 24));
  if (length < 2 || length > 7) return null;
  let value = first & (0x7f >> length);
  for (let index = 1; index < length; index++) value = value * 64 + (bytes.readUInt8(at + index) & 0x3f);
  return { value, next: at + length };
}

/** Section 9.1.8: x^8 + x^2 + x + 1. */
function crc8(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc;
}
