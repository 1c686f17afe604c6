import { box } from './box-bytes.js';

/**
 * The same film, its index behind its pictures, and those behind so many bytes of nothing: a player has to jump to the
 * end before it knows anything (ISO/IEC 14496-12, sections 8.1.2 and 8.7.5).
 * @param film `ftyp`, `moov` and `mdat` in this order, with offsets of 32 bits
 */
export function withIndexAtEnd(film: Buffer, emptyBytes: number): Buffer {
  const boxes = boxesOf(film);
  const [type, index, pictures] = ['ftyp', 'moov', 'mdat'].map((wanted) => boxes.get(wanted));
  if (!type || !index || !pictures) throw new Error(`expected a film, got boxes ${[...boxes.keys()]}`);
  const empty = box('free', Buffer.alloc(emptyBytes));
  const moved = Buffer.from(index);
  const by = type.length + empty.length - film.indexOf(pictures);
  for (let at = moved.indexOf('stco'); at >= 0; at = moved.indexOf('stco', at + 4)) {
    const count = moved.readUInt32BE(at + 8);
    for (let entry = at + 12; entry < at + 12 + 4 * count; entry += 4)
      moved.writeUInt32BE(moved.readUInt32BE(entry) + by, entry);
  }
  return Buffer.concat([type, empty, pictures, moved]);
}

function boxesOf(film: Buffer): Map<string, Buffer> {
  const boxes = new Map<string, Buffer>();
  for (let at = 0; at < film.length; ) {
    const size = film.readUInt32BE(at);
    boxes.set(film.toString('latin1', at + 4, at + 8), film.subarray(at, at + size));
    at += size;
  }
  return boxes;
}
