import { Transform, type TransformCallback } from 'node:stream';
import { NetError } from './net-error.js';

/** As much as a socket is read ahead of a slow consumer; the size that measured best for byte streams. */
const HIGH_WATER_MARK = 256 * 1024;

/**
 * Passes at most `maxBytes` bytes. One byte more and the stream fails, by default with `NetError RESPONSE_TOO_LARGE`,
 * and nothing of the chunk that crossed the limit is passed: a cap must never look like a complete, shorter body.
 */
export function byteLimit(maxBytes: number, makeError: () => Error = () => tooLarge(maxBytes)): Transform {
  assertByteCount(maxBytes);
  let passed = 0;
  return new Transform({
    highWaterMark: HIGH_WATER_MARK,
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > maxBytes) done(makeError());
      else done(null, chunk);
    },
  });
}

/** @throws RangeError: with NaN or a fraction as limit, every comparison would let the bytes pass. */
export function assertByteCount(maxBytes: number): void {
  if (Number.isSafeInteger(maxBytes) && maxBytes >= 0) return;
  throw new RangeError(`expected maxBytes to be a whole number of bytes, got ${maxBytes}`);
}

export function tooLarge(maxBytes: number): NetError {
  return new NetError('RESPONSE_TOO_LARGE', `expected at most ${maxBytes} bytes, got more`);
}

/**
 * Passes everything, and fails with `NetError TIMEOUT` when nothing arrives for `silenceMs` milliseconds. A consumer that
 * does not read is not silence: the clock stands still while this stream is full. (undici's `bodyTimeout` counts in
 * ticks of half a second: 100 ms were measured to end after 1.0 s.)
 */
export function silenceLimit(silenceMs: number): Transform {
  return new SilenceLimit(silenceMs);
}

class SilenceLimit extends Transform {
  #timer: NodeJS.Timeout | null = null;
  #upstreamEnded = false;

  constructor(private readonly silenceMs: number) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.#listen();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.push(chunk);
    if (this.readableLength >= this.readableHighWaterMark) this.#rest();
    else this.#listen();
    done();
  }

  /** Called when the consumer wants more: if it had kept us waiting, the sender's time starts now. */
  override _read(size: number): void {
    if (this.#timer === null && !this.#upstreamEnded) this.#listen();
    super._read(size);
  }

  override _flush(done: TransformCallback): void {
    this.#upstreamEnded = true;
    this.#rest();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#upstreamEnded = true;
    this.#rest();
    done(error);
  }

  #listen(): void {
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => {
      this.destroy(new NetError('TIMEOUT', `expected a byte within ${this.silenceMs} ms, got silence`));
    }, this.silenceMs);
  }

  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
