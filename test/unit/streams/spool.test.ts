import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Spool } from '../../../src/streams/spool.js';
import { eventually } from '../../support/eventually.js';

const MEBIBYTE = 2 ** 20;

/** Returns the open spool files of this process, as the kernel lists them (proc(5), /proc/PID/fd). */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  // The descriptor of the listed folder itself is closed again by now.
  const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.includes('mediagraph-spool'));
}

const allClosed = () => eventually(openFiles, (files) => files.length === 0);

afterEach(allClosed);

async function spoolOf(source: Readable): Promise<Spool> {
  return (await Spool.open(async () => ({ body: source }))).spool;
}

/** Reads exactly this number of bytes, then stops. */
async function take(reader: Readable, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let size = 0; size < bytes; ) {
    const chunk: unknown = reader.read(Math.min(bytes - size, reader.readableLength) || undefined);
    if (Buffer.isBuffer(chunk)) {
      chunks.push(chunk);
      size += chunk.length;
    } else {
      await once(reader, 'readable');
    }
  }
  return Buffer.concat(chunks);
}

/** Returns the bytes before a reader's failure, and its error. */
async function untilFailure(reader: Readable): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of reader) chunks.push(chunk);
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error };
  }
  throw new Error('expected a reader to fail, got its end');
}

describe('a spool', () => {
  const bytes = randomBytes(3 * MEBIBYTE + 17);

  it('delivers all bytes to every reader, early or late, fast or slow', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const fast = buffer(spool.reader());
    const slow = spool.reader();
    source.write(bytes.subarray(0, MEBIBYTE));
    const first = await take(slow, 1_000);
    const joined = buffer(spool.reader());
    source.end(bytes.subarray(MEBIBYTE));
    // The slow reader does not delay the others: they finish while it pauses.
    expect((await fast).equals(bytes)).toBe(true);
    expect((await joined).equals(bytes)).toBe(true);
    const late = await buffer(spool.reader());
    expect(late.equals(bytes)).toBe(true);
    expect(Buffer.concat([first, await buffer(slow)]).equals(bytes)).toBe(true);
    spool.release();
  });

  it('of an empty source ends immediately for every reader', async () => {
    const spool = await spoolOf(Readable.from([]));
    const readers = await Promise.all([buffer(spool.reader()), buffer(spool.reader())]);
    expect(readers.map(({ length }) => length)).toEqual([0, 0]);
    spool.release();
  });

  it('waits for a silent source without ending', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const reader = spool.reader();
    source.write(Buffer.from('one'));
    expect((await take(reader, 3)).toString()).toBe('one');
    let ended = false;
    const rest = buffer(reader).then((read) => {
      ended = true;
      return read;
    });
    source.write(Buffer.from('two'));
    // Another reader has received both texts, so they have passed the spool; the first reader has not ended.
    const secondReader = spool.reader();
    expect((await take(secondReader, 6)).toString()).toBe('onetwo');
    expect(ended).toBe(false);
    secondReader.destroy();
    source.end();
    expect((await rest).toString()).toBe('two');
    spool.release();
  });

  it('of a failing source fails every reader: an early, a waiting and a late one', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const early = untilFailure(spool.reader());
    const waiting = spool.reader();
    source.write(bytes.subarray(0, 5_000));
    const head = await take(waiting, 5_000);
    const fault = new Error('the provider died');
    source.destroy(fault);
    expect(head.equals(bytes.subarray(0, 5_000))).toBe(true);
    expect(await untilFailure(waiting)).toEqual({ bytes: Buffer.alloc(0), error: fault });
    for (const failed of [await early, await untilFailure(spool.reader())]) {
      // A failing stream may drop bytes that were not read yet.
      expect(failed.bytes.equals(bytes.subarray(0, Math.min(failed.bytes.length, 5_000)))).toBe(true);
      expect(failed.error).toBe(fault);
    }
    spool.release();
  });

  it('fails when its source is destroyed without an error', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const reading = untilFailure(spool.reader());
    source.write(Buffer.from('half'));
    source.destroy();
    const { error } = await reading;
    expect(error).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    spool.release();
  });

  it('continues for the other readers when one is destroyed: unread, midway or while it waits', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const leaving = [spool.reader(), spool.reader(), spool.reader()];
    const staying = buffer(spool.reader());
    const [unread, midway, waiting] = leaving;
    unread?.destroy();
    source.write(bytes.subarray(0, MEBIBYTE));
    if (midway) await take(midway, 10);
    midway?.destroy(new Error('the client went away'));
    if (waiting) await take(waiting, MEBIBYTE);
    waiting?.destroy();
    source.end(bytes.subarray(MEBIBYTE));
    expect((await staying).equals(bytes)).toBe(true);
    spool.release();
  });
});

describe("a spool's file", () => {
  it('is unlinked, has one descriptor, and is closed by the last release', async () => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    expect(await openFiles()).toEqual([expect.stringMatching(/ \(deleted\)$/)]);
    const readers = Array.from({ length: 20 }, () => spool.reader());
    expect(await openFiles()).toHaveLength(1);
    source.end(randomBytes(1_000));
    const [last, ...otherReaders] = readers;
    await Promise.all(otherReaders.map((reader) => buffer(reader)));
    spool.release();
    expect(await openFiles()).toHaveLength(1);
    if (last) expect(await buffer(last)).toHaveLength(1_000);
    expect(await allClosed()).toEqual([]);
  });

  it.each<[string, (source: PassThrough) => void]>([
    ['fails', (source) => source.destroy(new Error('the provider died'))],
    ['ends', (source) => source.end()],
  ])('is closed without a remaining reader once its source %s', async (_how, end) => {
    const source = new PassThrough();
    const spool = await spoolOf(source);
    const readers = Array.from({ length: 5 }, () => spool.reader());
    source.write(randomBytes(1_000));
    for (const reader of readers) reader.destroy();
    spool.release();
    expect(await openFiles()).toHaveLength(1);
    end(source);
    expect(await allClosed()).toEqual([]);
  });

  it('is closed for each of a thousand spools', async () => {
    for (let round = 0; round < 100; round++) {
      const spools = await Promise.all(Array.from({ length: 10 }, () => spoolOf(Readable.from([randomBytes(10)]))));
      await Promise.all(spools.map((spool) => buffer(spool.reader())));
      for (const spool of spools) spool.release();
    }
    expect(await allClosed()).toEqual([]);
  });
});
