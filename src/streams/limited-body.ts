import { finished, Readable } from 'node:stream';
import { assertByteCount, HIGH_WATER_MARK, tooLarge } from './byte-limit.js';
import type { CallClock } from './call-clock.js';
import { SilenceTimer } from './silence-timer.js';

export interface BodyLimits {
  readonly maxBytes: number;
  /** The longest pause between bytes while the consumer reads. */
  readonly silenceTimeoutMs: number;
}

/**
 * Wraps a response's body so that it fails, rather than ends early, when it is too long, silent, cut off or aborted.
 * Closing the body ends its call's clock. The reader must drain or destroy it.
 */
export function limitBody(source: Readable, limits: BodyLimits, call: CallClock): Readable {
  assertByteCount(limits.maxBytes);
  return new LimitedBody(source, limits, call);
}

/** One stream for all limits: each further one between a socket and its reader would hold bytes and take time. */
class LimitedBody extends Readable {
  readonly #silence: SilenceTimer;
  #passedBytes = 0;
  /** The source has failed, and the bytes that it sent before are not read yet. */
  #failure: Error | null = null;
  #isRead = false;

  constructor(
    private readonly source: Readable,
    private readonly limits: BodyLimits,
    call: CallClock,
  ) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.#silence = new SilenceTimer(limits.silenceTimeoutMs, (error) => this.destroy(error));
    // A caller may destroy or drop the body before it listens; an error must not end the process then.
    this.on('error', ignore).once('close', () => call.end());
    finished(source, { writable: false }, (error) => {
      if (error) this.#fail(call.reasonOr(error));
      else this.#end();
    });
    source.on('data', (chunk: Buffer) => this.#pass(chunk));
    call.onAbort((reason) => this.destroy(reason));
  }

  /** Node calls this when the consumer wants more data. If the consumer was slow, the source's time starts now. */
  override _read(): void {
    this.#silence.startIfStopped();
    if (this.source.isPaused()) this.source.resume();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#isRead ||= chunk !== null;
    if (this.#failure !== null && this.readableLength === 0) this.destroy(this.#failure);
    return chunk;
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#silence.end();
    this.source.destroy();
    done(error);
  }

  #pass(chunk: Buffer): void {
    if (this.destroyed) return;
    const { maxBytes } = this.limits;
    this.#passedBytes += chunk.length;
    // Nothing of the chunk that crosses the limit is passed, because a truncated body must never look complete.
    if (this.#passedBytes > maxBytes) {
      this.destroy(tooLarge(maxBytes));
    } else if (this.push(chunk)) {
      this.#silence.restart();
    } else {
      this.#silence.stop();
      this.source.pause();
    }
  }

  /** A reader that has begun gets the bytes that arrived before the failure, whenever it reads them. */
  #fail(error: Error): void {
    this.#silence.end();
    this.#failure = error;
    if (!this.#isRead || this.readableLength === 0) this.destroy(error);
  }

  #end(): void {
    this.#silence.end();
    this.push(null);
  }
}

/** Destroys an unread body and its connection. Draining it instead could take for ever. */
export function discard(body: Readable): void {
  body.on('error', ignore).destroy();
}

function ignore(): void {}
