import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, Readable, Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { byteLimit } from '../streams/byte-limit.js';
import { NetError } from '../streams/net-error.js';

interface Coded {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/**
 * One coding is usual, and two come from a misconfigured proxy. Each further one costs memory and multiplies the size
 * that a few bytes can decode to.
 */
const MAX_CODINGS = 4;
/**
 * Registered codings (RFC 9110 section 8.4.1, IANA's registry) that this platform cannot decode, or not without a key.
 */
const UNDECODABLE: ReadonlySet<string> = new Set([
  'aes128gcm',
  'compress',
  'dcb',
  'dcz',
  'exi',
  'pack200-gzip',
  'x-compress',
  'zstd',
]);

/**
 * Removes the content codings of a response, which a server may apply although `identity` was requested. The last
 * applied coding is decoded first. Tokens that name no coding (`UTF-8`, `none`, `binary`, `aws-chunked`) are ignored.
 *
 * A decoded body has no known length, holds at most `maxBytes`, and fails with NetError RESPONSE_TOO_LARGE or
 * BAD_RESPONSE rather than end early. A response that cannot be decoded is returned unchanged, with its
 * `content-encoding`: an unknown coding, more than four codings, or a part of a coded representation (RFC 9110 section
 * 14.4).
 */
export function withoutCodings<Response extends Coded>(response: Response, maxBytes: number): Response {
  const { 'content-encoding': header, ...headers } = response.headers;
  if (header === undefined) return response;
  const codings = codingsIn(header);
  if (codings.length === 0) return { ...response, headers };
  const decoders = codings.map(decoderOf);
  const isKnown = decoders.every((decoder) => decoder !== null);
  if (response.statusCode === 206 || codings.length > MAX_CODINGS || !isKnown) return response;
  const { 'content-length': _, ...rest } = headers;
  return { ...response, headers: rest, body: decoded(response.body, decoders.reverse(), maxBytes) };
}

/**
 * Returns the known codings in the order of their application. undici passes a repeated header as a list, against its
 * type.
 */
function codingsIn(header: unknown): readonly string[] {
  const tokens = String(header)
    .split(',')
    .map((token) => token.trim().toLowerCase());
  return tokens.filter((token) => decoderOf(token) !== null || UNDECODABLE.has(token));
}

/** Creates the decoder of one coding. `head` holds the first coded bytes. */
type MakeDecoder = (head: Buffer) => Transform;

/** null = this platform has no such decoder. */
function decoderOf(coding: string): MakeDecoder | null {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return () => zlib.createGunzip();
    case 'deflate':
      return (head) => (isZlib(head) ? zlib.createInflate() : zlib.createInflateRaw());
    case 'br':
      return () => zlib.createBrotliDecompress();
    case 'zstd':
      return zstdDecoder();
    default:
      return null;
  }
}

/** Zstandard exists in Node v22.15.0 and later, but not in Node 20. */
function zstdDecoder(): MakeDecoder | null {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress');
  if (typeof create !== 'function') return null;
  return () => {
    const decoder: unknown = create();
    if (decoder instanceof Transform) return decoder;
    throw new Error('expected a decoder of Zstandard');
  };
}

/**
 * "deflate" means zlib's format (RFC 1950 section 2.2), but some servers send raw deflate data (RFC 9110 section
 * 8.4.1.2).
 */
function isZlib(head: Buffer): boolean {
  return head.length < 2 || ((head.readUInt8(0) & 0x0f) === 8 && head.readUInt16BE(0) % 31 === 0);
}

function decoded(source: Readable, decoders: ReadonlyArray<MakeDecoder | null>, maxBytes: number): Readable {
  const body = byteLimit(maxBytes);
  const layers = decoders.reduce<Readable>((coded, decoder) => (decoder ? layer(coded, decoder) : coded), source);
  // Registered before `pipeline`, so that the reader sees the source's own error.
  source.once('error', (error) => body.destroy(error));
  // A caller may destroy or drop the body before it listens; an error must not end the process then.
  body.on('error', ignore).once('close', () => source.destroy());
  pipeline(layers, body, ignore);
  return body;
}

function layer(coded: Readable, make: MakeDecoder): Readable {
  const layered = Readable.from(decode(coded, make), { objectMode: false });
  return layered.once('close', () => coded.destroy());
}

async function* decode(coded: Readable, make: MakeDecoder): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = coded[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  for (let isOver = false; head.length < 2 && !isOver; ) {
    const next = await chunks.next();
    isOver = next.done === true;
    if (!next.done) head = Buffer.concat([head, next.value]);
  }
  const decoder = make(head);
  pipeline(Readable.from(resume(head, chunks), { objectMode: false }), decoder, ignore);
  try {
    yield* decoder;
  } catch (thrown) {
    throw isZlibError(thrown) ? new NetError('BAD_RESPONSE', NOT_CODED, { cause: thrown }) : thrown;
  }
}

const NOT_CODED = 'expected a body in its declared content coding, got another';

async function* resume(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

function isZlibError(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return false;
  const code = String(thrown.code);
  // Brotli and Zstandard have their own error codes.
  return ['Z_', 'ERR__', 'ERR_BROTLI', 'ERR_ZSTD', 'ZSTD_'].some((start) => code.startsWith(start));
}

function ignore(): void {}
