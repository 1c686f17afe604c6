import { crc32, deflateRawSync } from 'node:zlib';

/** The smallest files of their kinds, by the formats' own specifications: what a reader of first bytes has to go by. */

const OFFICE = 'application/vnd.openxmlformats-officedocument';

const OFFICE_PARTS = {
  docx: ['word/document.xml', `${OFFICE}.wordprocessingml.document.main+xml`],
  xlsx: ['xl/workbook.xml', `${OFFICE}.spreadsheetml.sheet.main+xml`],
  pptx: ['ppt/presentation.xml', `${OFFICE}.presentationml.presentation.main+xml`],
} as const;

/** An Office Open XML file (ECMA-376 part 2): an archive whose list of types says what it is. */
export function officeFile(kind: keyof typeof OFFICE_PARTS, { deflated = true }: { deflated?: boolean } = {}): Buffer {
  const [part, type] = OFFICE_PARTS[kind];
  const types = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/${part}" ContentType="${type}"/></Types>`;
  return zipFile({ '[Content_Types].xml': types, '_rels/.rels': '<Relationships/>', [part]: '<x/>' }, { deflated });
}

/** An archive (APPNOTE.TXT 6.3.10) of these files, in this order. */
export function zipFile(
  files: Readonly<Record<string, string | Buffer>>,
  { deflated = true }: { deflated?: boolean } = {},
): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const data = deflated ? deflateRawSync(bytes) : bytes;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(deflated ? 8 : 0, 4);
    shared.writeUInt32LE(crc32(bytes), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(bytes.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, Buffer.from(name), data]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), shared, place, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(centrals.length, 8);
  end.writeUInt16LE(centrals.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

const SECTOR_BYTES = 512;
const FREE_SECTOR = 0xffffffff;
const END_OF_CHAIN = 0xfffffffe;
const SECTOR_OF_TABLE = 0xfffffffd;

/** A Compound File ([MS-CFB]), as Office wrote until 2003: `stream` is `WordDocument`, `Workbook`, `PowerPoint Document`. */
export function compoundFile(stream: string): Buffer {
  const header = Buffer.alloc(SECTOR_BYTES, 0xff);
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(header);
  header.fill(0, 8, 76);
  // Versions, byte order, the exponents of both sector sizes.
  for (const [index, field] of [0x3e, 3, 0xfffe, 9, 6].entries()) header.writeUInt16LE(field, 24 + index * 2);
  header.writeUInt32LE(1, 44);
  // The directory is in sector 1; no small streams, no further tables; the table of sectors is in sector 0.
  header.writeUInt32LE(1, 48);
  header.writeUInt32LE(4_096, 56);
  header.writeUInt32LE(END_OF_CHAIN, 60);
  header.writeUInt32LE(END_OF_CHAIN, 68);
  header.writeUInt32LE(0, 76);
  const table = Buffer.alloc(SECTOR_BYTES, 0xff);
  table.writeUInt32LE(SECTOR_OF_TABLE, 0);
  table.writeUInt32LE(END_OF_CHAIN, 4);
  const directory = Buffer.alloc(SECTOR_BYTES);
  directoryEntry('Root Entry', 5, 1).copy(directory);
  directoryEntry(stream, 2, FREE_SECTOR).copy(directory, 128);
  return Buffer.concat([header, table, directory]);
}

function directoryEntry(name: string, type: number, child: number): Buffer {
  const entry = Buffer.alloc(128);
  entry.write(name, 'utf16le');
  entry.writeUInt16LE((name.length + 1) * 2, 64);
  entry.writeUInt8(type, 66);
  entry.writeUInt8(1, 67);
  for (const [index, sibling] of [FREE_SECTOR, FREE_SECTOR, child].entries())
    entry.writeUInt32LE(sibling, 68 + index * 4);
  entry.writeUInt32LE(END_OF_CHAIN, 116);
  return entry;
}

/** The first box of an ISO base media file (ISO/IEC 14496-12 section 4.3) of this brand, and some of its data. */
export function isoFile(brand: string): Buffer {
  const box = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from(`ftyp${brand}\0\0\0\0${brand}isom`)]);
  return Buffer.concat([box, Buffer.from([0, 0, 0, 16]), Buffer.from('mdat12345678')]);
}

const OGG_PACKETS = {
  opus: 'OpusHead\x01\x01\x00\x00\x80\xbb\x00\x00\x00\x00\x00',
  vorbis: '\x01vorbis\x00\x00\x00\x00\x01\x80\xbb\x00\x00\x00\x00\x00\x00\x00\xee\x02\x00\x00\x00\x00\x00\xb8\x01',
} as const;

/** The first page of an Ogg stream (RFC 3533 section 6) with its codec's first packet (RFC 7845 section 5.1). */
export function oggFile(codec: keyof typeof OGG_PACKETS): Buffer {
  const packet = Buffer.from(OGG_PACKETS[codec], 'latin1');
  const page = Buffer.alloc(28);
  page.write('OggS');
  page.writeUInt8(2, 5);
  page.writeUInt32LE(1, 14);
  page.writeUInt8(1, 26);
  page.writeUInt8(packet.length, 27);
  return Buffer.concat([page, packet]);
}

/** Adaptive multi-rate speech (RFC 4867 section 5.1). */
export const amrFile = Buffer.concat([Buffer.from('#!AMR\n'), Buffer.alloc(64, 0x7c)]);

/** A picture that is exactly so long: what follows the end of an image in a JPEG file is not looked at. */
export function padded(bytes: Buffer, sizeBytes: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(sizeBytes - bytes.length, 0x20)]);
}
