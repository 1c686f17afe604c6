/** The bytes of one write. A chunk of a socket has at most 64 KiB, and often 16. */
export const PIECE_BYTES = 256 * 1024;
/** 4 MiB stay in memory between puts. */
const MAX_FREE = 16;

/** The buffers of the puts to one store. They are reused, because V8 frees buffers late and they would accumulate. */
export class PieceMemory {
  readonly #free: Buffer[] = [];
  readonly #own = new WeakMap<ArrayBufferLike, Buffer>();

  take(): Buffer {
    const free = this.#free.pop();
    if (free) return free;
    const piece = newPiece();
    this.#own.set(piece.buffer, piece);
    return piece;
  }

  /** Takes back a piece, or a part of it, that nothing uses any more. Other buffers are ignored. */
  give(used: Buffer): void {
    const piece = this.#own.get(used.buffer);
    if (piece && this.#free.length < MAX_FREE && !this.#free.includes(piece)) this.#free.push(piece);
  }
}

export function newPiece(): Buffer {
  return Buffer.allocUnsafeSlow(PIECE_BYTES);
}
