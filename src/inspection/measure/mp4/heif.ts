import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';
import { type Box, boxAt, boxesIn } from './boxes.js';

/**
 * HEIF (ISO/IEC 23008-12), which includes HEIC and AVIF: the size of the primary item after its cropping and rotation.
 * image-size cannot be used: it takes the largest picture for the primary one, ignores rotations, and misreads crops.
 */
export async function measureHeif(window: ByteWindow): Promise<Partial<Measures>> {
  const meta = await boxAt(window, { start: 0, end: window.sizeBytes }, 'meta');
  if (meta === null) return {};
  const inside = { start: meta.start + 4, end: meta.end };
  const primary = await boxAt(window, inside, 'pitm');
  const properties = await boxAt(window, inside, 'iprp');
  const container = properties && (await boxAt(window, properties, 'ipco'));
  if (primary === null || properties === null || container === null) return {};
  const allProperties: Box[] = [];
  for await (const property of boxesIn(window, container)) allProperties.push(property);
  let size: Sides | null = null;
  for (const index of await propertyIndexes(window, properties, await itemIdOf(window, primary))) {
    const property = allProperties[index - 1];
    if (property !== undefined) size = await withProperty(window, property, size);
  }
  return size ?? {};
}

interface Sides {
  readonly width: number;
  readonly height: number;
}

/** PrimaryItemBox, ISO/IEC 14496-12, section 8.11.4. */
async function itemIdOf(window: ByteWindow, primary: Box): Promise<number> {
  const content = await window.upTo(primary.start, 8);
  return content.readUInt8(0) === 0 ? content.readUInt16BE(4) : content.readUInt32BE(4);
}

/**
 * ItemPropertyAssociationBox, section 9.3: the indexes of an item's properties, from one, in the order in which they
 * apply.
 */
async function propertyIndexes(window: ByteWindow, within: Box, item: number): Promise<number[]> {
  for await (const box of boxesIn(window, within)) {
    if (box.type !== 'ipma') continue;
    const content = await window.exactly(box.start, box.end - box.start);
    const [idBytes, indexBytes] = [content.readUInt8(0) === 0 ? 2 : 4, content.readUInt8(3) & 1 ? 2 : 1];
    let at = 8;
    for (let left = content.readUInt32BE(4); left > 0; left--) {
      const id = content.readUIntBE(at, idBytes);
      const count = content.readUInt8(at + idBytes);
      at += idBytes + 1;
      // The highest bit marks an essential property and does not belong to the index.
      const indexAt = (_: unknown, nth: number) =>
        content.readUIntBE(at + nth * indexBytes, indexBytes) & (indexBytes === 2 ? 0x7fff : 0x7f);
      if (id === item) return Array.from({ length: count }, indexAt);
      at += count * indexBytes;
    }
  }
  return [];
}

/** The size after an ImageSpatialExtents, CleanAperture or ImageRotation property: sections 6.5.3, 6.5.9 and 6.5.10. */
async function withProperty(window: ByteWindow, { type, start }: Box, size: Sides | null): Promise<Sides | null> {
  if (type === 'ispe') {
    const content = await window.exactly(start, 12);
    return { width: content.readUInt32BE(4), height: content.readUInt32BE(8) };
  }
  if (size === null) return null;
  if (type === 'clap') {
    const content = await window.exactly(start, 16);
    const side = (at: number) => Math.round(content.readUInt32BE(at) / content.readUInt32BE(at + 4));
    return { width: side(0), height: side(8) };
  }
  if (type !== 'irot' || (await window.exactly(start, 1)).readUInt8(0) % 2 === 0) return size;
  return { width: size.height, height: size.width };
}
