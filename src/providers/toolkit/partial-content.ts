import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';
import { type ByteRange, type ByteSpan, parseContentRange, parseUnsatisfiedRange } from '../../model/byte-range.js';
import { NetError } from '../../streams/net-error.js';

/**
 * Returns the part of the media in a 206, which may end before the requested end (RFC 9110 section 14.2), or, as a text
 * to follow "got", why it is invalid. A `multipart/byteranges` response has no Content-Range.
 */
export function partOf(headers: IncomingHttpHeaders, requested: ByteRange | undefined): ByteSpan | string {
  if (requested === undefined) return 'a part of the media where all of it was asked for';
  const part = parseContentRange(headers['content-range']);
  if (part === null) return 'a part of the media that does not say which';
  const { start, end } = part;
  if (start !== requested.start || end > (requested.end ?? end)) return 'another part of the media than was asked for';
  const { 'content-length': length } = headers;
  if (length !== undefined && Number(length) !== lengthOf(part)) return 'a part of the media with two lengths';
  return { start, end };
}

/**
 * Returns the size of the media from a 416 (null = not stated), or, as a text to follow "got", why the refusal is
 * invalid.
 */
export function sizeFrom416(headers: IncomingHttpHeaders, requested: ByteRange): number | null | string {
  const sizeBytes = parseUnsatisfiedRange(headers['content-range']);
  return sizeBytes !== null && requested.start < sizeBytes ? 'a refusal of a range that the media has' : sizeBytes;
}

/**
 * Fails a body that is not exactly as long as its part: a truncated or longer one must not pass for it (RFC 9110
 * section 15.3.7).
 */
export function withExactLength(source: Readable, part: ByteSpan): Readable {
  const length = lengthOf(part);
  let passed = 0;
  const fault = () =>
    new NetError('BAD_RESPONSE', `expected ${length} bytes, got ${passed > length ? 'more' : passed}`);
  const body = new Transform({
    highWaterMark: source.readableHighWaterMark,
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > length) done(fault());
      else done(null, chunk);
    },
    flush: (done) => done(passed < length ? fault() : null),
  });
  // A caller may destroy or drop the body before it listens; an error must not end the process then.
  body.on('error', ignore);
  pipeline(source, body, ignore);
  return body;
}

function lengthOf({ start, end }: ByteSpan): number {
  return end - start + 1;
}

function ignore(): void {}
