import { essenceOf } from '../../model/text/mime-type.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';

/** Error envelopes have a few hundred bytes; a longer body is none. */
export const MAX_ENVELOPE_BYTES = 16_384;

/**
 * Reads the refusal of a request for bytes, up to the size of an error envelope. A longer or truncated body counts as
 * empty: the status suffices then. Rejects with the signal's reason only.
 */
export async function readRefusal(
  { statusCode, headers, body }: StreamedResponse,
  signal?: AbortSignal,
): Promise<BufferedResponse> {
  const envelope = await collect(body, MAX_ENVELOPE_BYTES).catch(() => null);
  signal?.throwIfAborted();
  return { statusCode, headers, body: envelope ?? Buffer.alloc(0) };
}

// Returns the whole body, or null for a longer one. Leaving the loop destroys the stream and its connection.
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

/** Whether the type is one that servers send instead of a media: an API's JSON, or an HTML page. */
export function isEnvelopeOrPage(mimeType: string | null): boolean {
  if (mimeType === null) return false;
  const essence = essenceOf(mimeType);
  const isPage = essence === 'text/html' || essence === 'application/xhtml+xml';
  return isPage || essence.endsWith('/json') || essence.endsWith('+json');
}

/** Whether a response is an HTML page, which comes from another server in front of the provider's API. */
export function isHtmlPage({ headers }: Pick<BufferedResponse, 'headers'>): boolean {
  return (headers['content-type'] ?? '').startsWith('text/html');
}
