import { type Look, look } from '../../src/inspection/look.js';

const MAX_READ_BYTES = 160 * 2 ** 20;

/** Looks at bytes as they lie in a blob store, and holds every read to the rules: within the media, and not without end. */
export async function lookedAt(mimeType: string, bytes: Buffer): Promise<Look> {
  let readBytes = 0;
  return await look({
    mimeType,
    sizeBytes: bytes.length,
    read: async (start, end) => {
      if (!(Number.isSafeInteger(start) && 0 <= start && start <= end && end < bytes.length))
        throw new Error(`expected a range within ${bytes.length} bytes, got ${start} to ${end}`);
      readBytes += end - start + 1;
      if (readBytes > MAX_READ_BYTES) throw new Error('expected an answer after fewer bytes');
      return Buffer.from(bytes.subarray(start, end + 1));
    },
  });
}
