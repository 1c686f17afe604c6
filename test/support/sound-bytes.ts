/** Sound without music: frames and pages whose headers are right and whose contents are zeros. */

/** Pages of one Ogg stream: RFC 3533, section 6. */
export function oggPage(
  granule: bigint,
  packet: Buffer,
  { serial = 1, flags = 0 }: { serial?: number; flags?: number } = {},
): Buffer {
  const segments = [...Array<number>(Math.floor(packet.length / 255)).fill(255), packet.length % 255];
  const header = Buffer.alloc(27);
  header.write('OggS');
  header.writeUInt8(flags, 5);
  header.writeBigInt64LE(granule, 6);
  header.writeUInt32LE(serial, 14);
  header.writeUInt8(segments.length, 26);
  return Buffer.concat([header, Buffer.from(segments), packet]);
}

/** The flag of a stream's first page. */
export const FIRST_PAGE = 2;

/** RFC 7845, section 5.1. */
export function opusHead(preSkip: number): Buffer {
  const packet = Buffer.alloc(19);
  packet.write('OpusHead');
  packet.set([1, 1], 8);
  packet.writeUInt16LE(preSkip, 10);
  packet.writeUInt32LE(16_000, 12);
  return packet;
}

/** Vorbis I specification, section 4.2.2. */
export function vorbisHead(rate: number): Buffer {
  const packet = Buffer.alloc(30);
  packet.write('\x01vorbis', 'latin1');
  packet.writeUInt8(1, 11);
  packet.writeUInt32LE(rate, 12);
  return packet;
}

/** The bytes of a frame of MPEG-1 layer III at 44.1 kHz, mono, by kilobits per second, and the index of that rate. */
const MP3_FRAMES = new Map([
  [64, { index: 5, bytes: 208 }],
  [128, { index: 9, bytes: 417 }],
  [320, { index: 14, bytes: 1_044 }],
]);

/** A frame of 1,152 samples at 44.1 kHz (ISO/IEC 11172-3, section 2.4.2.3), with something in its place at an offset. */
export function mp3Frame(kilobits: number, { at = 4, bytes }: { at?: number; bytes?: Buffer } = {}): Buffer {
  const { index, bytes: size } = MP3_FRAMES.get(kilobits) ?? { index: 0, bytes: 0 };
  const frame = Buffer.alloc(size);
  frame.set([0xff, 0xfb, index << 4, 0xc0]);
  bytes?.copy(frame, at);
  return frame;
}

export function xing(name: 'Xing' | 'Info', frames: number): Buffer {
  const header = Buffer.alloc(12);
  header.write(name);
  header.writeUInt32BE(1, 4);
  header.writeUInt32BE(frames, 8);
  return header;
}

export function vbri(frames: number): Buffer {
  const header = Buffer.alloc(26);
  header.write('VBRI');
  header.writeUInt32BE(frames, 14);
  return header;
}

/** ID3 tag version 2.4.0, section 3.1: a tag with so many bytes of cover art. */
export function id3v2(bytes: number): Buffer {
  const tag = Buffer.alloc(10 + bytes, 0xff);
  tag.write('ID3');
  tag.set([4, 0, 0, (bytes >> 21) & 127, (bytes >> 14) & 127, (bytes >> 7) & 127, bytes & 127], 3);
  return tag;
}

/** A frame of 1,024 samples at 16 kHz: ISO/IEC 13818-7, section 6.2. */
export function adtsFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.set([0xff, 0xf1, 0x60, 0x40]);
  frame.writeUIntBE((0x40 << 16) | (bytes << 5) | 0x1f, 3, 3);
  frame.writeUInt8(0xfc, 6);
  return frame;
}

/** A frame of 20 ms: RFC 4867, section 5.3. */
export function amrFrame(type: number, bytes: number): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.writeUInt8((type << 3) | 4, 0);
  return frame;
}

/** RIFF WAVE of this format, with an optional `fact` chunk; `dataSize` is the length in the header of the data. */
export function wav(
  {
    format = 1,
    rate = 8_000,
    bytesPerSecond = 16_000,
    samples,
  }: { format?: number; rate?: number; bytesPerSecond?: number; samples?: number },
  data: Buffer,
  dataSize = data.length,
): Buffer {
  const description = Buffer.alloc(16);
  description.writeUInt16LE(format, 0);
  description.writeUInt16LE(1, 2);
  description.writeUInt32LE(rate, 4);
  description.writeUInt32LE(bytesPerSecond, 8);
  const chunks = [riffChunk('LIST', Buffer.alloc(7)), riffChunk('fmt ', description)];
  if (samples !== undefined) {
    const fact = Buffer.alloc(4);
    fact.writeUInt32LE(samples);
    chunks.push(riffChunk('fact', fact));
  }
  return Buffer.concat([
    Buffer.from('RIFF\xff\xff\xff\xffWAVE', 'latin1'),
    ...chunks,
    riffChunk('data', data, dataSize),
  ]);
}

/** Padded to an even length. */
function riffChunk(type: string, content: Buffer, size = content.length): Buffer {
  const header = Buffer.alloc(8);
  header.write(type);
  header.writeUInt32LE(size, 4);
  return Buffer.concat([header, content, Buffer.alloc(content.length % 2)]);
}

/** RFC 9639, section 8.2. */
export function flac(rate: number, samples: number): Buffer {
  const bytes = Buffer.alloc(42);
  bytes.write('fLaC');
  bytes.set([0x80, 0, 0, 34], 4);
  bytes.writeUIntBE(rate << 4, 18, 3);
  bytes.writeUInt8(0xf0 | Math.floor(samples / 2 ** 32), 21);
  bytes.writeUInt32BE(samples % 2 ** 32, 22);
  return bytes;
}
