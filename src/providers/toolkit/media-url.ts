import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { type ByteRange, formatRange } from '../../model/byte-range.js';
import type { SafeFetch, SendableHeaders } from '../../net/guarded/safe-fetch.js';
import type { AdapterContext } from '../adapter-context.js';
import { type ByteStream, type CallOptions, type OpenMediaOptions, RangeNotSatisfiable } from '../provider-adapter.js';
import { type MediaHeaders, readMediaHeaders } from './media-headers.js';
import { exactly, partOf, sizeToldBy416 } from './partial-content.js';
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
  { range, signal }: OpenMediaOptions,
): Promise<ByteStream> {
  const headers = rangeHeaders(range);
  const response = await context.safeFetch.open(url, { headers, signal, maxBytes: context.maxDownloadBytes });
  if (isAboutBytes(response, range)) return toByteStream(response, faults, range);
  response.body.destroy();
  throw faults.ofMediaUrlStatus(response.statusCode, response.headers);
}

/** For `SafeFetch`, which says the rest itself. */
export function rangeHeaders(range: ByteRange | undefined): SendableHeaders {
  return range ? { range: formatRange(range) } : {};
}

/** For requests for bytes that bear credentials. Unpacked: a range counts the bytes that are sent. */
export function bytesHeaders(range: ByteRange | undefined): Readonly<Record<string, string>> {
  return { accept: '*/*', 'accept-encoding': 'identity', ...rangeHeaders(range) };
}

/** Whether an answer is one that {@link toByteStream} reads; all others are refusals, in the provider's own words. */
export function isAboutBytes({ statusCode }: Pick<Opened, 'statusCode'>, range: ByteRange | undefined): boolean {
  return statusCode === 200 || statusCode === 206 || (statusCode === 416 && range !== undefined);
}

/**
 * Bytes as an adapter hands them on. A body that could not be decoded is not the media, and a part must be the one that was
 * asked for; 200 is all of it, whatever was asked for. @throws MediagraphError PROVIDER_PROTOCOL, RangeNotSatisfiable
 */
export function toByteStream(response: Opened, faults: ProviderFaults, range?: ByteRange): ByteStream {
  try {
    return readBytes(response, faults, range);
  } catch (thrown) {
    response.body.destroy();
    throw thrown;
  }
}

function readBytes({ statusCode, headers, body }: Opened, faults: ProviderFaults, range?: ByteRange): ByteStream {
  const protocol = (came: string) => faults.protocol('the bytes of a media', came, { upstreamStatus: statusCode });
  if (statusCode === 416 && range) {
    const told = sizeToldBy416(headers, range);
    throw typeof told === 'string' ? protocol(told) : new RangeNotSatisfiable(told);
  }
  if (headers['content-encoding'] !== undefined) throw protocol('a body in a content coding that is not known here');
  const part = statusCode === 206 ? partOf(headers, range) : null;
  if (typeof part === 'string') throw protocol(part);
  const { mimeType, ...rest } = readMediaHeaders(headers, statusCode);
  return { body: part ? exactly(body, part) : body, declaredMimeType: mimeType, ...rest, range: part };
}

/** The headers alone. A range of one byte, since stores that sign their URLs refuse HEAD (the signature names the method). */
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
