import { ByteWalk } from '../chunks.js';
import { type Found, tracksOf } from '../measures.js';
import type { MeasuredSource } from '../window.js';
import { codecOf, type OggCodec } from './codecs.js';

/** A page is no longer: RFC 3533, section 6. */
const MAX_PAGE_BYTES = 27 + 255 + 255 * 255;
/** As many streams side by side, at most. */
const MAX_STREAMS = 16;
/** As many links of a chain, at most. */
const MAX_LINKS = 10_000;
/** Of packets that are looked at: longer than any set of codebooks. */
const MAX_PACKET_BYTES = 256 * 1024;

interface Page {
  readonly isFirst: boolean;
  readonly isContinued: boolean;
  readonly serial: number;
  /** null: no packet ends on this page. */
  readonly granule: bigint | null;
  readonly segments: Buffer;
  readonly body: Buffer;
}

/** One logical stream of one link. */
class Stream {
  readonly codec: OggCodec;
  #packet: Buffer[] = [];
  #packets = 0;
  /** Units of what the packets before the first granule hold. */
  #units = 0;
  #first: number | null = null;
  #last: number | null = null;

  constructor(codec: OggCodec) {
    this.codec = codec;
  }

  take(page: Page): void {
    const { granule } = page;
    if (this.#first === null) this.#takePackets(page);
    if (granule === null) return;
    const units = this.codec.unitsAt(granule);
    // Header pages are at zero. RFC 7845, section 4.4: sound that begins later than at zero was cut out of something longer.
    if (this.#first === null && units > 0) this.#first = Math.max(units - this.#units, 0);
    if (this.#first !== null && units > (this.#last ?? 0)) this.#last = units;
  }

  get seconds(): number {
    if (this.#first === null || this.#last === null) return 0;
    return Math.max((this.#last - this.#first - this.codec.skippedUnits) / this.codec.unitsPerSecond, 0);
  }

  // Packets up to the first page that counts, as they lie in its segments.
  #takePackets({ segments, body, isContinued }: Page): void {
    if (!isContinued) this.#packet = [];
    let at = 0;
    for (const segment of segments) {
      if (this.#packet.reduce((sum, { length }) => sum + length, 0) < MAX_PACKET_BYTES)
        this.#packet.push(body.subarray(at, at + segment));
      at += segment;
      if (segment === 255) continue;
      this.#packets += 1;
      const packet = Buffer.concat(this.#packet);
      if (this.#packets > this.codec.headerPackets) this.#units += this.codec.unitsOf(packet);
      else this.codec.header(packet);
      this.#packet = [];
    }
  }
}

/**
 * All pages of an Ogg: each link of a chain (RFC 3533, section 4) is as long as the longest of its streams, from where that
 * begins to where it ends.
 */
export async function measureOggPages(source: MeasuredSource): Promise<Found | null> {
  const walk = new ByteWalk(source);
  let streams = new Map<number, Stream>();
  let others = new Set<number>();
  let [isBeginning, seconds, links] = [true, 0, 0];
  let [hasVideo, hasSound] = [false, false];
  let size: Found = {};
  const end = () => {
    seconds += Math.max(0, ...[...streams.values()].map((stream) => stream.seconds));
    streams = new Map();
    others = new Set();
  };
  for (let page = await nextPage(walk); page !== null; page = await nextPage(walk)) {
    if (page.isFirst) {
      if (!isBeginning || streams.has(page.serial)) {
        end();
        links += 1;
        if (links > MAX_LINKS) return null;
      }
      isBeginning = true;
      const codec = streams.size + others.size < MAX_STREAMS ? codecOf(page.body) : null;
      if (codec === null) others.add(page.serial);
      else {
        streams.set(page.serial, new Stream(codec));
        hasVideo ||= codec.size !== null;
        hasSound ||= codec.size === null;
        if (codec.size !== null && size.width === undefined) size = codec.size;
      }
    } else isBeginning = false;
    streams.get(page.serial)?.take(page);
  }
  end();
  return { ...size, tracks: tracksOf({ hasVideo, hasSound }), ...(seconds > 0 && { durationSeconds: seconds }) };
}

/** What lies between pages is passed over. */
async function nextPage(walk: ByteWalk): Promise<Page | null> {
  while (!walk.isAtEnd) {
    const bytes = await walk.ahead(MAX_PAGE_BYTES);
    const at = bytes.indexOf('OggS');
    if (at !== 0) {
      // The pattern may begin here and end in what is not here yet.
      walk.skip(at < 0 ? Math.max(bytes.length - 3, 1) : at);
      continue;
    }
    const page = pageOf(bytes);
    if (page === null) {
      walk.skip(4);
      continue;
    }
    walk.skip(27 + page.segments.length + page.body.length);
    return page;
  }
  return null;
}

/** RFC 3533, section 6; null for what is none, or is cut short. */
function pageOf(bytes: Buffer): Page | null {
  if (bytes.length < 27 || bytes.readUInt8(4) !== 0) return null;
  const flags = bytes.readUInt8(5);
  const segments = bytes.subarray(27, 27 + bytes.readUInt8(26));
  const bodyBytes = segments.reduce((sum, segment) => sum + segment, 0);
  const body = bytes.subarray(27 + segments.length, 27 + segments.length + bodyBytes);
  if (segments.length < bytes.readUInt8(26) || body.length < bodyBytes) return null;
  const granule = bytes.readBigInt64LE(6);
  return {
    isFirst: (flags & 2) !== 0,
    isContinued: (flags & 1) !== 0,
    serial: bytes.readUInt32LE(14),
    granule: granule < 0n ? null : granule,
    segments,
    body,
  };
}
