/** Containers: boxes of ISO/IEC 14496-12, and elements of EBML (RFC 8794). */

export function box(type: string, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(8), ...content]);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.write(type, 4, 'latin1');
  return bytes;
}

/** A header that says what it likes; with `large`, in 64 bits. */
export function boxHeader(type: string, size: number, large?: bigint): Buffer {
  const header = Buffer.alloc(large === undefined ? 8 : 16);
  header.writeUInt32BE(size, 0);
  header.write(type, 4, 'latin1');
  if (large !== undefined) header.writeBigUInt64BE(large, 8);
  return header;
}

export const fileType = (brand: string) => box('ftyp', Buffer.from(`${brand}\0\0\0\0${brand}isom`, 'latin1'));

export interface MovieOptions {
  readonly duration?: number | bigint;
  readonly timescale?: number;
  /** 1: with 64 bits for times. */
  readonly version?: 0 | 1;
  readonly tracks?: readonly Buffer[];
  /** The duration of a fragmented movie; null: it has no mehd. */
  readonly fragmentDuration?: number | null;
}

/** MovieBox, section 8.2. */
export function movie({ duration = 0, timescale = 1_000, version = 0, ...options }: MovieOptions): Buffer {
  const header = Buffer.alloc(version === 1 ? 112 : 100);
  header.writeUInt8(version, 0);
  header.writeUInt32BE(timescale, version === 1 ? 20 : 12);
  if (version === 1) header.writeBigUInt64BE(BigInt(duration), 24);
  else header.writeUInt32BE(Number(duration), 16);
  const boxes = [box('mvhd', header), ...(options.tracks ?? [])];
  if (options.fragmentDuration !== undefined) boxes.push(fragments(options.fragmentDuration));
  return box('moov', ...boxes);
}

function fragments(duration: number | null): Buffer {
  if (duration === null) return box('mvex', box('trex', Buffer.alloc(24)));
  const content = Buffer.alloc(8);
  content.writeUInt32BE(duration, 4);
  return box('mvex', box('mehd', content));
}

export interface TrackOptions {
  readonly handler?: string;
  /** As shown before it is turned, 16.16. */
  readonly width?: number;
  readonly height?: number;
  /** The size of the samples. */
  readonly coded?: readonly [width: number, height: number];
  readonly degrees?: 0 | 90 | 180 | 270;
  readonly version?: 0 | 1;
}

/** a, b, u, c, d of the matrix, section 6.2.2. */
const MATRICES = { 0: [1, 0, 0, 0, 1], 90: [0, 1, 0, -1, 0], 180: [-1, 0, 0, 0, -1], 270: [0, -1, 0, 1, 0] };

/** TrackBox, section 8.3. */
export function track({
  handler = 'vide',
  width = 0,
  height = 0,
  degrees = 0,
  version = 0,
  coded,
}: TrackOptions): Buffer {
  const header = Buffer.alloc(version === 1 ? 96 : 84);
  header.writeUInt8(version, 0);
  const matrix = version === 1 ? 52 : 40;
  for (const [index, factor] of MATRICES[degrees].entries()) {
    header.writeInt32BE(factor * 65_536, matrix + index * 4);
  }
  header.writeUInt32BE(width * 65_536, matrix + 36);
  header.writeUInt32BE(height * 65_536, matrix + 40);
  const kind = Buffer.alloc(24);
  kind.write(handler, 8, 'latin1');
  const boxes = [box('hdlr', kind), ...(coded ? [samples(coded)] : [])];
  return box('trak', box('tkhd', header), box('mdia', ...boxes));
}

/** VisualSampleEntry, section 12.1.3. */
function samples([width, height]: readonly [number, number]): Buffer {
  const entry = Buffer.alloc(70);
  entry.writeUInt16BE(width, 24);
  entry.writeUInt16BE(height, 26);
  return box('minf', box('stbl', box('stsd', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]), box('avc1', entry))));
}

