import type { ByteWindow } from '../byte-window.js';

/**
 * The offset behind all leading ID3v2 tags (ID3 tag version 2.4.0, section 3.1). Cover art makes them large, so only
 * their headers are read.
 */
export async function endOfId3(window: ByteWindow): Promise<number> {
  for (let at = 0; ; ) {
    const header = await window.upTo(at, 10);
    if (header.length < 10 || header.toString('latin1', 0, 3) !== 'ID3') return at;
    const size = [6, 7, 8, 9].reduce((sum, index) => sum * 128 + (header.readUInt8(index) & 0x7f), 0);
    const footer = header.readUInt8(5) & 0x10 ? 10 : 0;
    at += 10 + size + footer;
  }
}

/** The offset at which trailing tags begin: ID3v1 (128 bytes) and, before it, an APE tag (APEv2, "APE Tags Header"). */
export async function startOfTrailingTags(window: ByteWindow): Promise<number> {
  let end = window.sizeBytes;
  if ((await window.upTo(Math.max(end - 128, 0), 3)).toString('latin1') === 'TAG') end -= 128;
  const footer = await window.upTo(Math.max(end - 32, 0), 32);
  if (footer.toString('latin1', 0, 8) !== 'APETAGEX') return end;
  const header = footer.readUInt32LE(20) & 0x80000000 ? 32 : 0;
  return Math.max(end - footer.readUInt32LE(12) - header, 0);
}
