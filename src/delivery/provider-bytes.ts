import { Readable } from 'node:stream';
import { openSniffed, type SniffedStream } from '../media/sniffed-stream.js';
import type { ByteSpan } from '../model/byte-range.js';
import type { MediaRef } from '../model/media.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import { type CallOptions, RangeNotSatisfiable } from '../providers/provider-adapter.js';

/**
 * A media at its provider: what its headers and first bytes tell, and its bytes. The caller calls `open` or `close`,
 * once.
 */
export interface ProviderBytes extends Omit<SniffedStream, 'body'> {
  /** All bytes, or those of a range within the known size. The caller drains or destroys the stream. */
  open(range: ByteSpan | null): Promise<Readable>;
  close(): void;
}

/** Up to this many bytes before a range are read and dropped. Beyond it, the provider is asked for the range. */
const MAX_DROPPED_BYTES = 256 * 1024;

/** Opens media without storing it. @throws MediagraphError as {@link openSniffed} */
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
      if (range.start <= MAX_DROPPED_BYTES) return partOf(body, range);
      body.destroy();
      const part = await openPart(channel, ref, range, options);
      return part ?? partOf((await openSniffed(channel, ref, options)).body, range);
    },
    close: () => void body.destroy(),
  };
}

/** A range from the provider, or cut out of the whole if the provider sends that. Null: it sends another range. */
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
    // The range is within the size that the provider told before, so the provider has other bytes now.
    if (thrown instanceof RangeNotSatisfiable) return null;
    throw thrown;
  }
}

/** A range of a stream. It fails where the stream has fewer bytes. */
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
