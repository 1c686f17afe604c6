import type { FileHandle } from 'node:fs/promises';
import { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../../model/byte-range.js';
import { LARGE_BYTES, type ReadMemory, SMALL_BYTES } from './read-memory.js';

/**
 * A client that took this much, each piece within {@link PROMPT_MS}, is fast. Sockets and proxies buffer less than
 * that.
 */
const PROVEN_BYTES = 4 * 1024 * 1024;
const PROMPT_MS = 100;

/**
 * Streams a part of an open file, and closes the file. One piece is in memory at a time, or two for a client that has
 * proven to be fast. The next piece is read once the previous one was taken, so that a thousand slow clients hold a
 * thousand small pieces.
 */
export class FileReader extends Readable {
  /** The offset of the next byte to read. */
  #at: number;
  readonly #start: number;
  readonly #end: number;
  /** The bytes of the pieces that were handed out and not taken yet. */
  #heldBytes = 0;
  #handedOutAt = 0;
  #isPrompt = true;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly file: FileHandle,
    { start, end }: ByteSpan,
    private readonly memory: ReadMemory,
  ) {
    // 0: nothing is read ahead for a consumer that has paused.
    super({ highWaterMark: 0 });
    this.#start = start;
    this.#at = start;
    this.#end = end;
  }

  override _read(): void {
    this.#onTaken(this.#heldBytes);
    const size = Math.min(this.#bytesLeft, this.#mayReadLarge ? LARGE_BYTES : SMALL_BYTES);
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
    this.#hold(-this.#heldBytes);
    // Closing during a read would let the read use the descriptor of another file that is opened meanwhile.
    const close = () => this.file.close();
    this.#reading.then(close, close).then(
      () => callback(error),
      (fault) => callback(error ?? fault),
    );
  }

  /**
   * Behaves as any Readable's `pipe`. Into a ServerResponse it uses pieces again: the callback of a write tells that
   * the socket no longer needs the bytes.
   */
  override pipe<Destination extends NodeJS.WritableStream>(
    destination: Destination,
    options?: { end?: boolean },
  ): Destination {
    const isWholeResponse = destination instanceof ServerResponse && options?.end !== false;
    if (!isWholeResponse) return super.pipe(destination, options);
    this.#pump(destination).catch((error) => this.destroy(error));
    return destination;
  }

  async #pump(response: ServerResponse): Promise<void> {
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    const isOver = () => response.destroyed || this.destroyed;
    let sending: Promise<void> = Promise.resolve();
    while (this.#bytesLeft > 0 && !isOver()) {
      // Only for a client that has proven to be fast, the next piece is read while one is being sent.
      if (!this.#isProvenFast) await sending;
      if (this.#mayReadLarge) {
        const size = Math.min(this.#bytesLeft, LARGE_BYTES);
        this.#hold(size);
        const piece = await this.#fill(this.memory.allocate(size));
        await sending;
        if (!isOver()) sending = this.#send(response, piece, size, closed).then(() => this.#release(piece, response));
      } else {
        await sending;
        await this.#sendInSlices(response, closed);
      }
    }
    await sending;
    if (isOver()) {
      this.destroy();
      return;
    }
    response.end();
    // Emits `end` for consumers that wait for the end of this stream.
    this.push(null);
    this.resume();
  }

  /**
   * Reads a large piece and sends it in small copies. A client that stops taking them holds one copy, and the bytes
   * behind it are read again. Without a free place for that, a single small piece is read and sent.
   */
  async #sendInSlices(response: ServerResponse, closed: Promise<void>): Promise<void> {
    const endSlicedRead = this.memory.beginSlicedRead();
    if (endSlicedRead === null) {
      await this.#sendSmall(response, closed);
      return;
    }
    try {
      await this.#sendSliced(response, closed, endSlicedRead);
    } finally {
      endSlicedRead();
    }
  }

  async #sendSmall(response: ServerResponse, closed: Promise<void>): Promise<void> {
    const size = Math.min(this.#bytesLeft, SMALL_BYTES);
    this.#hold(size);
    const piece = await this.#fill(this.memory.allocate(size));
    await this.#send(response, piece, size, closed);
    this.#release(piece, response);
  }

  async #sendSliced(response: ServerResponse, closed: Promise<void>, endSlicedRead: () => void): Promise<void> {
    const piece = await this.#fill(this.memory.allocate(Math.min(this.#bytesLeft, LARGE_BYTES)));
    for (let from = 0; from < piece.length && !response.destroyed; from += SMALL_BYTES) {
      const slice = this.memory.allocate(Math.min(SMALL_BYTES, piece.length - from));
      piece.copy(slice, 0, from);
      this.#hold(slice.length);
      let isTaken = false;
      const sent = this.#send(response, slice, slice.length, closed).then(() => {
        isTaken = true;
        this.#release(slice, response);
      });
      await Promise.race([sent, nextTurn()]);
      if (!isTaken) {
        this.#at -= piece.length - from - slice.length;
        this.#release(piece, response);
        endSlicedRead();
        await sent;
        return;
      }
    }
    this.#release(piece, response);
  }

  async #send(response: ServerResponse, piece: Buffer, size: number, closed: Promise<void>): Promise<void> {
    this.#handedOutAt = performance.now();
    const written = new Promise<void>((resolve) => response.write(piece, () => resolve()));
    await Promise.race([written, closed]);
    this.#onTaken(size);
  }

  async #fill(buffer: Buffer): Promise<Buffer> {
    const reading = this.file.read(buffer, 0, buffer.length, this.#at);
    this.#reading = reading;
    const { bytesRead } = await reading;
    if (bytesRead === 0) throw new Error(`expected ${this.#bytesLeft} more bytes in a file, got none`);
    this.#at += bytesRead;
    return bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
  }

  get #bytesLeft(): number {
    return this.#end + 1 - this.#at;
  }

  get #isProvenFast(): boolean {
    return this.#isPrompt && this.#at - this.#start >= PROVEN_BYTES;
  }

  get #mayReadLarge(): boolean {
    return this.#isProvenFast || this.memory.hasRoomForLarge;
  }

  /** The client has taken these bytes. */
  #onTaken(bytes: number): void {
    if (bytes === 0) return;
    this.#isPrompt &&= performance.now() - this.#handedOutAt < PROMPT_MS;
    this.#hold(-bytes);
  }

  #hold(bytes: number): void {
    const change = Math.max(bytes, -this.#heldBytes);
    this.#heldBytes += change;
    this.memory.addHeld(change);
  }

  /** A destroyed socket may still read the piece, so it is not used again. */
  #release(piece: Buffer, { destroyed }: ServerResponse): void {
    if (!destroyed) this.memory.release(piece);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
