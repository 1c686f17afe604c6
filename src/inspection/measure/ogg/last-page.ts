import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';

/**
 * The longest page (RFC 3533, section 6). The last page of a single stream begins within that distance from the end.
 */
const TAIL_BYTES = 65_536;
/** Where several streams are interleaved, the last page of one of them may lie further from the end. */
const MAX_TAILS = 4;
const MAX_STREAMS = 8;

interface Stream {
  readonly serial: number;
  readonly unitsPerSecond: number;
  /** Samples that a decoder drops from the front. */
  readonly preSkip: number;
}

/** Ogg (RFC 3533): the length is the granule position of the last page of its first known stream. */
export async function measureOggLastPage(window: ByteWindow): Promise<Partial<Measures>> {
  const stream = await findStream(window);
  const granule = stream && (await lastGranule(window, stream.serial));
  if (stream === null || granule === null) return {};
  return { durationSeconds: (granule - stream.preSkip) / stream.unitsPerSecond };
}

/** The first pages of all streams come before any other page. */
async function findStream(window: ByteWindow): Promise<Stream | null> {
  let at = 0;
  for (let nth = 0; nth < MAX_STREAMS; nth++) {
    const header = await window.exactly(at, 27);
    if (!isPage(header, 0) || (header.readUInt8(5) & 2) === 0) return null;
    const segments = await window.exactly(at + 27, header.readUInt8(26));
    const start = at + 27 + segments.length;
    const bytes = segments.reduce((sum, segment) => sum + segment, 0);
    const stream = streamOf(await window.upTo(start, Math.min(bytes, 32)), header.readUInt32LE(14));
    if (stream !== null) return stream;
    at = start + bytes;
  }
  return null;
}

function streamOf(packet: Buffer, serial: number): Stream | null {
  // RFC 7845, sections 4 and 5.1: Opus counts at 48 kHz, whatever the input's rate.
  if (packet.toString('latin1', 0, 8) === 'OpusHead') {
    return { serial, unitsPerSecond: 48_000, preSkip: packet.readUInt16LE(10) };
  }
  // Vorbis I specification, section 4.2.2.
  if (packet.toString('latin1', 0, 7) === '\x01vorbis') {
    return { serial, unitsPerSecond: packet.readUInt32LE(12), preSkip: 0 };
  }
  return null;
}

async function lastGranule(window: ByteWindow, serial: number): Promise<number | null> {
  let end = window.sizeBytes;
  for (let nth = 0; nth < MAX_TAILS && end > 0; nth++) {
    const start = Math.max(end - TAIL_BYTES, 0);
    // A page header may begin in this part and end in the one after it.
    const tail = await window.upTo(start, end - start + 26);
    for (let at = tail.lastIndexOf('OggS'); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf('OggS', at - 1)) {
      if (tail.length < at + 27 || !isPage(tail, at) || tail.readUInt32LE(at + 14) !== serial) continue;
      const granule = tail.readBigInt64LE(at + 6);
      // -1 marks a page on which no packet ends.
      if (granule !== -1n) return Number(granule);
    }
    end = start;
  }
  return null;
}

/** Whether the capture pattern and the only version, 0, are at that offset. */
function isPage(bytes: Buffer, at: number): boolean {
  return bytes.toString('latin1', at, at + 4) === 'OggS' && bytes.readUInt8(at + 4) === 0;
}
