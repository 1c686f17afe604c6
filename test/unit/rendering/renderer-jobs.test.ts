import { RendererOverloaded, type RenderSource, Unrenderable } from '../../../src/rendering/renderer.js';
import { until } from '../../support/eventually.js';
import { children, failureOf, halt, onlyChild, ownFolders, RendererHarness, SPEC } from './renderer-harness.js';

const harness = new RendererHarness();

describe('jobs', () => {
  it('run up to the limit at once, first come, first served, and open their originals when they start', async () => {
    const renderer = await harness.start({ concurrency: 3 });
    const sources = harness.pausedSources(8);
    const open = () => sources.filter(({ isOpen, body }) => isOpen && !body.writableEnded).length;
    const jobs = sources.map((source) => renderer.renderStill(source, SPEC, {}));
    for (const [index, source] of sources.entries()) {
      await until('all turns taken', () => open() === Math.min(3, sources.length - index));
      expect(sources.map(({ isOpen }) => isOpen)).toEqual(sources.map((_, place) => place < index + 3));
      expect(await ownFolders()).toHaveLength(open());
      await source.send();
      await jobs[index];
    }
  });

  it('are refused at once when too many wait, and taken again when one leaves', async () => {
    const renderer = await harness.start({ concurrency: 1, maxWaiting: 2 });
    const sources = harness.pausedSources(5);
    const [running, waiting, leaving, refused, late] = sources;
    if (!running || !waiting || !leaving || !refused || !late) throw new Error('expected five sources');
    const caller = new AbortController();
    const done = [running, waiting].map((source) => renderer.renderStill(source, SPEC, {}));
    const left = failureOf(renderer.renderStill(leaving, SPEC, { signal: caller.signal }));
    await expect(renderer.renderStill(refused, SPEC, {})).rejects.toBeInstanceOf(RendererOverloaded);
    await expect(renderer.preview(refused, {})).rejects.toBeInstanceOf(RendererOverloaded);
    const reason = new Error('the client went away');
    caller.abort(reason);
    expect(await left).toBe(reason);
    done.push(renderer.renderStill(late, SPEC, {}));
    for (const source of [running, waiting, late]) await source.send();
    await Promise.all(done);
    expect([leaving, refused].map(({ isOpen }) => isOpen)).toEqual([false, false]);
  });

  it('end at an abort: before they start, while the original arrives, and while sharp works', async () => {
    const renderer = await harness.start({ concurrency: 1 });
    const reason = new Error('the client went away');
    const before = harness.pausedSource();
    const aborted = AbortSignal.abort(reason);
    expect(await failureOf(renderer.renderStill(before, SPEC, { signal: aborted }))).toBe(reason);
    expect(before.isOpen).toBe(false);

    const [reading, readers] = [harness.pausedSource(), new AbortController()];
    const read = failureOf(renderer.renderStill(reading, SPEC, { signal: readers.signal }));
    await until('an open original', () => reading.isOpen);
    readers.abort(reason);
    expect(await read).toBe(reason);
    expect(reading.signal?.aborted).toBe(true);
    await until('the original closed', () => reading.body.destroyed);

    await renderer.renderStill(harness.picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const [made, makers] = [harness.pausedSource(), new AbortController()];
    const making = failureOf(renderer.renderStill(made, SPEC, { signal: makers.signal }));
    await made.send();
    await until('all read', () => made.body.readableEnded);
    makers.abort(reason);
    expect(await making).toBe(reason);
    // The aborted job keeps its slot until its work has ended. The picture process is not killed for it.
    const next = renderer.renderStill(harness.picture, SPEC, {});
    expect(await ownFolders()).toHaveLength(1);
    process.kill(child, 'SIGCONT');
    await next;
    expect(await onlyChild()).toBe(child);
  });

  it('whose original fails or is slow report that, and no verdict about the bytes', async () => {
    const renderer = await harness.start({ timeoutMs: 1_000 });
    const fault = new Error('the provider died');
    const refusing = { mimeType: 'image/png', open: () => Promise.reject(fault) };
    expect(await failureOf(renderer.renderStill(refusing, SPEC, {}))).toBe(fault);
    const failing = harness.pausedSource();
    const failed = failureOf(renderer.renderStill(failing, SPEC, {}));
    failing.body.write('half');
    await until('an open original', () => failing.isOpen);
    failing.body.destroy(fault);
    expect(await failed).toBe(fault);
    const never: RenderSource = { mimeType: 'image/png', open: () => new Promise(() => {}) };
    for (const source of [harness.pausedSource(), never]) {
      const thrown = await failureOf(renderer.renderStill(source, SPEC, {}));
      expect(thrown).toEqual(new Error('expected the original within 1000 ms'));
      expect(thrown).not.toBeInstanceOf(Unrenderable);
    }
  });

  it('all end at the close, with everything that belongs to them; none starts after it', async () => {
    const renderer = await harness.start({ concurrency: 2 });
    await renderer.renderStill(harness.picture, SPEC, {});
    await halt(await onlyChild());
    const reading = harness.pausedSource();
    const sources = [harness.picture, reading, harness.pausedSource()];
    const failures = sources.map((source) => failureOf(renderer.renderStill(source, SPEC, {})));
    await until('an open original', () => reading.isOpen);
    await Promise.all([renderer.close(), renderer.close()]);
    const closed = new Error('the renderer is closed');
    expect(await Promise.all(failures)).toEqual([closed, closed, closed]);
    expect([await children(), await ownFolders()]).toEqual([[], []]);
    expect(await failureOf(renderer.preview(harness.picture, {}))).toEqual(closed);
  });
});
