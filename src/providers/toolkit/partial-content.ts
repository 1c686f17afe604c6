import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';
import { type ByteRange, type ByteSpan, parseContentRange, parseUnsatisfiedRange } from '../../model/byte-range.js';
import { NetError } from '../../streams/net-error.js';

/**
 * What part of the media a 206 holds, which may end before the end that was asked for (RFC 9110 section 14.2); or, as a
 * text to follow "got", what is wrong with it. Several ranges in one (`multipart/byteranges`) have no Content-Range.
 */
export function partOf(headers: IncomingHttpHeaders, asked: ByteRange | undefined): ByteSpan | string {
  if (asked === undefined) return 'a part of the media where all of it was asked for';
  const part = parseContentRange(headers['content-range']);
  if (part === null) return 'a part of the media that does not say which';
  const { start, end } = part;
  if (start !== asked.start || end > (asked.end ?? end)) return 'another part of the media than was asked for';
  const { 'content-length': length } = headers;
  if (length !== undefined && Number(length) !== lengthOf(part)) return 'a part of the media with two lengths';
  return { start, end };
}

/** The size of the media that a 416 tells, null = none; or what is wrong with the refusal, as a text to follow "got". */
export function sizeToldBy416(headers: IncomingHttpHeaders, asked: ByteRange): number | null | string {
  const sizeBytes = parseUnsatisfiedRange(headers['content-range']);
  return sizeBytes !== null && asked.start < sizeBytes ? 'a refusal of a range that the media has' : sizeBytes;
}

/** A body that fails unless it is as long as its part: one that ended early or went on must not pass for it (RFC 9110 section 15.3.7). */
export function exactly(source: Readable, part: ByteSpan): Readable {
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
