import type { FileHandle } from 'node:fs/promises';
import { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../../model/byte-range.js';

/** As much as is read at once for whoever takes it at once; measured best for delivery. */
const LARGE_BYTES = 256 * 1024;
/** For whoever does not. */
const SMALL_BYTES = 32 * 1024;
/** What all readers together may hold in large pieces before they have shown that they take them. */
const HELD_BYTES = 8 * 1024 * 1024;
/** A reader that took so much, each piece within this time, is no slow one: sockets and proxies swallow less than that. */
const PROVEN_BYTES = 4 * 1024 * 1024;
const PROMPT_MS = 100;
const MAX_IDLE_BYTES = 8 * 1024 * 1024;

/** How many readers at once have more read for them than they may hold. */
const MAX_LENT = 16;

let held = 0;
let lent = 0;
/** By size, what nobody holds: memory that is new has to be cleared by the system first, which costs as much as reading. */
const idle: Readonly<Record<number, Buffer[]>> = { [LARGE_BYTES]: [], [SMALL_BYTES]: [] };

/**
 * A part of an open file, which it closes. One piece is in memory at a time (two where a reader has shown that it takes
 * them), and none is read before the one before it was taken: a thousand slow readers hold a thousand small pieces.
 */
export class FileReader extends Readable {
  #at: number;
  readonly #from: number;
  readonly #last: number;
  /** The size of the pieces that were handed out and not taken yet. */
  #held = 0;
  #handedOutAt = 0;
  #isPrompt = true;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly file: FileHandle,
    { start, end }: ByteSpan,
  ) {
    // 0: nothing is read ahead of a reader that has paused.
    super({ highWaterMark: 0 });
    this.#from = start;
    this.#at = start;
    this.#last = end;
  }

  override _read(): void {
    this.#taken(this.#held);
    const size = Math.min(this.#left, this.#mayBeLarge ? LARGE_BYTES : SMALL_BYTES);
    if (size === 0) {
      this.push(null);
      return;
    }
    this.#hold(size);
    this.#fill(Buffer.allocUnsafeSlow(size)).then(
      (piece) => {
        this.#handedOutAt = performance.now();
        this.push(piece);
      },
      (error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#hold(-this.#held);
    // A file that is closed while it is read from may be another one by then.
    const close = () => this.file.close();
    this.#reading.then(close, close).then(
      () => callback(error),
      (fault) => callback(error ?? fault),
    );
  }

  /**
   * As every Readable's, but that pieces are used again: a response says by the callback of a write that the socket has
   * it behind it.
   */
  override pipe<Destination extends NodeJS.WritableStream>(
    destination: Destination,
    options?: { end?: boolean },
  ): Destination {
    const isWhole = destination instanceof ServerResponse && options?.end !== false;
    if (!isWhole) return super.pipe(destination, options);
    this.#pump(destination).catch((error) => this.destroy(error));
    return destination;
  }

  async #pump(destination: ServerResponse): Promise<void> {
    const closed = new Promise<void>((resolve) => destination.once('close', resolve));
    const isOver = () => destination.destroyed || this.destroyed;
    let onItsWay: Promise<void> = Promise.resolve();
    while (this.#left > 0 && !isOver()) {
      // While a piece is on its way, the next is read, if the reader has earned that.
      if (!this.#isProven) await onItsWay;
      if (this.#mayBeLarge) {
        const size = Math.min(this.#left, LARGE_BYTES);
        this.#hold(size);
        const piece = await this.#fill(pieceOf(size));
        await onItsWay;
        if (!isOver()) onItsWay = this.#send(destination, piece, size, closed).then(() => giveBack(piece, destination));
      } else {
        await onItsWay;
        await this.#sendInSlices(destination, closed);
      }
    }
    await onItsWay;
    if (isOver()) {
      this.destroy();
      return;
    }
    destination.end();
    // For whoever waits for the end of this stream.
    this.push(null);
    this.resume();
  }

  // Private: read like a large piece and sent in copied slices: a reader that stops taking them holds one, and what was
  // read beyond it is read again.
  async #sendInSlices(destination: ServerResponse, closed: Promise<void>): Promise<void> {
    if (lent === MAX_LENT) {
      const size = Math.min(this.#left, SMALL_BYTES);
      this.#hold(size);
      const slice = await this.#fill(pieceOf(size));
      await this.#send(destination, slice, size, closed);
      giveBack(slice, destination);
      return;
    }
    lent += 1;
    let isLent = true;
    const giveUp = () => {
      if (isLent) lent -= 1;
      isLent = false;
    };
    try {
      await this.#sendLent(destination, closed, giveUp);
    } finally {
      giveUp();
    }
  }

  async #sendLent(destination: ServerResponse, closed: Promise<void>, giveUp: () => void): Promise<void> {
    const piece = await this.#fill(pieceOf(Math.min(this.#left, LARGE_BYTES)));
    for (let from = 0; from < piece.length && !destination.destroyed; from += SMALL_BYTES) {
      const slice = pieceOf(Math.min(SMALL_BYTES, piece.length - from));
      piece.copy(slice, 0, from);
      this.#hold(slice.length);
      let isTaken = false;
      const sent = this.#send(destination, slice, slice.length, closed).then(() => {
        isTaken = true;
        giveBack(slice, destination);
      });
      await Promise.race([sent, nextTurn()]);
      if (!isTaken) {
        this.#at -= piece.length - from - slice.length;
        giveBack(piece, destination);
        giveUp();
        await sent;
        return;
      }
    }
    giveBack(piece, destination);
  }

  async #send(destination: ServerResponse, piece: Buffer, size: number, closed: Promise<void>): Promise<void> {
    this.#handedOutAt = performance.now();
    const written = new Promise<void>((resolve) => destination.write(piece, () => resolve()));
    await Promise.race([written, closed]);
    this.#taken(size);
  }

  async #fill(buffer: Buffer): Promise<Buffer> {
    const reading = this.file.read(buffer, 0, buffer.length, this.#at);
    this.#reading = reading;
    const { bytesRead } = await reading;
    if (bytesRead === 0) throw new Error(`expected ${this.#left} more bytes in a file, got none`);
    this.#at += bytesRead;
    return bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
  }

  get #left(): number {
    return this.#last + 1 - this.#at;
  }

  get #isProven(): boolean {
    return this.#isPrompt && this.#at - this.#from >= PROVEN_BYTES;
  }

  get #mayBeLarge(): boolean {
    return this.#isProven || held + LARGE_BYTES <= HELD_BYTES;
  }

  // Private: the reader has them behind it.
  #taken(bytes: number): void {
    if (bytes === 0) return;
    this.#isPrompt &&= performance.now() - this.#handedOutAt < PROMPT_MS;
    this.#hold(-bytes);
  }

  #hold(bytes: number): void {
    const change = Math.max(bytes, -this.#held);
    this.#held += change;
    held += change;
  }
}

/** Memory for so many bytes, {@link LARGE_BYTES} at most. */
function pieceOf(size: number): Buffer {
  const whole = size > SMALL_BYTES ? LARGE_BYTES : SMALL_BYTES;
  return (idle[whole]?.pop() ?? Buffer.allocUnsafeSlow(whole)).subarray(0, size);
}

/** What a socket that died may still have is not used again. */
function giveBack({ buffer }: Buffer, { destroyed }: ServerResponse): void {
  const pool = idle[buffer.byteLength];
  if (pool && !destroyed && pool.length * buffer.byteLength < MAX_IDLE_BYTES) pool.push(Buffer.from(buffer));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
