/** What a codec in Ogg counts in, and how much of it a packet holds. */
export interface OggCodec {
  readonly unitsPerSecond: number;
  /** What a decoder drops from the front. */
  readonly skippedUnits: number;
  /** Packets in front that hold nothing to be seen or heard. */
  readonly headerPackets: number;
  /** Of a video, in pixels; null: it is sound. */
  readonly size: { readonly width: number; readonly height: number } | null;
  /** Looks at one of the header packets, in their order. */
  header(packet: Buffer): void;
  unitsOf(packet: Buffer): number;
  /** As far as a page with this granule position goes. */
  unitsAt(granule: bigint): number;
}

/** By the first page's packet; null for what is neither seen nor heard, or not known. */
export function codecOf(packet: Buffer): OggCodec | null {
  try {
    const text = packet.toString('latin1', 0, 8);
    if (text === 'OpusHead') return opus(packet);
    if (text.startsWith('\x01vorbis')) return vorbis(packet);
    if (text === 'Speex   ') return speex(packet);
    if (text.startsWith('\x7fFLAC')) return flac(packet);
    return text.startsWith('\x80theora') ? theora(packet) : null;
  } catch {
    // Cut short.
    return null;
  }
}

const SOUND = { size: null, skippedUnits: 0, header: () => {}, unitsAt: (granule: bigint) => Number(granule) };

/** RFC 7845, sections 4 and 5.1: 48 kHz, whatever went in. */
function opus(packet: Buffer): OggCodec {
  return {
    ...SOUND,
    unitsPerSecond: 48_000,
    skippedUnits: packet.readUInt16LE(10),
    headerPackets: 2,
    unitsOf: opusUnits,
  };
}

/** RFC 6716, section 3.1: the length of a frame by its configuration, and how many there are. */
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

/** RFC 9639, section 10.1; the length of a packet is that of its frame (section 9.1.1). */
function flac(packet: Buffer): OggCodec {
  const unitsPerSecond = packet.readUIntBE(27, 3) >> 4;
  const largest = packet.readUInt16BE(19);
  let isSound = false;
  // The number of header packets may be left out: frames begin with fourteen ones.
  const headerPackets = 1;
  const unitsOf = (data: Buffer) => {
    isSound ||= data.length > 2 && (data.readUInt16BE(0) & 0xfffc) === 0xfff8;
    return isSound ? largest : 0;
  };
  return { ...SOUND, unitsPerSecond, headerPackets, unitsOf };
}

/** Theora specification, sections 6.2 and A.2.3: a granule counts frames up to a key frame, and from there. */
function theora(packet: Buffer): OggCodec {
  const shift = BigInt(((packet.readUInt8(40) & 3) << 3) | (packet.readUInt8(41) >> 5));
  return {
    unitsPerSecond: packet.readUInt32BE(22) / packet.readUInt32BE(26),
    skippedUnits: 0,
    headerPackets: 3,
    size: { width: packet.readUIntBE(14, 3), height: packet.readUIntBE(17, 3) },
    header: () => {},
    unitsOf: () => 1,
    unitsAt: (granule) => Number((granule >> shift) + (granule & ((1n << shift) - 1n))),
  };
}

/**
 * Vorbis I specification, sections 4.2 and 4.3.1: a packet begins with a bit that says "sound" and the number of its mode,
 * and gives a quarter of its block and a quarter of the one before.
 */
function vorbis(packet: Buffer): OggCodec {
  const sizes = packet.readUInt8(28);
  const blocks = [2 ** (sizes & 15), 2 ** (sizes >> 4)] as const;
  let modes: boolean[] = [];
  let before: number | null = null;
  return {
    ...SOUND,
    unitsPerSecond: packet.readUInt32LE(12),
    headerPackets: 3,
    header: (header) => {
      if (header.toString('latin1', 0, 7) === '\x05vorbis') modes = modesOf(header);
    },
    unitsOf: (data) => {
      if (data.length === 0 || (data.readUInt8(0) & 1) === 1) return 0;
      const bits = 32 - Math.clz32(Math.max(modes.length - 1, 0));
      const mode = (data.readUInt8(0) >> 1) & ((1 << bits) - 1);
      const block = blocks[modes[mode] ? 1 : 0];
      const units = before === null ? 0 : (before + block) / 4;
      before = block;
      return units;
    },
  };
}

/** 1 for the flag, 16 for the window, 16 for the transform, 8 for the mapping: section 4.2.4, "Modes". */
const MODE_BITS = 41;
const MAX_MODES = 64;

/**
 * Whether each mode's block is the long one. The modes end the setup header, whose books need not be read for them: from
 * the end, behind the framing bit, they go on as long as what stands there can be one, and as many as their count says.
 */
function modesOf(header: Buffer): boolean[] {
  const bitAt = (index: number) => ((header[index >> 3] ?? 0) >> (index & 7)) & 1;
  const read = (index: number, count: number) => {
    let value = 0;
    for (let bit = 0; bit < count; bit++) value |= bitAt(index + bit) << bit;
    return value >>> 0;
  };
  let end = header.length * 8 - 1;
  while (end > 0 && bitAt(end) === 0) end -= 1;
  const flags: boolean[] = [];
  let found: boolean[] = [];
  for (let at = end - MODE_BITS; at > 56 && flags.length < MAX_MODES; at -= MODE_BITS) {
    // Window and transform are zero, the only ones there are; mappings are 64 at most.
    if (read(at + 1, 32) !== 0 || read(at + 33, 8) >= 64) break;
    flags.unshift(bitAt(at) === 1);
    if (read(at - 6, 6) + 1 === flags.length) found = [...flags];
  }
  return found;
}
