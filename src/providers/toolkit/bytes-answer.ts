import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { essenceOf } from '../../model/mime-type.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';

/** Error envelopes have a few hundred bytes; what is longer is none. */
const MAX_ENVELOPE_BYTES = 16_384;

interface Opened {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/**
 * A refusal that came where bytes were asked for, with as much of its body as an error envelope has. A body that is
 * longer, or breaks off, counts as empty: the status still tells. Rejects with the signal's reason, and nothing else.
 */
export async function readRefusal(
  { statusCode, headers, body }: Opened,
  signal?: AbortSignal,
): Promise<BufferedResponse> {
  const envelope = await collect(body, MAX_ENVELOPE_BYTES).catch(() => null);
  signal?.throwIfAborted();
  return { statusCode, headers, body: envelope ?? Buffer.alloc(0) };
}

// Private: the whole body, or null once it is longer; leaving the loop ends the stream and its connection.
async function collect(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What origins of bytes answer in place of a media: an API's JSON, or somebody's page. */
export function isEnvelopeOrPage(mimeType: string | null): boolean {
  if (mimeType === null) return false;
  const essence = essenceOf(mimeType);
  const isPage = essence === 'text/html' || essence === 'application/xhtml+xml';
  return isPage || essence.endsWith('/json') || essence.endsWith('+json');
}
