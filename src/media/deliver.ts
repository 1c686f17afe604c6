import { Readable } from 'node:stream';
import { MediagraphError } from '../model/errors.js';
import { decodeMediaId } from '../model/ids.js';
import { isInlineSafe } from '../model/mime-type.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import type { ByteStream, CallOptions } from '../providers/provider-adapter.js';
import { ProviderFaults } from '../providers/provider-call.js';
import { safeFilename, withExtension } from './media-name.js';
import type { Disposition, MediaGrant } from './signed-url.js';
import { SNIFF_BYTES, sniffMimeType } from './sniff.js';

/** Bytes ready for a browser. The caller drains or destroys `body`. */
export interface Delivery {
  readonly body: Readable;
  /** Decided by the bytes. */
  readonly mimeType: string;
  readonly sizeBytes: number | null;
  readonly filename: string;
  /** What was granted, made safer where the type could run script. */
  readonly disposition: Disposition;
  readonly lastModified: Date | null;
}

/** Serves what a signed URL grants: the provider's bytes, streamed, with a type that was looked at. */
export class MediaDelivery {
  constructor(private readonly channels: ChannelDirectory) {}

  /** @throws MediagraphError MEDIA_NOT_FOUND, and what the adapter's `openMedia` rejects with */
  async open(grant: MediaGrant, options: CallOptions): Promise<Delivery> {
    const parts = decodeMediaId(grant.mediaId);
    const channel = parts && this.channels.findForSignedLink(parts.channelId);
    if (!parts || !channel?.adapter.openMedia)
      throw new MediagraphError('MEDIA_NOT_FOUND', 'there is no such media (any more)');
    const stream = await channel.adapter.openMedia({ ...parts, downloadUrl: null }, options);
    const { head, body } = await peek(stream.body, SNIFF_BYTES).catch((thrown: unknown) => {
      throw new ProviderFaults(channel, () => ({})).ofDownload(thrown, 'the bytes of a media');
    });
    const mimeType = await sniffMimeType(head, stream.declaredMimeType);
    if (contradicts(stream, mimeType)) {
      body.destroy();
      const { provider, id: channelId } = channel;
      throw new MediagraphError(
        'PROVIDER_PROTOCOL',
        `expected ${stream.declaredMimeType} from the provider, got a page`,
        { provider, channelId },
      );
    }
    return {
      body,
      mimeType,
      sizeBytes: stream.sizeBytes,
      filename: nameFor(grant, stream, mimeType),
      disposition: isInlineSafe(mimeType) ? grant.disposition : 'attachment',
      lastModified: stream.lastModified,
    };
  }
}

// Private: a log-in or error page under a picture's name is no media at all.
function contradicts({ declaredMimeType }: ByteStream, mimeType: string): boolean {
  return (
    mimeType === 'text/html' &&
    declaredMimeType !== null &&
    !/^(text\/|application\/(xhtml|xml))/.test(declaredMimeType)
  );
}

// Private: the name in the URL, unless it only says what kind of media this is and the provider knows better.
function nameFor(grant: MediaGrant, stream: ByteStream, mimeType: string): string {
  const generic = /^(image|video|audio|document|sticker|other|media)(\.[a-z0-9]+)?$/.test(grant.filename);
  const name = (generic && safeFilename(stream.filename)) || grant.filename;
  return withExtension(name, mimeType);
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
