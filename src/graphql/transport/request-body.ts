import { type Duplex, type Readable, Transform, type TransformCallback } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { FastifyRequest, RequestPayload } from 'fastify';
import { MediagraphError } from '../../model/errors.js';
import type { BodyMemory } from './body-memory.js';

/** RFC 9110 section 8.4.1, which requires `x-gzip` to be treated as gzip. */
const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
/** Codings that may be applied to one body. Each costs a decoder, and no client needs more. */
const MAX_CODINGS = 3;
const MAX_CODINGS_LENGTH = 200;
/** Bodies without a coding that are no longer than this are not counted. */
export const SMALL_BODY_BYTES = 65_536;

export interface BodyBounds {
  /** For the body as it is sent, and for the result of each decoder. */
  readonly maxBytes: number;
  readonly memory: BodyMemory;
  readonly tenant: string;
}

/** The body as Fastify is to read it: decoded, and counted. @throws MediagraphError BAD_USER_INPUT for a coding */
export function boundedBody(
  { headers }: FastifyRequest,
  payload: RequestPayload,
  { maxBytes, memory, tenant }: BodyBounds,
): RequestPayload {
  const codings = codingsOf(headers['content-encoding']);
  const isSmall = codings.length === 0 && Number(headers['content-length'] ?? Number.NaN) <= SMALL_BODY_BYTES;
  if (isSmall) return payload;
  const body = decodedBody(payload, codings, maxBytes);
  memory.watch(body, tenant);
  return body;
}

/** An error whose cause has a `statusCode`, as Fastify's own refusals have; see `statusOf`. */
function refused(statusCode: number, message: string): MediagraphError {
  return new MediagraphError('BAD_USER_INPUT', message, {}, { cause: Object.assign(new Error(), { statusCode }) });
}

/** @throws MediagraphError BAD_USER_INPUT with status 415 for an unknown coding, or too many */
function codingsOf(header: string | undefined): string[] {
  const codings = (header ?? '')
    .slice(0, MAX_CODINGS_LENGTH)
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length > MAX_CODINGS || codings.some((coding) => !Object.hasOwn(DECODERS, coding)))
    throw refused(415, `expected a body in gzip, deflate or br, ${MAX_CODINGS} of them at most, got another coding`);
  return codings;
}

/**
 * Decodes a body with one decoder per coding. Neither the body nor the result of any decoder may be longer than
 * `maxBytes`: a decompression bomb ends there, with status 413.
 */
function decodedBody(payload: Readable, codings: readonly string[], maxBytes: number): Readable {
  const received = new LimitedStream(maxBytes);
  const steps: Duplex[] = [received];
  for (const coding of [...codings].reverse()) {
    const decoder = DECODERS[coding]?.();
    if (decoder) steps.push(decoder, new LimitedStream(maxBytes));
  }
  const body = steps.at(-1) ?? received;
  // Fastify does not listen for errors of a body that it refuses by its headers, or after it has refused it midway.
  body.on('error', () => {});
  // `pipeline` would destroy the request, and with it the connection that is to carry the refusal.
  const end = (fault: Error) => {
    payload.unpipe(received);
    for (const step of steps) step.destroy(step === body ? fault : undefined);
  };
  payload.pipe(received);
  payload.once('close', () => {
    if (!payload.readableEnded) end(refused(400, 'expected the whole of a body'));
  });
  steps.forEach((step, index) => {
    if (step === body) return;
    step.on('error', end);
    const next = steps[index + 1];
    if (next) step.pipe(next);
  });
  // Fastify compares the bytes received over the connection with Content-Length.
  return Object.defineProperty(body, 'receivedEncodedLength', { get: () => received.bytes });
}

/** Counts its bytes, and fails when there are too many. */
class LimitedStream extends Transform {
  bytes = 0;

  constructor(private readonly maxBytes: number) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) done(refused(413, 'expected a smaller body'));
    else done(null, chunk);
  }
}
