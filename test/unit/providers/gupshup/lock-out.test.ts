import { setMaxListeners } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { request } from 'undici';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';
import { DAY_MS, HOUR_MS, invalidUrls, outcomeOf, outcomesOf, ref, samples, setUp } from './setup.js';

function count(outcomes: readonly string[], expected: string): number {
  return outcomes.filter((outcome) => outcome === expected).length;
}

describe('a media that is gone', () => {
  test.each([400, 404] as const)('(%i) is doubtful first, then final for an hour, for both methods', async (status) => {
    const { files, clock, add, adapter } = await setUp();
    files.invalidStatus = status;
    const url = add();
    clock.now += 7 * DAY_MS - 1;
    expect(await outcomeOf(adapter, url)).toBe('OK');
    clock.now += 1;
    files.clearRequests();
    const doubtful = { code: 'MEDIA_NOT_FOUND', details: { retryable: true, retryAfterMs: 2_000 } };
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      ...doubtful,
      details: { ...doubtful.details, upstreamStatus: status },
    });
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject(doubtful);
    expect(files.requestCount).toBe(1);
    for (const pauseMs of [2_000, 6_000, 8_000, 10_000]) {
      clock.now += pauseMs;
      expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: true } });
    }
    clock.now += 120_000;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: false } });
    expect(files.requestCount).toBe(6);
    clock.now += HOUR_MS - 1;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: false } });
    const [described] = await adapter.describeMedia([ref(url)], {});
    expect(described).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(files.requestCount).toBe(6);
  });

  test('and comes back is found by a job, although queries remember its absence', async () => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.faults.push({ match: /./, fault: { kind: 'status', status: 400 }, times: 1 });
    expect(await outcomeOf(adapter, url)).toBe('MEDIA_NOT_FOUND');
    expect(await outcomeOf(adapter, url)).toBe('MEDIA_NOT_FOUND');
    expect(files.requestCount).toBe(1);
    const stream = await adapter.openMedia(ref(url), { job: true });
    expect(await buffer(stream.body)).toEqual(samples.photo.bytes);
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });

  test('is requested once for many simultaneous calls', async () => {
    const { files, adapter } = await setUp();
    const outcomes = await outcomesOf(adapter, new Array<string>(50).fill(files.mediaUrl('404')));
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(50);
    expect(files.requestCount).toBe(1);
  });
});

