import type { ByteWindow } from '../byte-window.js';

/** The type of a box, and the offsets of its content. */
export interface Box {
  readonly type: string;
  readonly start: number;
  /** The offset after the last byte. It is never beyond the enclosing box. */
  readonly end: number;
}

/** The boxes between two offsets, without the boxes within them: ISO/IEC 14496-12, section 4.2. */
export async function* boxesIn(
  window: ByteWindow,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Box, void, undefined> {
  for (let at = start; at + 8 <= end; ) {
    const header = await window.upTo(at, 16);
    let headerBytes = 8;
    let size = header.readUInt32BE(0);
    if (size === 1) {
      headerBytes = 16;
      size = Number(header.readBigUInt64BE(8));
    } else if (size === 0) size = end - at;
    if (size < headerBytes) return;
    const boxEnd = Math.min(at + size, end);
    yield { type: header.toString('latin1', 4, 8), start: at + headerBytes, end: boxEnd };
    at = boxEnd;
  }
}

/** The first box at the end of a path of types. Null: a box of the path is missing. */
export async function boxAt(
  window: ByteWindow,
  within: { readonly start: number; readonly end: number },
  ...path: readonly string[]
): Promise<Box | null> {
  const [type, ...rest] = path;
  for await (const box of boxesIn(window, within)) {
    if (box.type === type) return rest.length === 0 ? box : boxAt(window, box, ...rest);
  }
  return null;
}

/** A duration in time scale units, of 32 or 64 bits by the version of the box. Null: the box marks it as unknown. */
export function durationField(content: Buffer, at: number, version: number): number | null {
  if (version === 1) {
    const value = content.readBigUInt64BE(at);
    return value === 0xffffffffffffffffn ? null : Number(value);
  }
  const value = content.readUInt32BE(at);
  return value === 0xffffffff ? null : value;
}
