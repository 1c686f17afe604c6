import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { sniffMimeType } from '../../../src/inspection/sniff/sniff.js';
import { InspectionThreads } from '../../../src/inspection/threads/inspection-threads.js';
import { eventually } from '../../support/eventually.js';
import { INSPECTION_WORKER } from '../../support/inspection-worker-file.js';

const OCTETS = 'application/octet-stream';
const STUCK = new URL('../../support/stuck-worker.js', import.meta.url);

const started: InspectionThreads[] = [];

function threads(options: ConstructorParameters<typeof InspectionThreads>[0] = {}): InspectionThreads {
  const made = new InspectionThreads(options);
  started.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((pool) => pool.close()));
});

describe('sniffing in a thread', () => {
  it('has the same result as sniffing in this thread', async () => {
    const sniffers = threads();
    const heads = Object.values(loadMediaSamples()).map(({ bytes, mimeType }) => [bytes, mimeType] as const);
    const types = await Promise.all(heads.map(([bytes, declared]) => sniffers.sniff(bytes, declared)));
    const expected = await Promise.all(heads.map(([bytes, declared]) => sniffMimeType(bytes, declared)));
    expect(types).toEqual(expected);
    expect(new Set(types).size).toBeGreaterThan(3);
  });

  it('does not change the head, and works again after a close', async () => {
    const sniffers = threads();
    const { bytes } = loadMediaSamples().photo;
    const before = Buffer.from(bytes);
    expect(await sniffers.sniff(bytes, null)).toBe('image/jpeg');
    expect(bytes.equals(before)).toBe(true);
    await sniffers.close();
    expect(await sniffers.sniff(bytes, null)).toBe('image/jpeg');
  });

  it.each(['no end', 'no end of a pattern', 'no memory', 'no thread', 'no answer', 'a fault'])(
    'of bytes with %s has an unknown result, and serves others meanwhile',
    async (fault) => {
      const sniffers = threads({ worker: STUCK, timeoutMs: 500 });
      const stuck = sniffers.sniff(Buffer.from(fault), 'image/png');
      const otherTasks = Array.from({ length: 20 }, (_, nth) => sniffers.sniff(Buffer.from(String(nth)), null));
      expect(await Promise.all(otherTasks)).toEqual(Array.from({ length: 20 }, (_, nth) => `x/${nth}`));
      expect(await stuck).toBe(OCTETS);
      expect(await sniffers.sniff(Buffer.from('after'), null)).toBe('x/after');
    },
  );

  it('keeps its process alive until it has answered, and no longer', async () => {
    const source = `import { inspectionThreads } from ${JSON.stringify(new URL('inspection-threads.js', INSPECTION_WORKER).href)};
      process.stdout.write(await inspectionThreads.sniff(Buffer.from('text'), null));`;
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-threads-'));
    try {
      await writeFile(join(folder, 'sniff.mjs'), source);
      const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'sniff.mjs')]);
      expect(stdout).toBe('text/plain; charset=utf-8');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('survives many endless inspections at once', async () => {
    const sniffers = threads({ worker: STUCK, timeoutMs: 250, maxThreads: 2 });
    const stuck = Array.from({ length: 6 }, () => sniffers.sniff(Buffer.from('no end'), null));
    const after = sniffers.sniff(Buffer.from('after'), null);
    expect(await Promise.all(stuck)).toEqual(Array<string>(6).fill(OCTETS));
    expect(await after).toBe('x/after');
  });

  it('runs in parallel when it is slow', async () => {
    const sniffers = threads({ worker: STUCK });
    const slow = Array.from({ length: 8 }, () => sniffers.sniff(Buffer.from('slow'), null));
    expect(await Promise.all(slow)).toEqual(Array<string>(8).fill('x/slow'));
  });

  it('keeps no idle thread, and starts one again', async () => {
    const sniffers = threads({ worker: STUCK, idleMs: 50 });
    const threadsOf = () => process.getActiveResourcesInfo().filter((name) => name === 'Worker').length;
    const before = threadsOf();
    expect(await sniffers.sniff(Buffer.from('one'), null)).toBe('x/one');
    expect(
      await eventually(
        async () => threadsOf(),
        (now) => now <= before,
      ),
    ).toBeLessThanOrEqual(before);
    expect(await sniffers.sniff(Buffer.from('two'), null)).toBe('x/two');
  });
});

describe('a look in a thread', () => {
  const photo = loadMediaSamples().photo;
  const file = { mimeType: 'image/jpeg', sizeBytes: photo.bytes.length };
  const read = async (start: number, end: number) => photo.bytes.subarray(start, end + 1);

  it('measures', async () => {
    const result = await threads().look({ ...file, read });
    expect(result?.measures).toMatchObject({ width: expect.any(Number), height: expect.any(Number) });
  });

  it('rejects with what the read rejected with', async () => {
    const reason = new Error('the store is gone');
    await expect(threads().look({ ...file, read: () => Promise.reject(reason) })).rejects.toBe(reason);
  });

  it('does not count the time that a read takes', async () => {
    const slowly = async (start: number, end: number) => {
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      return await read(start, end);
    };
    const result = await threads({ timeoutMs: 500 }).look({ ...file, read: slowly });
    expect(result?.measures.width).toBeGreaterThan(0);
  });

  it('answers with its partial result when it is closed', async () => {
    const until = new AbortController();
    const endless = async () => {
      until.abort();
      throw new Error('aborted');
    };
    expect(await threads().look({ ...file, read: endless }, until.signal)).toBeNull();
  });

  it('of endless bytes is null', async () => {
    const lookers = threads({ worker: STUCK, timeoutMs: 250 });
    expect(await lookers.look({ ...file, mimeType: 'no end', read })).toBeNull();
  });
});
