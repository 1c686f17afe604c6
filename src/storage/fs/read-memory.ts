/** The size of a read for a client that keeps up. Measured: the best for delivery. */
export const LARGE_BYTES = 1024 * 1024;
/** The size of a read for a client that does not. */
export const SMALL_BYTES = 32 * 1024;

/** The most bytes that all readers together hold in large pieces for clients that have not proven to be fast. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** The most bytes of unused pieces that are kept for each size. */
const MAX_IDLE_BYTES = 16 * 1024 * 1024;
/** The most readers that read a large piece at once although they may hold only a small one. */
const MAX_SLICED_READS = 8;

/** The memory that all readers of one store share: the bytes that they hold, and pieces to use again. */
export class ReadMemory {
  #heldBytes = 0;
  #slicedReads = 0;
  /** Unused pieces by size. The system has to clear new memory first, which costs as much as the read itself. */
  readonly #idle: Readonly<Record<number, Buffer[]>> = { [LARGE_BYTES]: [], [SMALL_BYTES]: [] };

  get hasRoomForLarge(): boolean {
    return this.#heldBytes + LARGE_BYTES <= MAX_HELD_BYTES;
  }

  /** Counts bytes that a reader took, or with a negative number those that it released. */
  addHeld(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** Begins a sliced read. @returns the function that ends it, harmless when repeated; null when there are too many */
  beginSlicedRead(): (() => void) | null {
    if (this.#slicedReads === MAX_SLICED_READS) return null;
    this.#slicedReads += 1;
    let isOpen = true;
    return () => {
      if (isOpen) this.#slicedReads -= 1;
      isOpen = false;
    };
  }

  /** A piece of that many bytes, at most {@link LARGE_BYTES}. */
  allocate(size: number): Buffer {
    const pieceBytes = size > SMALL_BYTES ? LARGE_BYTES : SMALL_BYTES;
    return (this.#idle[pieceBytes]?.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)).subarray(0, size);
  }

  /** Keeps a piece from {@link allocate} for its next use. Nothing may read it any more. */
  release({ buffer }: Buffer): void {
    const pieces = this.#idle[buffer.byteLength];
    if (pieces && pieces.length * buffer.byteLength < MAX_IDLE_BYTES) pieces.push(Buffer.from(buffer));
  }
}
