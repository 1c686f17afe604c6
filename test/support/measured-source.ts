import { type Measures, measure } from '../../src/inspection/measure/measure.js';

const MAX_READS = 64;
const MAX_READ_BYTES = 1024 * 1024;

export interface Measured extends Measures {
  readonly reads: number;
  readonly readBytes: number;
}

/**
 * Measures bytes as they lie in a blob store, and holds every read to the rules: within the media, never twice, few, small.
 * @throws Error when one is broken
 */
export async function measured(mimeType: string, bytes: Buffer): Promise<Measured> {
  return measuredParts(mimeType, bytes.length, [{ at: 0, bytes }]);
}

/** As {@link measured}, of a media that is too large for memory: zeros, but for these parts. */
export async function measuredParts(
  mimeType: string,
  sizeBytes: number,
  parts: ReadonlyArray<{ readonly at: number; readonly bytes: Buffer }>,
): Promise<Measured> {
  let [reads, readBytes] = [0, 0];
  const seen = new Set<number>();
  const measures = await measure({
    mimeType,
    sizeBytes,
    read: async (start, end) => {
      if (!(Number.isSafeInteger(start) && 0 <= start && start <= end && end < sizeBytes)) {
        throw new Error(`expected a range within ${sizeBytes} bytes, got ${start} to ${end}`);
      }
      if (seen.has(start)) throw new Error(`expected no byte to be read twice, got ${start} again`);
      seen.add(start);
      reads += 1;
      readBytes += end - start + 1;
      const block = Buffer.alloc(end - start + 1);
      for (const { at, bytes } of parts) {
        if (at <= end && at + bytes.length > start) bytes.copy(block, Math.max(at - start, 0), Math.max(start - at, 0));
      }
      return block;
    },
  });
  if (reads > MAX_READS || readBytes > MAX_READ_BYTES) {
    throw new Error(`expected ${MAX_READS} reads of ${MAX_READ_BYTES} bytes at most, got ${reads} of ${readBytes}`);
  }
  return { ...measures, reads, readBytes };
}
