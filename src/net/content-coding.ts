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

/** One layer is usual, two are a proxy's mistake; each more costs memory, and multiplies what little bytes can become. */
const MAX_CODINGS = 4;
/** Tokens that name a coding (RFC 9110 section 8.4.1, IANA's registry) which this platform cannot undo, or not without a key. */
const BEYOND_US: ReadonlySet<string> = new Set([
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
 * The response without the content codings that it came in, although `identity` was asked for: what was applied last is
 * undone first. Tokens that name no coding (`UTF-8`, `none`, `binary`, `aws-chunked`) mean nothing. A body that was
 * decoded is of no known length, holds at most `maxBytes`, and fails with NetError RESPONSE_TOO_LARGE or BAD_RESPONSE
 * rather than end early. What cannot be decoded comes back as it is, its `content-encoding` too: a coding that is not
 * known here, more than four, or a part of a coded whole (RFC 9110 section 14.4).
 */
export function withoutCodings<Response extends Coded>(response: Response, maxBytes: number): Response {
  const { 'content-encoding': told, ...headers } = response.headers;
  if (told === undefined) return response;
  const codings = codingsIn(told);
  if (codings.length === 0) return { ...response, headers };
  const decoders = codings.map(decoderOf);
  const isKnown = decoders.every((decoder) => decoder !== null);
  if (response.statusCode === 206 || codings.length > MAX_CODINGS || !isKnown) return response;
  const { 'content-length': _, ...rest } = headers;
  return { ...response, headers: rest, body: decoded(response.body, decoders.reverse(), maxBytes) };
}

/** Those that mean something, in the order in which they were applied. Two headers come as a list, against the type. */
function codingsIn(told: unknown): readonly string[] {
  const tokens = String(told)
    .split(',')
    .map((token) => token.trim().toLowerCase());
  return tokens.filter((token) => decoderOf(token) !== null || BEYOND_US.has(token));
}

/** Undoes one coding. `head` is how the coded bytes begin. */
type MakeDecoder = (head: Buffer) => Transform;

/** null: none that this platform has. */
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

/** Newer than Node 20 (Node's docs: added in v22.15.0). */
function zstdDecoder(): MakeDecoder | null {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress');
  if (typeof create !== 'function') return null;
  return () => {
    const decoder: unknown = create();
    if (decoder instanceof Transform) return decoder;
    throw new Error('expected a decoder of Zstandard');
  };
}

/** "deflate" means zlib's format (RFC 1950 section 2.2); some servers send what is in it bare (RFC 9110 section 8.4.1.2). */
function isZlib(head: Buffer): boolean {
  return head.length < 2 || ((head.readUInt8(0) & 0x0f) === 8 && head.readUInt16BE(0) % 31 === 0);
}

function decoded(source: Readable, decoders: ReadonlyArray<MakeDecoder | null>, maxBytes: number): Readable {
  const body = byteLimit(maxBytes);
  const layers = decoders.reduce<Readable>((coded, decoder) => (decoder ? layer(coded, decoder) : coded), source);
  // First in line, so that the reader meets the source's own error.
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
  // Brotli's and Zstandard's have names of their own.
  return ['Z_', 'ERR__', 'ERR_BROTLI', 'ERR_ZSTD', 'ZSTD_'].some((start) => code.startsWith(start));
}

function ignore(): void {}
