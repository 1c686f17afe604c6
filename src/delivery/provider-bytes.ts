import { Readable } from 'node:stream';
import { openSniffed, type SniffedStream } from '../media/sniffed-stream.js';
import type { ByteSpan } from '../model/byte-range.js';
import type { MediaRef } from '../model/media.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import { type CallOptions, RangeNotSatisfiable } from '../providers/provider-adapter.js';

/** A media that is still at its provider: what its first bytes and their headers told, and how to have them all. */
export interface ProviderBytes extends Omit<SniffedStream, 'body'> {
  /** Once. All bytes, or those of a range within the known size. The caller drains or destroys them. */
  open(range: ByteSpan | null): Promise<Readable>;
  /** Instead of `open`. */
  close(): void;
}

/** What comes before a range is read and dropped up to here; beyond, the provider is asked for the range. */
const DROPPED_BYTES = 256 * 1024;

/** Passed through, kept nowhere. @throws MediagraphError as {@link openSniffed} */
export async function openAtProvider(
  channel: ConnectedChannel,
  ref: MediaRef & { readonly mimeType?: string | null },
  options: CallOptions,
): Promise<ProviderBytes> {
  const { body, ...facts } = await openSniffed(channel, ref, options);
  return {
    ...facts,
    open: async (range) => {
      if (range === null) return body;
      if (range.start <= DROPPED_BYTES) return partOf(body, range);
      body.destroy();
      const part = await openPart(channel, ref, range, options);
      return part ?? partOf((await openSniffed(channel, ref, options)).body, range);
    },
    close: () => void body.destroy(),
  };
}

/** A range from the provider, cut out of the whole where it gives nothing less; null: it gives something else. */
export async function openPart(
  channel: ConnectedChannel,
  ref: MediaRef,
  range: ByteSpan,
  options: CallOptions,
): Promise<Readable | null> {
  const { adapter } = channel;
  if (!adapter.openMedia) return null;
  try {
    const stream = await adapter.openMedia(ref, { ...options, range });
    if (stream.range === null) return partOf(stream.body, range);
    if (stream.range.start === range.start && stream.range.end === range.end) return stream.body;
    stream.body.destroy();
    return null;
  } catch (thrown) {
    // It is within what the provider said is there.
    if (thrown instanceof RangeNotSatisfiable) return null;
    throw thrown;
  }
}

/** Those bytes of a stream, which ends with them; it fails where the stream has fewer. */
function partOf(source: Readable, range: ByteSpan): Readable {
  const part = Readable.from(readPart(source, range), { objectMode: false });
  part.once('close', () => source.destroy());
  return part;
}

async function* readPart(source: Readable, { start, end }: ByteSpan): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    const wanted = chunk.subarray(Math.max(0, start - at), Math.max(0, end + 1 - at));
    at += chunk.length;
    if (wanted.length > 0) yield wanted;
    if (at > end) return;
  }
  throw new Error(`expected ${end + 1} bytes at least, got ${at}`);
}
