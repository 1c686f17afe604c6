/** How a codec counts time in Ogg: its units, and how many of them a packet holds. */
export interface OggCodec {
  readonly unitsPerSecond: number;
  /** The units that a decoder drops from the front. */
  readonly skippedUnits: number;
  /** The number of leading packets without video or sound. */
  readonly headerPackets: number;
  /** The size of a video in pixels. Null: the codec is one of sound. */
  readonly size: { readonly width: number; readonly height: number } | null;
  /** Called with each header packet, in order. */
  readHeader(packet: Buffer): void;
  unitsOf(packet: Buffer): number;
  /** The units up to the end of a page with this granule position. */
  unitsAt(granule: bigint): number;
}

/** The codec by the packet of a stream's first page. Null: it is neither video nor sound, or unknown. */
export function codecOf(packet: Buffer): OggCodec | null {
  try {
    const text = packet.toString('latin1', 0, 8);
    if (text === 'OpusHead') return opus(packet);
    if (text.startsWith('\x01vorbis')) return vorbis(packet);
    if (text === 'Speex   ') return speex(packet);
    if (text.startsWith('\x7fFLAC')) return flac(packet);
    return text.startsWith('\x80theora') ? theora(packet) : null;
  } catch {
    // The packet is cut short.
    return null;
  }
}

const SOUND = { size: null, skippedUnits: 0, readHeader: () => {}, unitsAt: (granule: bigint) => Number(granule) };

/** RFC 7845, sections 4 and 5.1: 48 kHz, whatever the input's rate. */
function opus(packet: Buffer): OggCodec {
  return {
    ...SOUND,
    unitsPerSecond: 48_000,
    skippedUnits: packet.readUInt16LE(10),
    headerPackets: 2,
    unitsOf: opusUnits,
  };
}

/** RFC 6716, section 3.1: the length of a frame by its configuration, times the number of frames. */
function opusUnits(packet: Buffer): number {
  if (packet.length === 0) return 0;
  const first = packet.readUInt8(0);
  const [configuration, count] = [first >> 3, first & 3];
  const frame =
    configuration < 12
      ? ([480, 960, 1_920, 2_880][configuration & 3] ?? 0)
      : configuration < 16
        ? 480 << (configuration & 1)
        : 120 << (configuration & 3);
  const frames = count === 0 ? 1 : count < 3 ? 2 : packet.length > 1 ? packet.readUInt8(1) & 63 : 0;
  return frame * frames;
}

/** The Speex manual, "Ogg file format", table 7.1. */
function speex(packet: Buffer): OggCodec {
  const units = packet.readInt32LE(56) * Math.max(packet.readInt32LE(64), 1);
  const headerPackets = 2 + Math.min(Math.max(packet.readInt32LE(68), 0), 16);
  return { ...SOUND, unitsPerSecond: packet.readInt32LE(36), headerPackets, unitsOf: () => units };
}

/** RFC 9639, section 10.1. A packet is as long as its frame (section 9.1.1). */
function flac(packet: Buffer): OggCodec {
  const unitsPerSecond = packet.readUIntBE(27, 3) >> 4;
  const largest = packet.readUInt16BE(19);
  let isSound = false;
  // A stream need not tell its number of header packets. A frame is recognised by its leading fourteen ones.
  const headerPackets = 1;
  const unitsOf = (data: Buffer) => {
    isSound ||= data.length > 2 && (data.readUInt16BE(0) & 0xfffc) === 0xfff8;
    return isSound ? largest : 0;
  };
  return { ...SOUND, unitsPerSecond, headerPackets, unitsOf };
}

/**
 * Theora specification, sections 6.2 and A.2.3: a granule position holds the frames up to the last key frame, and those
 * since then.
 */
function theora(packet: Buffer): OggCodec {
  const shift = BigInt(((packet.readUInt8(40) & 3) << 3) | (packet.readUInt8(41) >> 5));
  return {
    unitsPerSecond: packet.readUInt32BE(22) / packet.readUInt32BE(26),
    skippedUnits: 0,
    headerPackets: 3,
    size: { width: packet.readUIntBE(14, 3), height: packet.readUIntBE(17, 3) },
    readHeader: () => {},
    unitsOf: () => 1,
    unitsAt: (granule) => Number((granule >> shift) + (granule & ((1n << shift) - 1n))),
  };
}

/**
 * Vorbis I specification, sections 4.2 and 4.3.1: a packet of sound begins with a zero bit and the number of its mode,
 * and yields a quarter of its block and a quarter of the previous one.
 */
function vorbis(packet: Buffer): OggCodec {
  const sizes = packet.readUInt8(28);
  const blocks = [2 ** (sizes & 15), 2 ** (sizes >> 4)] as const;
  let modes: boolean[] = [];
  let previousBlock: number | null = null;
  return {
    ...SOUND,
    unitsPerSecond: packet.readUInt32LE(12),
    headerPackets: 3,
    readHeader: (header) => {
      if (header.toString('latin1', 0, 7) === '\x05vorbis') modes = longBlockModes(header);
    },
    unitsOf: (data) => {
      if (data.length === 0 || (data.readUInt8(0) & 1) === 1) return 0;
      const bits = 32 - Math.clz32(Math.max(modes.length - 1, 0));
      const mode = (data.readUInt8(0) >> 1) & ((1 << bits) - 1);
      const block = blocks[modes[mode] ? 1 : 0];
      const units = previousBlock === null ? 0 : (previousBlock + block) / 4;
      previousBlock = block;
      return units;
    },
  };
}

/** 1 bit for the block flag, 16 for the window, 16 for the transform, 8 for the mapping: section 4.2.4, "Modes". */
const MODE_BITS = 41;
const MAX_MODES = 64;

/**
 * Whether each mode uses the long block. The modes end the setup header, so they are read backwards from the framing
 * bit, without parsing the codebooks: as long as the bits can be a mode, and as many as their count says.
 */
function longBlockModes(header: Buffer): boolean[] {
  const bitAt = (index: number) => ((header[index >> 3] ?? 0) >> (index & 7)) & 1;
  const read = (index: number, count: number) => {
    let value = 0;
    for (let bit = 0; bit < count; bit++) value |= bitAt(index + bit) << bit;
    return value >>> 0;
  };
  let end = header.length * 8 - 1;
  while (end > 0 && bitAt(end) === 0) end -= 1;
  const flags: boolean[] = [];
  let counted: boolean[] = [];
  for (let at = end - MODE_BITS; at > 56 && flags.length < MAX_MODES; at -= MODE_BITS) {
    // The only window and transform are zero, and there are at most 64 mappings.
    if (read(at + 1, 32) !== 0 || read(at + 33, 8) >= 64) break;
    flags.unshift(bitAt(at) === 1);
    if (read(at - 6, 6) + 1 === flags.length) counted = [...flags];
  }
  return counted;
}
