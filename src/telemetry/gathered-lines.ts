import { type DestinationStream, pino } from 'pino';

/** How long a line may wait for others. */
const GATHER_MS = 10;
/** So many characters are written without waiting. */
const GATHER_LENGTH = 4_096;

type Output = ReturnType<typeof pino.destination>;

/**
 * A destination that writes lines to standard output together, because a write costs more than the line itself. It is
 * asynchronous, so that a reader that stalls does not block the event loop. pino writes what is left when the process
 * exits, also after an uncaught exception, and before it returns from a `fatal` line. Only a kill loses the lines of the
 * last {@link GATHER_MS}, and of a write that is under way. Without new lines there is no timer.
 */
export class GatheredLines implements DestinationStream {
  readonly #output: Output = pino.destination({ sync: false, minLength: GATHER_LENGTH });
  #pendingBytes = 0;
  #isFlushPending = false;

  constructor() {
    this.#output.on('write', (bytes) => {
      this.#pendingBytes -= bytes;
    });
    // A flush during a write has no effect, so the lines that came meanwhile would stay until the next line.
    this.#output.on('drain', () => {
      if (this.#pendingBytes > 0) this.#flushSoon();
    });
  }

  write(line: string): void {
    this.#pendingBytes += Buffer.byteLength(line);
    this.#output.write(line);
    this.#flushSoon();
  }

  /** pino calls this for `fatal` lines. */
  flushSync(): void {
    this.#output.flushSync();
  }

  #flushSoon(): void {
    if (this.#isFlushPending) return;
    this.#isFlushPending = true;
    const flush = () => {
      this.#isFlushPending = false;
      this.#output.flush();
    };
    setTimeout(flush, GATHER_MS).unref();
  }
}
