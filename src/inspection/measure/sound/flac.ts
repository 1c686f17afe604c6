import type { ByteWindow, MeasuredSource } from '../byte-window.js';
import type { RawMeasures } from '../measures.js';
import { endOfId3 } from './id3.js';

/** Larger than a frame of the largest block in eight channels, unless nothing in it could be compressed. */
const TAIL_BYTES = 256 * 1024;

/** FLAC (RFC 9639, section 8.2): the first block holds the sample rate and the number of samples. */
export async function measureFlac(window: ByteWindow): Promise<RawMeasures> {
  const block = await window.exactly(await endOfId3(window), 26);
  if (block.toString('latin1', 0, 4) !== 'fLaC' || (block.readUInt8(4) & 0x7f) !== 0) return {};
  const rate = block.readUIntBE(18, 3) >> 4;
  const samples = (block.readUInt8(21) & 0x0f) * 2 ** 32 + block.readUInt32BE(22);
  return { durationSeconds: samples / rate };
}

/**
 * The length up to the last frame, by the position in its header (RFC 9639, section 9.1). A stream that was cut short,
 * or written to a pipe, has another length than its header says. Null: no frame was found, or the header is right.
 */
export async function measureFlacEnd(
  source: MeasuredSource,
  { durationSeconds }: RawMeasures,
): Promise<RawMeasures | null> {
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
  // The last frame may be shorter than the others, so within one block the header is more exact.
  return durationSeconds && Math.abs(durationSeconds - seconds) <= largest / rate ? null : { durationSeconds: seconds };
}

/** The number of samples up to the end of the last frame whose header is whole. Null: there is none. */
function lastSample(bytes: Buffer, largest: number): number | null {
  for (let at = bytes.lastIndexOf(0xff); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(0xff, at - 1)) {
    const end = frameEnd(bytes, at, largest);
    if (end !== null) return end;
  }
  return null;
}

/** The number of samples up to the end of the frame whose header is at that offset. Null: there is no such header. */
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

/** A number of up to 36 bits in the encoding of UTF-8: section 9.1.5. */
function codedNumber(bytes: Buffer, at: number): { readonly value: number; readonly next: number } | null {
  const first = bytes.readUInt8(at);
  if (first < 0x80) return { value: first, next: at + 1 };
  const length = Math.clz32(~(first << 24));
  if (length < 2 || length > 7) return null;
  let value = first & (0x7f >> length);
  for (let index = 1; index < length; index++) value = value * 64 + (bytes.readUInt8(at + index) & 0x3f);
  return { value, next: at + length };
}

/** CRC-8 with the polynomial x^8 + x^2 + x + 1: section 9.1.8. */
function crc8(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc;
}
