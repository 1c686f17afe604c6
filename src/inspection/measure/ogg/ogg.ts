import type { Measures } from '../measures.js';
import type { ByteWindow } from '../window.js';

/** No page is longer (RFC 3533, section 6), so the last of the only stream begins within so many bytes. */
const TAIL_BYTES = 65_536;
/** Where several streams are interleaved, the last page of one may be further in front. */
const MAX_TAILS = 4;
const MAX_STREAMS = 8;

interface Stream {
  readonly serial: number;
  readonly unitsPerSecond: number;
  /** Samples to be dropped from the front of what a decoder gives. */
  readonly preSkip: number;
}

/** Ogg (RFC 3533): how far its last page counts. */
export async function measureOgg(window: ByteWindow): Promise<Partial<Measures>> {
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
  // RFC 7845, sections 4 and 5.1: Opus counts at 48 kHz, whatever went in.
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
    // A page's header may begin in this part and end in the next.
    const tail = await window.upTo(start, end - start + 26);
    for (let at = tail.lastIndexOf('OggS'); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf('OggS', at - 1)) {
      if (tail.length < at + 27 || !isPage(tail, at) || tail.readUInt32LE(at + 14) !== serial) continue;
      const granule = tail.readBigInt64LE(at + 6);
      // -1: no packet ends on this page.
      if (granule !== -1n) return Number(granule);
    }
    end = start;
  }
  return null;
}

/** The capture pattern and the only version there is. */
function isPage(bytes: Buffer, at: number): boolean {
  return bytes.toString('latin1', at, at + 4) === 'OggS' && bytes.readUInt8(at + 4) === 0;
}