/** A picture's property: ISO/IEC 23008-12, section 6.5. */
export const property = {
  extents: (width: number, height: number) => box('ispe', numbers(0, width, height)),
  rotation: (quarters: number) => box('irot', Buffer.from([quarters])),
  crop: (width: number, height: number) => box('clap', numbers(width, 1, height, 1, 0, 1, 0, 1)),
  other: () => box('pixi', numbers(0, 0)),
};

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

export interface HeifOptions {
  readonly primary: number;
  readonly properties: readonly Buffer[];
  /** Which of them each item has, counted from one. */
  readonly items: ReadonlyArray<readonly [id: number, properties: readonly number[]]>;
  /** Ids of 32 bits and places of 15, not of 16 and 7. */
  readonly isWide?: boolean;
  readonly brand?: string;
}

/** MetaBox, ISO/IEC 14496-12, section 8.11, and ItemPropertiesBox, ISO/IEC 23008-12, section 9.3. */
export function heif({ primary, properties, items, isWide = false, brand = 'heic' }: HeifOptions): Buffer {
  const version = Buffer.from([isWide ? 1 : 0, 0, 0, isWide ? 1 : 0]);
  const item = (value: number) => sized(value, isWide ? 4 : 2);
  const associations = items.flatMap(([id, indices]) => [
    item(id),
    Buffer.from([indices.length]),
    ...indices.map((index) => (isWide ? sized(index | 0x8000, 2) : sized(index | 0x80, 1))),
  ]);
  const inside = [
    Buffer.alloc(4),
    box('pitm', Buffer.from([isWide ? 1 : 0, 0, 0, 0]), item(primary)),
    box('iprp', box('ipco', ...properties), box('ipma', version, numbers(items.length), ...associations)),
  ];
  return Buffer.concat([fileType(brand), box('meta', ...inside), box('mdat', Buffer.alloc(32))]);
}

function sized(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

/** An element; `size` is what it says of its length, where that is not so. */
export function element(id: number, content: Buffer | readonly Buffer[], size?: Buffer): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.concat(content);
  const length = size ?? sized(bytes.length + 2 ** 28, 4);
  return Buffer.concat([Buffer.from(id.toString(16), 'hex'), length, bytes]);
}

/** RFC 8794, section 6.2. */
export const UNKNOWN_SIZE = Buffer.from([0xff]);

export interface WebmOptions {
  /** In ticks. */
  readonly duration?: number;
  readonly nanosecondsPerTick?: number;
  /** Further elements of its only video track; null: it has none. */
  readonly video?: Readonly<Record<number, number>> | null;
  readonly isLive?: boolean;
}

/** RFC 9559, section 5.1. */
export function webm({ duration, nanosecondsPerTick, video = {}, isLive = false }: WebmOptions): Buffer {
  const info: Buffer[] = [];
  if (nanosecondsPerTick !== undefined) info.push(element(0x2ad7b1, sized(nanosecondsPerTick, 4)));
  if (duration !== undefined) {
    const ticks = Buffer.alloc(8);
    ticks.writeDoubleBE(duration);
    info.push(element(0x4489, ticks));
  }
  const sides = Object.entries(video ?? {}).map(([id, value]) => element(Number(id), sized(value, 2)));
  const sound = element(0xae, [element(0x83, sized(2, 1)), element(0xe1, Buffer.alloc(0))]);
  const picture = element(0xae, [element(0x83, sized(1, 1)), element(0xe0, sides)]);
  const segment = [
    element(0xec, Buffer.alloc(40)),
    element(0x1549a966, info),
    element(0x1654ae6b, video === null ? [sound] : [sound, picture]),
    element(0x1f43b675, Buffer.alloc(100), isLive ? UNKNOWN_SIZE : undefined),
  ];
  const header = element(0x1a45dfa3, element(0x4282, Buffer.from('webm')));
  return Buffer.concat([header, element(0x18538067, segment, isLive ? UNKNOWN_SIZE : undefined)]);
}
