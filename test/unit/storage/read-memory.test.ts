import { LARGE_BYTES, ReadMemory, SMALL_BYTES } from '../../../src/storage/fs/read-memory.js';

describe('the memory of a store', () => {
  it('has no room for large pieces once its readers hold 16 MiB, and shares none of that with another store', () => {
    const [memory, other] = [new ReadMemory(), new ReadMemory()];
    memory.addHeld(16 * 2 ** 20);
    expect([memory.hasRoomForLarge, other.hasRoomForLarge]).toEqual([false, true]);
    memory.addHeld(-LARGE_BYTES);
    expect(memory.hasRoomForLarge).toBe(true);
  });

  it('lets 8 readers read in slices at once, and counts the end of each once', () => {
    const memory = new ReadMemory();
    const ends = Array.from({ length: 8 }, () => memory.beginSlicedRead());
    expect(memory.beginSlicedRead()).toBeNull();
    ends[0]?.();
    ends[0]?.();
    expect(memory.beginSlicedRead()).not.toBeNull();
    expect(memory.beginSlicedRead()).toBeNull();
    expect(new ReadMemory().beginSlicedRead()).not.toBeNull();
  });

  it.each([LARGE_BYTES, SMALL_BYTES])('uses a released piece of %d bytes again', (bytes) => {
    const memory = new ReadMemory();
    const piece = memory.allocate(bytes);
    memory.release(piece);
    expect(memory.allocate(bytes - 1).buffer).toBe(piece.buffer);
    expect(memory.allocate(bytes).buffer).not.toBe(piece.buffer);
  });
});
