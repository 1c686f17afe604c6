import { Readable } from 'node:stream';
import { MediagraphError } from '../model/errors.js';
import type { MediaRef } from '../model/media.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import type { ByteStream, CallOptions } from '../providers/provider-adapter.js';
import { ProviderFaults } from '../providers/provider-call.js';
import { SNIFF_BYTES, sniffMimeType } from './sniff.js';

/** A provider's bytes whose first were looked at and are still in `body`. The caller drains or destroys `body`. */
export interface SniffedStream extends Omit<ByteStream, 'declaredMimeType'> {
  /** Decided by the bytes. */
  readonly mimeType: string;
}

/** @throws MediagraphError MEDIA_NOT_FOUND, and what the adapter's `openMedia` rejects with */
export async function openSniffed(
  channel: ConnectedChannel,
  ref: MediaRef & { readonly mimeType?: string | null },
  options: CallOptions,
): Promise<SniffedStream> {
  if (!channel.adapter.openMedia) throw new MediagraphError('MEDIA_NOT_FOUND', 'there is no such media (any more)');
  const stream = await channel.adapter.openMedia(ref, options);
  const { head, body } = await peek(stream.body, SNIFF_BYTES).catch((thrown: unknown) => {
    throw new ProviderFaults(channel, () => ({})).ofDownload(thrown, 'the bytes of a media');
  });
  const declared = stream.declaredMimeType ?? ref.mimeType ?? null;
  const mimeType = await sniffMimeType(head, declared);
  if (contradicts(declared, mimeType)) {
    body.destroy();
    const { provider, id: channelId } = channel;
    throw new MediagraphError('PROVIDER_PROTOCOL', `expected ${declared} from the provider, got a page`, {
      provider,
      channelId,
    });
  }
  const { sizeBytes, filename, lastModified } = stream;
  return { body, mimeType, sizeBytes, filename, lastModified };
}

// Private: a log-in or error page under a picture's name is no media at all.
function contradicts(declared: string | null, mimeType: string): boolean {
  return mimeType === 'text/html' && declared !== null && !/^(text\/|application\/(xhtml|xml))/.test(declared);
}

/** The first bytes of a stream, and the stream with them still in it. Destroying the latter ends the former. */
async function peek(source: Readable, bytes: number): Promise<{ head: Buffer; body: Readable }> {
  const iterator: AsyncIterator<Buffer> = source.iterator({ destroyOnReturn: false });
  const chunks: Buffer[] = [];
  let size = 0;
  while (size < bytes) {
    const next = await iterator.next();
    if (next.done) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(chunks);
  const body = Readable.from(resume(head, iterator), { objectMode: false });
  body.once('close', () => source.destroy());
  return { head: head.subarray(0, bytes), body };
}

async function* resume(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
