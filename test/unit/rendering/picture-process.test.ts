import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { Unrenderable } from '../../../src/rendering/renderer.js';
import { findConfinement } from '../../../src/rendering/tools/confinement.js';
import { eventually, until } from '../../support/eventually.js';
import { MAIN_VARIABLE } from '../../support/made-once.js';
import { quarters, sourceOf } from '../../support/pictures.js';
import { children, failureOf, halt, onlyChild, RendererHarness, SPEC, statOf } from './renderer-harness.js';

const harness = new RendererHarness();

describe('the picture process', () => {
  it('starts with the first picture, is a single one, has no environment, and ends when it is idle', async () => {
    const renderer = await harness.start({ idleMs: 3_000 });
    expect(await children()).toEqual([]);
    await Promise.all(Array.from({ length: 6 }, () => renderer.renderStill(harness.picture, SPEC, {})));
    const environment = await readFile(`/proc/${await onlyChild()}/environ`, 'utf8');
    const names = environment.split('\0').map((variable) => variable.split('=')[0]);
    expect(names.filter((name) => !/^(NODE_CHANNEL_.+|UV_THREADPOOL_SIZE|)$/.test(name ?? ''))).toEqual([]);
    expect(await eventually(children, (pids) => pids.length === 0)).toEqual([]);
    await renderer.renderStill(harness.picture, SPEC, {});
  });

  it('has limits, no core dump and no new privileges, where the system supports them', async () => {
    const renderer = await harness.start({ concurrency: 1, maxPixels: 1_000_000 });
    await renderer.renderStill(harness.picture, SPEC, {});
    const child = await onlyChild();
    const limits = await readFile(`/proc/${child}/limits`, 'utf8');
    const data = Number(/^Max data size +(\d+)/m.exec(limits)?.[1]);
    expect(data).toBeGreaterThanOrEqual(2 ** 30 + 8_000_000);
    expect(data).toBeLessThan(2 ** 30 + 8_001_024);
    expect(/^Max core file size +(\d+)/m.exec(limits)?.[1]).toBe('0');
    const { prefix } = await findConfinement();
    const status = await readFile(`/proc/${child}/status`, 'utf8');
    if (prefix.includes('--no-new-privs')) expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  });

  it('loses no task when it is killed during three of them', async () => {
    const renderer = await harness.start({ concurrency: 3 });
    await renderer.renderStill(harness.picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const sources = harness.pausedSources(3);
    const jobs = sources.map((source) => renderer.renderStill(source, SPEC, {}));
    const waiting = renderer.renderStill(harness.picture, SPEC, {});
    await Promise.all(sources.map((source) => source.send()));
    await until('all read', () => sources.every(({ body }) => body.readableEnded));
    process.kill(child, 'SIGKILL');
    const stills = await Promise.all([...jobs, waiting]);
    expect(stills.every(({ bytes }) => bytes.length > 0)).toBe(true);
    await renderer.renderStill(harness.picture, SPEC, {});
    expect(await children()).not.toContain(child);
  });

  it('refuses a picture that kills it twice, and renders the others', async () => {
    const renderer = await harness.start({ concurrency: 2 });
    const large = await sharp({ create: { width: 6_000, height: 6_000, channels: 3, background: '#345678' } })
      .png()
      .toBuffer();
    const spec = { ...SPEC, width: 6_000, format: 'avif' } as const;
    const deadly = failureOf(renderer.renderStill(sourceOf(large, 'image/png'), spec, {}));
    // Starting takes less processor time than that, so such a process is busy with the picture.
    const working = async () =>
      (await Promise.all((await children()).map(statOf))).filter(({ seconds }) => seconds > 1);
    for (const _round of [1, 2]) {
      const [busy] = await eventually(working, (all) => all.length === 1);
      if (busy) process.kill(busy.pid, 'SIGKILL');
      await renderer.renderStill(harness.picture, SPEC, {});
    }
    expect(await deadly).toEqual(new Unrenderable('expected a decoder to survive these bytes, got its end twice'));
    await renderer.renderStill(harness.picture, SPEC, {});
  });

  it('is killed when a picture takes too long, which is then refused', async () => {
    const renderer = await harness.start({ timeoutMs: 1_500 });
    await renderer.renderStill(harness.picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const thrown = await failureOf(renderer.renderStill(harness.picture, SPEC, {}));
    expect(thrown).toEqual(new Unrenderable('expected to be rendered within 1500 ms, got no end of it'));
    await renderer.renderStill(harness.picture, SPEC, {});
    expect(await children()).not.toContain(child);
  });

  it('keeps no parent alive, ends with it, and is the only process that loads sharp', async () => {
    const compiled = join(dirname(process.env[MAIN_VARIABLE] ?? ''), 'rendering');
    const start = pathToFileURL(join(compiled, 'start-renderer.js')).href;
    const script = `
      import { readFileSync } from 'node:fs';
      import { Readable } from 'node:stream';
      const { startRenderer } = await import(${JSON.stringify(start)});
      const logger = { info() {} };
      const renderer = await startRenderer({ concurrency: 1, timeoutMs: 20000, maxPixels: 1e6, maxSourceBytes: 1e6, logger, path: '/nonexistent' });
      const bytes = Buffer.from(process.argv[1], 'base64');
      const source = { mimeType: 'image/png', open: async () => Readable.from([bytes]) };
      const still = await renderer.renderStill(source, ${JSON.stringify(SPEC)}, {});
      console.log(JSON.stringify({ size: still.bytes.length, libvips: readFileSync('/proc/self/maps', 'utf8').includes('vips') }));`;
    const bytes = (await quarters().png().toBuffer()).toString('base64');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, bytes], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
    });
    const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(JSON.parse(printed)).toEqual({ size: expect.any(Number), libvips: false });
    expect(child.exitCode).toBe(0);
    await until('the end of its picture process', async () => !(await commandLines()).includes(compiled));
  });
});

/** The command lines of all processes. */
async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return (await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))).join('\n');
}
