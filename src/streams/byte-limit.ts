import { Transform, type TransformCallback } from 'node:stream';
import { NetError } from './net-error.js';
import { SilenceTimer } from './silence-timer.js';

/** How far a socket is read ahead of a slow consumer. 256 KiB gave the best throughput in measurements. */
export const HIGH_WATER_MARK = 256 * 1024;

/**
 * Passes at most `maxBytes` bytes. One more byte fails the stream, by default with `NetError RESPONSE_TOO_LARGE`.
 * Nothing of the chunk that crosses the limit is passed, because a truncated body must never look complete.
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

/** @throws RangeError for a limit that is not a whole number: a comparison with NaN would let every byte pass */
export function assertByteCount(maxBytes: number): void {
  if (Number.isSafeInteger(maxBytes) && maxBytes >= 0) return;
  throw new RangeError(`expected maxBytes to be a whole number of bytes, got ${maxBytes}`);
}

export function tooLarge(maxBytes: number): NetError {
  return new NetError('RESPONSE_TOO_LARGE', `expected at most ${maxBytes} bytes, got more`);
}

/**
 * Passes all bytes and fails with `NetError TIMEOUT` when none arrives for `silenceMs` milliseconds. The clock stops
 * while this stream is full, since a consumer that does not read is not the sender's silence.
 */
export function silenceLimit(silenceMs: number): Transform {
  return new SilenceLimit(silenceMs);
}

class SilenceLimit extends Transform {
  readonly #silence: SilenceTimer;

  constructor(silenceMs: number) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.#silence = new SilenceTimer(silenceMs, (error) => this.destroy(error));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.push(chunk);
    if (this.readableLength >= this.readableHighWaterMark) this.#silence.stop();
    else this.#silence.restart();
    done();
  }

  /** Node calls this when the consumer wants more data. If the consumer was slow, the sender's time starts now. */
  override _read(size: number): void {
    this.#silence.startIfStopped();
    super._read(size);
  }

  override _flush(done: TransformCallback): void {
    this.#silence.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#silence.end();
    done(error);
  }
}