describe('the lock-out', () => {
  test('is never reached by many simultaneous calls for invalid media', async () => {
    const { files, clock, adapter } = await setUp();
    const outcomes = await outcomesOf(adapter, invalidUrls(files, 200));
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(15);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(185);
    clock.now += 600_000;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(files.mediaUrl('new')), {}))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { retryable: true, retryAfterMs: HOUR_MS - 600_000 },
    });
    expect(files.requestCount).toBe(15);
    expect(files.isLockedOut).toBe(false);
  });

  test('stays away hour after hour', async () => {
    const { files, clock, adapter } = await setUp();
    for (let step = 0; step < 48; step += 1) {
      await outcomesOf(adapter, invalidUrls(files, 9, step * 9));
      expect(files.isLockedOut).toBe(false);
      clock.now += HOUR_MS / 4;
    }
    expect(files.requestCount).toBeGreaterThan(150);
  });

  test('allows calls again as failures leave the window, one by one', async () => {
    const { files, clock, adapter } = await setUp();
    for (const url of invalidUrls(files, 15)) {
      await outcomeOf(adapter, url);
      clock.now += 60_000;
    }
    const limited = await mediagraphErrorOf(adapter.openMedia(ref(files.mediaUrl('new')), {}));
    expect(limited.details.retryAfterMs).toBe(HOUR_MS - 15 * 60_000);
    clock.now += HOUR_MS - 15 * 60_000;
    expect(await outcomesOf(adapter, invalidUrls(files, 5, 100))).toEqual([
      'MEDIA_NOT_FOUND',
      ...new Array<string>(4).fill('PROVIDER_RATE_LIMITED'),
    ]);
  });

  test('does not block proven media, and is not reached when they expire', async () => {
    const { files, clock, add, adapter } = await setUp();
    const urls = Array.from({ length: 40 }, (_, index) => add({ id: `1${index}` }));
    expect(count(await outcomesOf(adapter, urls), 'OK')).toBe(40);
    await outcomesOf(adapter, invalidUrls(files, 20));
    expect(await outcomeOf(adapter, add({ id: '2' }))).toBe('PROVIDER_RATE_LIMITED');
    expect(count(await outcomesOf(adapter, urls), 'OK')).toBe(40);
    for (const url of urls) files.expireMedia(url.replace(/.*media\/(\d+)\?.*/, '$1'));
    clock.now += 1;
    const outcomes = await outcomesOf(adapter, urls);
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(4);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(36);
    expect(files.isLockedOut).toBe(false);
  });

  test('counts refusals of other kinds, and no outages', async () => {
    const { files, add, adapter } = await setUp();
    const urls = Array.from({ length: 30 }, (_, index) => add({ id: `1${index}` }));
    files.fault = { kind: 'status', status: 503 };
    expect(count(await outcomesOf(adapter, urls), 'PROVIDER_UNAVAILABLE')).toBe(30);
    files.fault = { kind: 'body', body: '{}' };
    expect(count(await outcomesOf(adapter, urls), 'PROVIDER_PROTOCOL')).toBe(30);
    files.fault = { kind: 'status', status: 403 };
    const outcomes = await outcomesOf(adapter, urls);
    expect(count(outcomes, 'PROVIDER_PROTOCOL')).toBe(15);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(15);
  });

  test('does not limit existing media: many simultaneous calls all succeed', async () => {
    const { add, adapter } = await setUp();
    const urls = Array.from({ length: 100 }, (_, index) => add({ id: `1${index}`, bytes: Buffer.from('x') }));
    expect(count(await outcomesOf(adapter, [...urls, ...urls]), 'OK')).toBe(200);
  });

  test('releases an aborted caller from the queue, and its slot to the others', async () => {
    const { files, add, adapter } = await setUp();
    const urls = Array.from({ length: 25 }, (_, index) => add({ id: `1${index}` }));
    const fifteenHang = new Promise<void>((resolve) => {
      const match = () => {
        if (files.requestCount === 15) resolve();
        return files.requestCount <= 15;
      };
      files.faults.push({ match, fault: { kind: 'hang' } });
    });
    const silent = new AbortController();
    setMaxListeners(0, silent.signal);
    const impatient = new AbortController();
    const open = (url: string, { signal }: AbortController) => adapter.openMedia(ref(url), { signal });
    const hanging = urls.slice(0, 15).map((url) => open(url, silent));
    const leaving = urls.slice(15, 20).map((url) => open(url, impatient));
    const following = open(urls[0] ?? '', impatient);
    const patient = outcomesOf(adapter, [...urls.slice(20), ...urls.slice(0, 2)]);
    await fifteenHang;
    impatient.abort(new Error('left the queue'));
    for (const call of [...leaving, following]) await expect(call).rejects.toThrow('left the queue');
    expect(files.requestCount).toBe(15);
    silent.abort(new Error('left the call'));
    for (const call of hanging) await expect(call).rejects.toThrow('left the call');
    expect(await patient).toEqual(new Array(7).fill('OK'));
  });

  describe.each(['milliseconds', 'seconds'] as const)('caused by other clients (%s)', (epochUnit) => {
    test('is waited out without a call', async () => {
      const { files, clock, add, adapter } = await setUp();
      files.epochUnit = epochUnit;
      const url = add();
      for (const invalid of invalidUrls(files, 20)) await (await request(invalid, { reset: true })).body.dump();
      expect(files.isLockedOut).toBe(true);
      files.clearRequests();
      clock.now += 600_000;
      const limited = { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true, retryAfterMs: 3_000_000 } };
      expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject(limited);
      expect(files.requestCount).toBe(1);
      clock.now += 2_999_999;
      expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryAfterMs: 1 } });
      const [described] = await adapter.describeMedia([ref(url)], {});
      expect(described).toMatchObject({ code: 'PROVIDER_RATE_LIMITED' });
      expect(files.requestCount).toBe(1);
      clock.now += 1;
      expect(await outcomeOf(adapter, url)).toBe('OK');
    });
  });

  test.each<[string, { body?: string; headers?: Record<string, string> }, number]>([
    ['no time', { body: '{"status":"error","message":"Too many requests"}' }, HOUR_MS],
    ['no body', { body: '' }, HOUR_MS],
    ['a page', { body: '<html>New quota will be available later</html>' }, HOUR_MS],
    ['a past time', { body: 'New quota will be available on 1500000000' }, HOUR_MS],
    ['a time in a thousand years', { body: 'New quota will be available on 33334444555' }, HOUR_MS],
    ['a time in ten years', { body: 'New quota will be available on 2111111111' }, HOUR_MS],
    ['10 MB', { body: `New quota will be available on ${'9'.repeat(10_000_000)}` }, HOUR_MS],
    ['Retry-After', { body: '{}', headers: { 'retry-after': '2' } }, 2000],
  ])('of unknown length (%s) is waited for', async (_name, answer, waitMs) => {
    const { files, clock, add, adapter } = await setUp();
    const url = add();
    files.fault = { kind: 'status', status: 429, ...answer };
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { retryAfterMs: waitMs, upstreamStatus: 429 },
    });
    files.fault = null;
    clock.now += waitMs - 1;
    expect(await outcomeOf(adapter, url)).toBe('PROVIDER_RATE_LIMITED');
    expect(files.requestCount).toBe(1);
    clock.now += 1;
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });
});
