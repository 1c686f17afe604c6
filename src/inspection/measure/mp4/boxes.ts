import type { ByteWindow } from '../window.js';

/** Where the content of a box lies. */
export interface Box {
  readonly type: string;
  readonly start: number;
  /** After the last byte; never beyond the box around it. */
  readonly end: number;
}

/** The boxes between two places, one after the other, never one within another: ISO/IEC 14496-12, section 4.2. */
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

/** The first box of this type at the end of the path; null where one is missing. */
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

/** A duration in units of a scale, 32 bits or 64 by the version of the box; null for the value that says "unknown". */
export function durationField(content: Buffer, at: number, version: number): number | null {
  if (version === 1) {
    const value = content.readBigUInt64BE(at);
    return value === 0xffffffffffffffffn ? null : Number(value);
  }
  const value = content.readUInt32BE(at);
  return value === 0xffffffff ? null : value;
}
