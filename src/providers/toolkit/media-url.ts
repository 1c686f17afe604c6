import { type ByteRange, formatRange } from '../../model/byte-range.js';
import type { StreamedResponse } from '../../net/client/streamed-response.js';
import type { SafeFetch, SendableHeaders } from '../../net/guarded/safe-fetch.js';
import type { AdapterContext } from '../adapter-context.js';
import { type ByteStream, type CallOptions, type OpenMediaOptions, RangeNotSatisfiable } from '../provider-adapter.js';
import { type MediaHeaders, readMediaHeaders } from './media-headers.js';
import { partOf, sizeFrom416, withExactLength } from './partial-content.js';
import type { ProviderFaults } from './provider-call.js';

/** Opens an address from a provider's answer: guarded, without credentials. */
export async function openMediaUrl(
  url: string,
  context: AdapterContext,
  faults: ProviderFaults,
  { range, signal }: OpenMediaOptions,
): Promise<ByteStream> {
  const headers = rangeHeaders(range);
  const response = await context.safeFetch.open(url, { headers, signal, maxBytes: context.maxDownloadBytes });
  if (isAboutBytes(response, range)) return toByteStream(response, faults, range);
  response.body.destroy();
  throw faults.ofMediaUrlStatus(response.statusCode, response.headers);
}

/** The headers of a `SafeFetch` request, which adds the others itself. */
export function rangeHeaders(range: ByteRange | undefined): SendableHeaders {
  return range ? { range: formatRange(range) } : {};
}

/**
 * The headers of a request for bytes with credentials. It asks for no content coding, because a range counts encoded
 * bytes.
 */
export function bytesHeaders(range: ByteRange | undefined): Readonly<Record<string, string>> {
  return { accept: '*/*', 'accept-encoding': 'identity', ...rangeHeaders(range) };
}

/** Whether {@link toByteStream} can read a response. All other responses are refusals. */
export function isAboutBytes(
  { statusCode }: Pick<StreamedResponse, 'statusCode'>,
  range: ByteRange | undefined,
): boolean {
  return statusCode === 200 || statusCode === 206 || (statusCode === 416 && range !== undefined);
}

/**
 * Turns a response into an adapter's result. A body that could not be decoded is refused, and a part must be the
 * requested one. A 200 is the whole media, whatever was requested.
 * @throws MediagraphError PROVIDER_PROTOCOL, RangeNotSatisfiable
 */
export function toByteStream(response: StreamedResponse, faults: ProviderFaults, range?: ByteRange): ByteStream {
  try {
    return readBytes(response, faults, range);
  } catch (thrown) {
    response.body.destroy();
    throw thrown;
  }
}

function readBytes(
  { statusCode, headers, body }: StreamedResponse,
  faults: ProviderFaults,
  range?: ByteRange,
): ByteStream {
  const protocol = (came: string) => faults.protocol('the bytes of a media', came, { upstreamStatus: statusCode });
  if (statusCode === 416 && range) {
    const size = sizeFrom416(headers, range);
    throw typeof size === 'string' ? protocol(size) : new RangeNotSatisfiable(size);
  }
  if (headers['content-encoding'] !== undefined) throw protocol('a body in a content coding that is not known here');
  const part = statusCode === 206 ? partOf(headers, range) : null;
  if (typeof part === 'string') throw protocol(part);
  const { mimeType, ...rest } = readMediaHeaders(headers, statusCode);
  return { body: part ? withExactLength(body, part) : body, declaredMimeType: mimeType, ...rest, range: part };
}

/**
 * Fetches the headers only. It requests a range of one byte, because stores with signed URLs refuse HEAD: the signature
 * covers the method.
 */
export async function probeMediaUrl(
  url: string,
  safeFetch: SafeFetch,
  { signal }: CallOptions,
): Promise<MediaHeaders | null> {
  const { statusCode, headers, body } = await safeFetch.open(url, {
    headers: rangeHeaders({ start: 0, end: 0 }),
    signal,
    maxBytes: Number.MAX_SAFE_INTEGER,
  });
  body.destroy();
  return statusCode === 200 || statusCode === 206 ? readMediaHeaders(headers, statusCode) : null;
}
