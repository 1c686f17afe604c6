import { ByteWalk } from '../byte-walk.js';
import type { MeasuredSource } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';
import { codecOf, type OggCodec } from './codecs.js';

/** The longest page: RFC 3533, section 6. */
const MAX_PAGE_BYTES = 27 + 255 + 255 * 255;
/** The most streams that are measured within one link. */
const MAX_STREAMS = 16;
/** The most links of a chain. */
const MAX_LINKS = 10_000;
/** The most bytes of a packet that are read. Larger than any set of codebooks. */
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

/** Measures one logical stream of one link. */
class Stream {
  readonly codec: OggCodec;
  #packet: Buffer[] = [];
  #packets = 0;
  /** The units in the packets before the first granule position. */
  #unitsBeforeFirst = 0;
  #firstUnit: number | null = null;
  #lastUnit: number | null = null;

  constructor(codec: OggCodec) {
    this.codec = codec;
  }

  addPage(page: Page): void {
    const { granule } = page;
    if (this.#firstUnit === null) this.#addPackets(page);
    if (granule === null) return;
    const units = this.codec.unitsAt(granule);
    // Header pages have position zero. Sound that begins later was cut out of a longer stream (RFC 7845, section 4.4).
    if (this.#firstUnit === null && units > 0) this.#firstUnit = Math.max(units - this.#unitsBeforeFirst, 0);
    if (this.#firstUnit !== null && units > (this.#lastUnit ?? 0)) this.#lastUnit = units;
  }

  get seconds(): number {
    if (this.#firstUnit === null || this.#lastUnit === null) return 0;
    return Math.max((this.#lastUnit - this.#firstUnit - this.codec.skippedUnits) / this.codec.unitsPerSecond, 0);
  }

  // Splits the segments of a page into packets, for pages up to the first one with a granule position.
  #addPackets({ segments, body, isContinued }: Page): void {
    if (!isContinued) this.#packet = [];
    let at = 0;
    for (const segment of segments) {
      if (this.#packet.reduce((sum, { length }) => sum + length, 0) < MAX_PACKET_BYTES)
        this.#packet.push(body.subarray(at, at + segment));
      at += segment;
      if (segment === 255) continue;
      this.#packets += 1;
      const packet = Buffer.concat(this.#packet);
      if (this.#packets > this.codec.headerPackets) this.#unitsBeforeFirst += this.codec.unitsOf(packet);
      else this.codec.readHeader(packet);
      this.#packet = [];
    }
  }
}

/**
 * Ogg by all of its pages. The links of a chain (RFC 3533, section 4) are added up, each as long as the longest of its
 * streams.
 */
export async function measureOggPages(source: MeasuredSource): Promise<RawMeasures | null> {
  const walk = new ByteWalk(source);
  let streams = new Map<number, Stream>();
  let unknownSerials = new Set<number>();
  let [isBeginning, seconds, links] = [true, 0, 0];
  let [hasVideo, hasSound] = [false, false];
  let size: RawMeasures = {};
  const endLink = () => {
    seconds += Math.max(0, ...[...streams.values()].map((stream) => stream.seconds));
    streams = new Map();
    unknownSerials = new Set();
  };
  for (let page = await nextPage(walk); page !== null; page = await nextPage(walk)) {
    if (page.isFirst) {
      if (!isBeginning || streams.has(page.serial)) {
        endLink();
        links += 1;
        if (links > MAX_LINKS) return null;
      }
      isBeginning = true;
      const codec = streams.size + unknownSerials.size < MAX_STREAMS ? codecOf(page.body) : null;
      if (codec === null) unknownSerials.add(page.serial);
      else {
        streams.set(page.serial, new Stream(codec));
        hasVideo ||= codec.size !== null;
        hasSound ||= codec.size === null;
        if (codec.size !== null && size.width === undefined) size = codec.size;
      }
    } else isBeginning = false;
    streams.get(page.serial)?.addPage(page);
  }
  endLink();
  return { ...size, trackKind: trackKindOf({ hasVideo, hasSound }), ...(seconds > 0 && { durationSeconds: seconds }) };
}

/** The next page; bytes between pages are skipped. Null: there is none. */
async function nextPage(walk: ByteWalk): Promise<Page | null> {
  while (!walk.isAtEnd) {
    const bytes = await walk.peek(MAX_PAGE_BYTES);
    const at = bytes.indexOf('OggS');
    if (at !== 0) {
      // The capture pattern may begin in these bytes and end in the next ones.
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

/** RFC 3533, section 6. Null: no page, or one that is cut short. */
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
