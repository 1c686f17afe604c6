import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { SafeFetch } from '../net/safe-fetch.js';
import type { AdapterContext } from './adapter-context.js';
import { type MediaHeaders, readMediaHeaders } from './media-headers.js';
import type { ByteStream, CallOptions } from './provider-adapter.js';
import type { ProviderFaults } from './provider-call.js';

interface Opened {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** Bytes at an address that a provider's answer named: guarded, without credentials. */
export async function openMediaUrl(
  url: string,
  context: AdapterContext,
  faults: ProviderFaults,
  { signal }: CallOptions,
): Promise<ByteStream> {
  const response = await context.safeFetch.open(url, { signal, maxBytes: context.maxDownloadBytes });
  if (response.statusCode === 200) return toByteStream(response, faults);
  response.body.destroy();
  throw faults.ofMediaUrlStatus(response.statusCode, response.headers);
}

/** Bytes as an adapter hands them on. A body that is still packed is not the media. */
export function toByteStream({ statusCode, headers, body }: Opened, faults: ProviderFaults): ByteStream {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    body.destroy();
    throw faults.protocol('the bytes of a media', 'a compressed body that was not asked for', {
      upstreamStatus: statusCode,
    });
  }
  const { mimeType, ...rest } = readMediaHeaders(headers);
  return { body, declaredMimeType: mimeType, ...rest };
}

/** The headers alone. A range of one byte, since stores that sign their URLs refuse HEAD (the signature names the method). */
export async function probeMediaUrl(
  url: string,
  safeFetch: SafeFetch,
  { signal }: CallOptions,
): Promise<MediaHeaders | null> {
  const { statusCode, headers, body } = await safeFetch.open(url, {
    headers: { range: 'bytes=0-0' },
    signal,
    maxBytes: Number.MAX_SAFE_INTEGER,
  });
  body.destroy();
  return statusCode === 200 || statusCode === 206 ? readMediaHeaders(headers) : null;
}
