import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../model/byte-range.js';

/** As much as is read at once for whoever takes it at once; measured best for delivery. */
const LARGE_BYTES = 256 * 1024;
/** For whoever does not. */
const SMALL_BYTES = 32 * 1024;
/** What all readers together may hold in large pieces before they have shown that they take them. */
const HELD_BYTES = 16 * 1024 * 1024;
/** A reader that took so much, each piece within this time, is no slow one: sockets and proxies swallow less than that. */
const PROVEN_BYTES = 8 * 1024 * 1024;
const PROMPT_MS = 100;

let held = 0;

/**
 * A part of an open file, which it closes. One piece is in memory at a time, and none is read before the one before it was
 * taken: a thousand slow readers hold a thousand small pieces, and a fast one gets large ones.
 */
export class FileReader extends Readable {
  #at: number;
  readonly #from: number;
  readonly #last: number;
  /** The size of the piece that was handed out and not taken yet. */
  #held = 0;
  #handedOutAt = 0;
  #isPrompt = true;

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
    this.#taken();
    const left = this.#last + 1 - this.#at;
    if (left <= 0) {
      this.push(null);
      return;
    }
    const size = Math.min(left, this.#pieceBytes());
    this.#hold(size);
    const piece = Buffer.allocUnsafeSlow(size);
    this.file.read(piece, 0, size, this.#at).then(
      ({ bytesRead }) => {
        if (bytesRead === 0) {
          this.destroy(new Error(`expected ${left} more bytes in a file, got none`));
          return;
        }
        this.#at += bytesRead;
        this.#handedOutAt = performance.now();
        this.push(bytesRead === size ? piece : piece.subarray(0, bytesRead));
      },
      (error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#hold(0);
    this.file.close().then(
      () => callback(error),
      (fault) => callback(error ?? fault),
    );
  }

  #pieceBytes(): number {
    const isProven = this.#isPrompt && this.#at - this.#from >= PROVEN_BYTES;
    return isProven || held + LARGE_BYTES <= HELD_BYTES ? LARGE_BYTES : SMALL_BYTES;
  }

  // Private: the reader wants more, so that it has the last piece behind it.
  #taken(): void {
    if (this.#held === 0) return;
    this.#isPrompt &&= performance.now() - this.#handedOutAt < PROMPT_MS;
    this.#hold(0);
  }

  #hold(bytes: number): void {
    held += bytes - this.#held;
    this.#held = bytes;
  }
}
