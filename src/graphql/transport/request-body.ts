import { type Duplex, type Readable, Transform, type TransformCallback } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { MediagraphError } from '../../model/errors.js';

/** RFC 9110 section 8.4.1, and `x-gzip`, which is to be taken for gzip. */
const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
/** One over the other; more is nothing but a way to cost. */
const MAX_CODINGS = 3;

/** What Fastify takes for its own word on why a request is refused. */
function refused(statusCode: number, message: string): MediagraphError {
  return new MediagraphError('BAD_USER_INPUT', message, {}, { cause: Object.assign(new Error(), { statusCode }) });
}

/** @throws MediagraphError BAD_USER_INPUT, for a 415, where a coding is unknown or there are too many */
export function codingsOf(header: string | undefined): string[] {
  const codings = (header ?? '')
    .slice(0, 200)
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
  if (codings.length > MAX_CODINGS || codings.some((coding) => !Object.hasOwn(DECODERS, coding)))
    throw refused(415, `expected a body in gzip, deflate or br, ${MAX_CODINGS} of them at most, got another coding`);
  return codings;
}

/**
 * The decoded body, in as many steps as it has codings. Neither what comes in nor what any step makes of it may be longer
 * than `maxBytes`: a bomb ends there, with a 413.
 */
export function decodedBody(payload: Readable, codings: readonly string[], maxBytes: number): Readable {
  const received = new Counted(maxBytes);
  const steps: Duplex[] = [received];
  for (const coding of [...codings].reverse()) {
    const decoder = DECODERS[coding]?.();
    if (decoder) steps.push(decoder, new Counted(maxBytes));
  }
  const body = steps.at(-1) ?? received;
  // Fastify reads nothing of a body that it refuses by its headers, and stops listening to one that it refuses midway.
  body.on('error', () => {});
  // By hand: `pipeline` would destroy the request, and with it the connection that is to carry the refusal.
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
  // How much has come over the connection, which Fastify compares with Content-Length.
  return Object.defineProperty(body, 'receivedEncodedLength', { get: () => received.bytes });
}

class Counted extends Transform {
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

/** Of all bodies that are being read together, and of one tenant's. */
const MAX_BYTES = 128_000_000;
const MAX_BYTES_OF_TENANT = 64_000_000;

/**
 * Counts what bodies hold while they are read, so that many slow ones cannot fill the memory: those of one tenant hold
 * half of it at most. A body is refused when there is no room for what has come of it.
 */
export class BodiesUnderWay {
  #bytes = 0;
  readonly #ofTenant = new Map<string, number>();

  /** Counts from now on until the body ends, whatever way. */
  watch(payload: Readable, tenant: string, refuse: (reason: MediagraphError) => void): void {
    let held = 0;
    const add = (bytes: number) => {
      held += bytes;
      this.#bytes += bytes;
      const ofTenant = (this.#ofTenant.get(tenant) ?? 0) + bytes;
      if (ofTenant > 0) this.#ofTenant.set(tenant, ofTenant);
      else this.#ofTenant.delete(tenant);
      return this.#bytes <= MAX_BYTES && ofTenant <= MAX_BYTES_OF_TENANT;
    };
    const onData = (chunk: Buffer) => {
      if (add(chunk.length)) return;
      payload.off('data', onData);
      refuse(tooMuchAtOnce());
    };
    payload.on('data', onData);
    payload.once('close', () => add(-held));
  }
}

function tooMuchAtOnce(): MediagraphError {
  const details = { retryable: true, retryAfterMs: 5_000 };
  return new MediagraphError('RATE_LIMITED', 'expected fewer bodies at once than are being read already', details);
}
