import { SqlCopies } from '../../src/catalogue/media/copies.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { type ClaimedJob, MAX_DEATHS, type NewJob } from '../../src/jobs/job.js';
import type { JobChannel } from '../../src/jobs/job-handler.js';
import type { Demand, SqlJobStore } from '../../src/jobs/job-store.js';
import { JOB_KINDS, type JobKind } from '../../src/model/job-kind.js';
import { describeEngines, type EngineBed, reportedMedia } from '../support/databases.js';
import { claimCopies, claimJobs, claimUploads, jobStoreOf, LEASE_MS, soleJob } from '../support/jobs.js';
import { reservation } from '../support/uploads.js';

const ALL_KINDS = JOB_KINDS.map((kind) => ({ kind }));

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const FRESH = { attempts: 1, suspect: false, interruptions: 0, deaths: 0 };

/** A job of kind `copy` without a media; the store does not look at what a job is about. */
const newJob = (keys: Partial<NewJob> = {}): NewJob => ({
  kind: 'copy',
  tenant: TENANT,
  key: 'a',
  channelId: null,
  dueAt: NOW,
  ...keys,
});

/** The jobs that the rooms of the catalogue add, one of each. */
const ADDITIONS: Readonly<Record<string, { readonly kind: JobKind; add(bed: EngineBed): Promise<unknown> }>> = {
  'a copy': {
    kind: 'copy',
    add: (bed) => {
      const announcement = { mirror: true, now: NOW, retainedUntil: null };
      return new SqlMediaCatalogue(bed.shared()).recordAnnouncement(TENANT, [reportedMedia()], announcement);
    },
  },
  'an event': {
    kind: 'webhook',
    add: (bed) => {
      const delivery = { channelId: 'support', dedupeKey: 'k', contentType: '', rawBody: Buffer.alloc(0) };
      return new SqlWebhookInbox(bed.shared()).receive({ tenant: TENANT, ...delivery, now: NOW });
    },
  },
  'an upload': {
    kind: 'upload',
    add: (bed) => new SqlUploads(bed.shared()).reserve(reservation({ now: NOW })),
  },
};

describeEngines('a leased job', (bed) => {
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });

  describe.each(Object.entries(ADDITIONS))('%s', (_, { kind, add }) => {
    beforeEach(() => add(bed));
    /** null: nothing is due. */
    const claim = async (owner: string, now = NOW): Promise<ClaimedJob | null> =>
      (await claimJobs(bed.shared(), kind, { owner, now, limit: 1 }))[0] ?? null;
    const claimed = async (owner: string, now = NOW): Promise<ClaimedJob> => {
      const job = await claim(owner, now);
      if (!job) throw new Error('expected a job that is due');
      return job;
    };
    const setAlone = (job: ClaimedJob, isAlone: boolean) => storeOf(job.owner).setAlone(job, isAlone);
    const renew = async (job: ClaimedJob, now: Date) => (await storeOf(job.owner, now).renew([job])).has(job);
    const release = (owner: string) => storeOf(owner).release([kind]);

    test('is no suspect at first, and becomes one when the lease of another process ends', async () => {
      expect(await claim('first')).toMatchObject(FRESH);
      expect(await claim('second', plus(LEASE_MS - 1))).toBeNull();
      const suspect = { suspect: true, deaths: 0 };
      expect(await claim('second', plus(LEASE_MS))).toMatchObject({ ...suspect, attempts: 2, interruptions: 1 });
      expect(await claim('third', plus(2 * LEASE_MS))).toMatchObject({ ...suspect, interruptions: 2 });
    });

    test('counts a death only when its owner had recorded that it ran alone, and still did', async () => {
      await claim('among others');
      expect(await setAlone(await claimed('alone', plus(LEASE_MS)), true)).toBe(true);
      const next = await claimed('no longer alone', plus(2 * LEASE_MS));
      expect(next).toMatchObject({ deaths: 1, interruptions: 2 });
      expect(await setAlone(next, true)).toBe(true);
      expect(await setAlone(next, false)).toBe(true);
      // A claim begins anew: what the last owner noted does not count for the next.
      expect(await claim('before it could note it', plus(3 * LEASE_MS))).toMatchObject({ deaths: 1 });
      expect(await claim('last', plus(4 * LEASE_MS))).toMatchObject({ deaths: 1, interruptions: 4 });
    });

    test('belongs to its owner: no other process can mark, renew, end, postpone or release it', async () => {
      const lost = await claimed('slow');
      const held = await claimed('fast', plus(LEASE_MS));
      const slow = storeOf('slow', plus(LEASE_MS));
      expect(await setAlone(lost, true)).toBe(false);
      expect(await renew(lost, plus(LEASE_MS))).toBe(false);
      // A lease of another process does not count, also when the job object names this owner.
      expect((await slow.renew([held])).size).toBe(0);
      await slow.release(JOB_KINDS);
      expect(await slow.finish(lost)).toBe(false);
      await slow.retry(lost, NOW, 'no');
      await slow.reschedule(lost, NOW);
      await slow.bury(lost, 'no');
      expect(await claim('third', plus(LEASE_MS))).toBeNull();
      expect(await renew(held, plus(LEASE_MS))).toBe(true);
      expect(await claim('third', plus(2 * LEASE_MS))).toMatchObject({ attempts: 3, since: NOW, deaths: 0 });
    });

    test('that a stopping server releases counts no attempt, however often', async () => {
      for (let round = 1; round <= 5; round++) {
        const job = await claimed(`round ${round}`);
        expect(job).toMatchObject(FRESH);
        await setAlone(job, true);
        await release(`round ${round}`);
      }
      expect(await claim('last')).toMatchObject(FRESH);
    });

    test('stays a suspect when it is released, and keeps its deaths', async () => {
      await setAlone(await claimed('first'), true);
      await claim('second', plus(LEASE_MS));
      await release('second');
      expect(await claim('third', plus(LEASE_MS))).toMatchObject({ suspect: true, deaths: 1, interruptions: 1 });
    });

    test('that its own living owner claims again has caused no death', async () => {
      await setAlone(await claimed('lives'), true);
      expect(await claim('lives', plus(LEASE_MS))).toMatchObject({ suspect: false, deaths: 0, interruptions: 0 });
    });

    test('is renewed also after its end, while no other process has claimed it', async () => {
      const job = await claimed('slow');
      expect(await renew(job, plus(5 * LEASE_MS))).toBe(true);
      expect(await claim('other', plus(6 * LEASE_MS - 1))).toBeNull();
      expect(await claim('other', plus(6 * LEASE_MS))).not.toBeNull();
    });

    test('counts as interrupted when the next process is the only one', async () => {
      await setAlone(await claimed('dead'), true);
      expect(await claim('alive')).toBeNull();
      await storeOf('alive').abandonLeases();
      expect(await claim('alive')).toMatchObject({ attempts: 2, suspect: true, interruptions: 1, deaths: 1 });
      await storeOf('next').abandonLeases();
      expect(await claim('next')).toMatchObject({ attempts: 3, interruptions: 2, deaths: 1 });
      await release('next');
      await storeOf('last').abandonLeases();
      expect(await claim('last')).toMatchObject({ attempts: 3, interruptions: 2, deaths: 1 });
    });
  });
});

describeEngines('a job that starts again', (bed) => {
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const announce = (now: Date) =>
    catalogue().recordAnnouncement(TENANT, [reportedMedia()], { mirror: true, now, retainedUntil: null });
  const claim = async (owner: string, now: Date) => (await claimCopies(bed.shared(), { owner, now }))[0]?.job ?? null;
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const { id } = reportedMedia();
  const failure = { code: 'INTERNAL_SERVER_ERROR', message: 'three deaths', retryable: true, at: NOW } as const;

  /** A job that three processes have died of, in the hands of the fourth. */
  async function killing(claimNext: (owner: string, now: Date) => Promise<ClaimedJob | null>): Promise<ClaimedJob> {
    let job: ClaimedJob | null = null;
    for (let life = 0; life <= MAX_DEATHS; life++) {
      job = await claimNext(`life ${life}`, plus(life * LEASE_MS));
      expect(job).toMatchObject({ deaths: life });
      if (job) await storeOf(job.owner).setAlone(job, true);
    }
    if (!job) throw new Error('expected a job');
    return job;
  }

  /** A copy that failed after three deaths. */
  async function condemn(): Promise<void> {
    await announce(NOW);
    await new SqlCopies(bed.shared()).fail(await killing(claim), { status: 'FAILED', failure });
    expect(await claim('nobody', plus(99 * LEASE_MS))).toBeNull();
  }

  test('a failed copy starts again when its media is announced again', async () => {
    await condemn();
    await announce(plus(5 * LEASE_MS));
    expect(await claim('next', plus(5 * LEASE_MS))).toMatchObject({ ...FRESH, since: plus(5 * LEASE_MS) });
  });

  test('a failed copy starts again when a caller retries it', async () => {
    await condemn();
    const now = plus(5 * LEASE_MS);
    expect(await catalogue().retryFailed(TENANT, id, { copy: true, now })).toMatchObject({ status: 'PENDING' });
    expect(await claim('next', now)).toMatchObject({ ...FRESH, since: now });
  });

  test('a suspect that waits for its next attempt starts again when its media is announced again', async () => {
    await announce(NOW);
    const job = await killing(claim);
    await storeOf(job.owner).retry(job, plus(60_000), 'the provider is busy');
    await announce(plus(5 * LEASE_MS));
    expect(await claim('next', plus(5 * LEASE_MS))).toMatchObject({ ...FRESH, since: plus(5 * LEASE_MS) });
  });

  test('an announcement does not change a copy that is under way', async () => {
    await announce(NOW);
    const job = await claim('first', NOW);
    if (job) await storeOf('first').setAlone(job, true);
    await announce(plus(1));
    expect(await claim('second', plus(LEASE_MS - 1))).toBeNull();
    expect(await claim('second', plus(LEASE_MS))).toMatchObject({ id: job?.id, attempts: 2, deaths: 1, since: NOW });
  });

  test('an announcement does not change a copy that has not started', async () => {
    await announce(NOW);
    await announce(plus(5));
    expect(await claim('first', plus(5))).toMatchObject({ ...FRESH, since: NOW });
  });

  test('a dead letter is open again when it is added again', async () => {
    await storeOf('a').add(newJob());
    const job = await killing(async (owner, now) =>
      soleJob(await claimJobs(bed.shared(), 'copy', { owner, now, limit: 1 })),
    );
    await storeOf(job.owner).bury(job, 'three deaths');
    await storeOf('a', plus(9_000)).add(newJob({ dueAt: plus(9_000) }));
    const counts = await storeOf('a', plus(9_000)).counts();
    expect(counts).toMatchObject({ copy: { open: 1, dead: 0, oldestDueAt: plus(9_000) } });
    const next = { owner: 'next', now: plus(9_000) };
    expect(await claimJobs(bed.shared(), 'copy', next)).toMatchObject([{ ...FRESH, since: plus(9_000) }]);
  });

  test('a failed upload starts again when a caller retries it', async () => {
    const uploads = new SqlUploads(bed.shared());
    const upload = reservation({ now: NOW, filename: 'beach.jpg', mimeType: 'image/jpeg' });
    await uploads.reserve(upload);
    const claimUpload = async (owner: string, now: Date) => soleJob(await claimUploads(bed.shared(), { owner, now }));
    const deadly = await killing(async (owner, now) => (await claimUpload(owner, now)).job);
    expect(await uploads.fail(deadly, failure)).toMatchObject({ media: { status: 'FAILED' }, key: null });
    expect(await uploads.retryFailed(TENANT, upload.id, plus(9_000))).toMatchObject({
      status: 'PENDING',
      failure: null,
    });
    const { sourceUrl, filename, mimeType } = upload;
    const next = await claimUpload('next', plus(9_000));
    expect(next).toMatchObject({ job: FRESH, sourceUrl, filename, mimeType });
    // What is to be fetched is remembered for a day, and given out once.
    expect(await uploads.retryFailed(TENANT, upload.id, plus(9_000))).toBeNull();
    await uploads.fail(next.job, failure);
    expect(await uploads.retryFailed(TENANT, upload.id, plus(24 * 60 * 60 * 1_000))).toBeNull();
    expect(await uploads.retryFailed(TENANT, upload.id, plus(24 * 60 * 60 * 1_000 - 1))).not.toBeNull();
  });
});

describeEngines('the queue of jobs', (bed) => {
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const claim = (demands: readonly Demand[], owner = 'a', now = NOW) => storeOf(owner, now).claim(demands);
  const claimCopy = (owner = 'a', now = NOW) => claim([{ kind: 'copy', limit: 100 }], owner, now);
  const keys = (jobs: readonly ClaimedJob[]) => jobs.map(({ key }) => key);
  const add = async (...jobs: ReadonlyArray<Partial<NewJob>>) => {
    for (const job of jobs) await storeOf('adds').add(newJob(job));
  };

  test('returns a job as it was added', async () => {
    const payload = { url: 'https://files.example/ü?a="1"', list: [1, null, { deep: true }] };
    await add({ tenant: 'acme', key: 'ключ', channelId: 'support', payload });
    await add({ tenant: '', key: '', kind: 'sweep' });
    const untroubled = { suspect: false, interruptions: 0, deaths: 0, attempts: 1, since: NOW, owner: 'a' };
    const [copy, sweep] = await claim([
      { kind: 'copy', limit: 1 },
      { kind: 'sweep', limit: 1 },
    ]);
    const subject = { kind: 'copy', tenant: 'acme', key: 'ключ', channelId: 'support', payload };
    expect(copy).toEqual({ ...untroubled, id: expect.any(Number), ...subject });
    expect(sweep).toMatchObject({ kind: 'sweep', tenant: '', key: '', channelId: null, payload: null });
  });

  test('keeps a payload of any text: without NUL, and with a replacement for half a surrogate pair', async () => {
    await add({ payload: { filename: 'a\0b\ud800.jpg', whole: '\ud83d\ude00' } });
    expect(await claimCopy()).toMatchObject([{ payload: { filename: 'ab\ufffd.jpg', whole: '\ud83d\ude00' } }]);
  });

  test('has one open job for each kind and subject, due at the earlier of both times', async () => {
    await add({ dueAt: plus(500) }, { dueAt: plus(900) }, { key: 'b', dueAt: plus(900) }, { key: 'b', dueAt: plus(1) });
    await add({ tenant: 'acme', dueAt: plus(5_000) }, { kind: 'inspection' });
    expect(await storeOf('a').counts()).toMatchObject({ copy: { open: 3 }, inspection: { open: 1 } });
    expect(keys(await claimCopy('a'))).toEqual([]);
    expect(keys(await claimCopy('a', plus(1)))).toEqual(['b']);
    expect(keys(await claimCopy('a', plus(500)))).toEqual(['a']);
  });

  test('gives the oldest first, whether a job is new, was postponed, or was left by a process that died', async () => {
    await add(...['left', 'postponed', 'handed back', 'new'].map((key) => ({ key })));
    const [left, postponed] = await claim([{ kind: 'copy', limit: 2 }], 'dies');
    expect(left?.key).toBe('left');
    if (postponed) await storeOf('dies').retry(postponed, plus(500), 'not yet');
    await claim([{ kind: 'copy', limit: 1 }], 'stops');
    await storeOf('stops').release(['copy']);
    expect(keys(await claimCopy('a', plus(LEASE_MS)))).toEqual(['left', 'postponed', 'handed back', 'new']);
  });

  test('returns the demanded number of each kind, and no other kinds', async () => {
    await add(...['1', '2', '3'].flatMap((key) => [{ key }, { key, kind: 'webhook' as const }]));
    await add({ kind: 'upload', key: '1' });
    const demands = [
      { kind: 'copy', limit: 2 },
      { kind: 'webhook', limit: 1 },
      { kind: 'inspection', limit: 5 },
    ] as const;
    const jobs = await claim(demands);
    expect(jobs.map(({ kind, key }) => `${kind} ${key}`)).toEqual(['copy 1', 'webhook 1', 'copy 2']);
    expect(await claim([])).toEqual([]);
    expect(await claim([{ kind: 'copy', limit: 0 }])).toEqual([]);
  });

  test('skips the jobs of tenants at their limit for that kind', async () => {
    await add({ kind: 'upload', tenant: 'busy', key: '1' }, { kind: 'upload', tenant: 'idle', key: '2' });
    await add({ tenant: 'busy', key: '3' });
    const demands = [
      { kind: 'upload', limit: 2, exceptTenants: ['busy', 'another'] },
      { kind: 'copy', limit: 2 },
    ] as const;
    expect(keys(await claim(demands))).toEqual(['2', '3']);
    expect(await claim(demands)).toEqual([]);
    expect(keys(await claim([{ kind: 'upload', limit: 2, exceptTenants: [] }]))).toEqual(['1']);
  });

  test('of twenty claims at once, over two processes’ connections, no two get the same job', async () => {
    const kinds = ['copy', 'webhook', 'upload'] as const;
    await Promise.all(Array.from({ length: 120 }, (_, index) => add({ key: `${index}`, kind: kinds[index % 3] })));
    const databases = [bed.shared(), bed.replica()];
    const demands = kinds.map((kind) => ({ kind, limit: 3 }));
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        jobStoreOf(databases[index % 2] ?? bed.shared(), { owner: `owner ${index}`, now: NOW }).claim(demands),
      ),
    );
    // Claims at once may pass over what another is just taking, so some may come out short; the rest is there.
    const rest = await claim(
      kinds.map((kind) => ({ kind, limit: 100 })),
      'the last',
    );
    const ids = [...claims.flat(), ...rest].map(({ id }) => id);
    expect(ids).toHaveLength(120);
    expect(new Set(ids).size).toBe(120);
    for (const jobs of claims)
      for (const kind of kinds) expect(jobs.filter((job) => job.kind === kind).length).toBeLessThanOrEqual(3);
  });
});

describeEngines('the end of a job', (bed) => {
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const claimCopy = (owner = 'a', now = NOW) => claimJobs(bed.shared(), 'copy', { owner, now });
  const reasons = () => bed.shared().jobs.selectFrom('jobs').select(['state', 'last_error']).execute();
  let store: SqlJobStore;
  let job: ClaimedJob;
  beforeEach(async () => {
    store = storeOf('a');
    await store.add(newJob());
    job = soleJob(await claimCopy());
  });

  test('happens once', async () => {
    expect(await store.finish(job)).toBe(true);
    expect(await store.finish(job)).toBe(false);
    expect(await store.renew([job])).toEqual(new Set());
    expect(await claimCopy('b', plus(99_999))).toEqual([]);
  });

  test('is postponed by a retry, with the reason; attempts and age continue', async () => {
    await store.retry(job, plus(500), 'the provider\0 was busy');
    expect(await reasons()).toEqual([{ state: 'open', last_error: 'the provider was busy' }]);
    expect(await claimCopy('b', plus(499))).toEqual([]);
    expect(await claimCopy('b', plus(500))).toMatchObject([{ attempts: 2, since: NOW, suspect: false }]);
  });

  test('does not happen for a scheduled job: the next round counts from its own time', async () => {
    await store.retry(job, NOW, 'failed at first');
    await store.reschedule(soleJob(await claimCopy()), plus(500));
    expect(await reasons()).toEqual([{ state: 'open', last_error: null }]);
    expect(await claimCopy('b', plus(499))).toEqual([]);
    expect(await claimCopy('b', plus(500))).toMatchObject([{ attempts: 1, since: plus(500) }]);
  });

  test('as a dead letter keeps its reason, is not performed again, and is deleted by age', async () => {
    await store.bury(job, 'not a body\0 that the provider documents');
    expect(await reasons()).toEqual([{ state: 'dead', last_error: 'not a body that the provider documents' }]);
    expect(await claimCopy('b', plus(99_999))).toEqual([]);
    expect(await storeOf('b').nextAt(ALL_KINDS)).toBeNull();
    await store.add(newJob({ key: 'open' }));
    expect(await store.counts()).toMatchObject({ copy: { open: 1, dead: 1 } });
  });

  test('by release affects only the named kinds', async () => {
    await store.add(newJob({ kind: 'upload' }));
    await claimJobs(bed.shared(), 'upload', { owner: 'a', now: NOW });
    await store.release(['copy', 'webhook']);
    expect(await claimCopy('b')).toMatchObject([FRESH]);
    expect(await claimJobs(bed.shared(), 'upload', { owner: 'b', now: NOW })).toEqual([]);
  });

  test('is reported by a renewal, which returns the jobs that are still held', async () => {
    await store.add(newJob({ key: 'b' }));
    const other = soleJob(await claimCopy());
    await store.finish(job);
    expect(await store.renew([job, other])).toEqual(new Set([other]));
    expect(await store.renew([])).toEqual(new Set());
  });
});

describeEngines('the state of the queue', (bed) => {
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const claimCopy = (owner = 'a', now = NOW) => claimJobs(bed.shared(), 'copy', { owner, now });
  const add = (job: Partial<NewJob>, now = NOW) => storeOf('adds', now).add(newJob(job));
  const nextAt = (owner: string, kinds: readonly JobKind[] = ['copy']) =>
    storeOf(owner).nextAt(kinds.map((kind) => ({ kind })));
  const countDue = (now = NOW) => storeOf('counts', now).countDue(['copy']);

  test('shows when the next job becomes due, or a lease of another process ends', async () => {
    expect(await nextAt('a')).toBeNull();
    await add({ key: 'later', dueAt: plus(9_000) });
    await add({ key: 'first', dueAt: plus(500) });
    await add({ key: 'other kind', kind: 'upload', dueAt: plus(1) });
    expect(await nextAt('a')).toEqual(plus(500));
    expect(await nextAt('a', ['copy', 'upload'])).toEqual(plus(1));
    expect(await nextAt('a', [])).toBeNull();
    const job = soleJob(await claimCopy('a', plus(500)));
    expect(await nextAt('a')).toEqual(plus(9_000));
    expect(await nextAt('b')).toEqual(plus(500 + LEASE_MS));
    await storeOf('a').retry(job, plus(600), 'not yet');
    expect(await nextAt('b')).toEqual(plus(600));
  });

  test('hides the jobs of channels that a process does not have', async () => {
    await add({ key: 'ours', channelId: 'a' });
    await add({ key: 'of another tenant', tenant: 'globex', channelId: 'a' });
    await add({ key: 'theirs', channelId: 'b' });
    await add({ key: 'of no channel' });
    await add({ key: 'their upload', kind: 'upload', channelId: 'b' });
    await add({ key: 'their removal', kind: 'removal', channelId: 'b' });
    await add({ key: 'theirs, later', channelId: 'b', dueAt: plus(5) });
    await add({ key: 'ours, later', channelId: 'a', dueAt: plus(7) });
    const ours = [{ tenant: TENANT, id: 'a' }];
    const demands = (channels: readonly JobChannel[]): Demand[] => [
      { kind: 'copy', limit: 10, channels },
      { kind: 'upload', limit: 10, channels },
      { kind: 'removal', limit: 10 },
    ];
    const keys = async (channels: readonly JobChannel[], now = NOW) =>
      (await storeOf('a', now).claim(demands(channels))).map(({ key }) => key);
    expect(await storeOf('b').nextAt(demands(ours))).toEqual(plus(7));
    expect(await storeOf('b').nextAt(demands([]))).toBeNull();
    expect(await keys(ours)).toEqual(['ours', 'of no channel', 'their removal']);
    expect(await keys([])).toEqual([]);
    expect(await keys([{ tenant: TENANT, id: 'b' }], plus(5))).toEqual(['theirs', 'their upload', 'theirs, later']);
    // Nor does it take over what a process that had the channel left.
    const after = plus(5 + LEASE_MS);
    expect((await storeOf('c', after).claim(demands(ours))).map(({ key }) => key).sort()).toEqual([
      'of no channel',
      'ours',
      'ours, later',
      'their removal',
    ]);
  });

  test('shows waiting jobs of channels that were hastened', async () => {
    for (const [key, channelId] of [
      ['ours', 'a'],
      ['theirs', 'b'],
    ] as const)
      await add({ key, channelId, dueAt: plus(9_000) });
    await add({ key: 'of another tenant', tenant: 'globex', channelId: 'a', dueAt: plus(9_000) });
    await storeOf('a', plus(1)).hasten([]);
    await storeOf('a', plus(1)).hasten([{ tenant: TENANT, id: 'a' }]);
    expect((await claimCopy('a', plus(1))).map(({ key }) => key)).toEqual(['ours']);
    // What is under way is not begun again.
    await storeOf('b', plus(2)).hasten([{ tenant: TENANT, id: 'a' }]);
    expect(await claimCopy('b', plus(2))).toEqual([]);
  });

  test('shows a job that was handed back as if it had not been claimed', async () => {
    await add({ key: 'due' });
    const job = soleJob(await claimCopy('a'));
    await storeOf('b').handBack({ ...job, owner: 'b' });
    expect(await claimCopy('b')).toEqual([]);
    await storeOf('a').handBack(job);
    expect(await claimCopy('b')).toMatchObject([FRESH]);
  });

  test('counts the jobs that a claim would find', async () => {
    await add({ key: 'due' });
    await add({ key: 'leased' });
    await add({ key: 'later', dueAt: plus(LEASE_MS + 1) });
    await add({ key: 'other kind', kind: 'upload' });
    expect([await countDue(), await storeOf('a').countDue(['copy', 'upload'])]).toEqual([2, 3]);
    const [due, leased] = await claimCopy();
    if (due) await storeOf('a').retry(due, NOW, 'again');
    expect([await countDue(), await countDue(plus(LEASE_MS))]).toEqual([1, 2]);
    expect(await countDue(plus(LEASE_MS + 1))).toBe(3);
    if (leased) await storeOf('a').bury(leased, 'no');
    expect(await countDue(plus(LEASE_MS))).toBe(1);
  });

  test('counts every kind by the state of its jobs, with the time at which the oldest became due', async () => {
    const none = {
      ...{ open: 0, due: 0, running: 0, dead: 0, isPaused: false },
      ...{ oldestDueAt: null, deadline: null, deadlineUsed: 0 },
    };
    const all = Object.fromEntries(JOB_KINDS.map((kind) => [kind, none]));
    expect(await storeOf('a').counts()).toEqual(all);
    await add({ key: 'dead' });
    await storeOf('a').bury(soleJob(await claimCopy()), 'no');
    await add({ key: 'newer', dueAt: plus(2) });
    await add({ key: 'older', dueAt: plus(1) });
    await add({ key: 'later', dueAt: plus(LEASE_MS + 9) });
    await add({ key: 'a', kind: 'upload' });
    await add({ key: 'b', kind: 'upload' });
    await claimJobs(bed.shared(), 'upload', { owner: 'a', now: plus(3), limit: 1 });
    await add({ key: 'c', kind: 'deletion' });
    await claimJobs(bed.shared(), 'deletion', { owner: 'a', now: plus(3) });
    await storeOf('operator').pause('upload');
    await storeOf('operator').pause('sweep');
    const copy = { ...none, open: 3, dead: 1 };
    const upload = { ...none, open: 2, due: 1, running: 1, isPaused: true, oldestDueAt: NOW };
    const deletion = { ...none, open: 1, running: 1 };
    const sweep = { ...none, isPaused: true };
    const counts = (ms: number) => storeOf('a', plus(ms)).counts();
    expect(await counts(0)).toEqual({ ...all, copy, upload, deletion, sweep });
    expect(await counts(1)).toMatchObject({ copy: { ...copy, due: 1, oldestDueAt: plus(1) }, upload });
    const due = { copy: { ...copy, due: 2, oldestDueAt: plus(1) }, upload: { ...upload, due: 2, running: 0 } };
    // A job is due again from when its lease has ended.
    const again = { ...deletion, due: 1, running: 0, oldestDueAt: plus(LEASE_MS + 3) };
    expect(await counts(LEASE_MS + 3)).toMatchObject({ ...due, deletion: again });
  });
});

describeEngines('a kind that is paused', (bed) => {
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const claim = (owner: string, now = NOW, kinds: readonly JobKind[] = ['copy', 'upload']) =>
    storeOf(owner, now).claim(kinds.map((kind) => ({ kind, limit: 1 })));
  const add = (...keys: readonly string[]) =>
    Promise.all(keys.map((key) => storeOf('adds').add(newJob({ key: key.slice(1), kind: kindOf(key) }))));
  const kindOf = (key: string): JobKind => (key.startsWith('c') ? 'copy' : 'upload');
  const kinds = (jobs: readonly ClaimedJob[]) => jobs.map(({ kind }) => kind);

  test('is claimed by no process until it is resumed; other kinds are', async () => {
    await add('c1', 'u1', 'u2');
    await storeOf('operator').pause('copy');
    await storeOf('another operator').pause('copy');
    expect(kinds(await claim('a'))).toEqual(['upload']);
    const replica = jobStoreOf(bed.replica(), { owner: 'b', now: NOW });
    expect(kinds(await replica.claim([{ kind: 'copy', limit: 1 }]))).toEqual([]);
    await storeOf('operator').resume('upload');
    expect(kinds(await claim('a'))).toEqual(['upload']);
    await storeOf('operator').resume('copy');
    await storeOf('operator').resume('copy');
    expect(await claim('a')).toMatchObject([{ kind: 'copy', attempts: 1 }]);
  });

  test('continues its jobs under way, and accepts new ones', async () => {
    await add('c1');
    const job = soleJob(await claim('a'));
    await storeOf('operator').pause('copy');
    await add('c2');
    const owner = storeOf('a', plus(LEASE_MS));
    expect(await owner.renew([job])).toEqual(new Set([job]));
    expect(await owner.finish(job)).toBe(true);
    expect(await claim('b', plus(9 * LEASE_MS))).toEqual([]);
    expect(await storeOf('b').counts()).toMatchObject({ copy: { open: 1 } });
  });

  test('is not taken over from a dead process while it is paused', async () => {
    await add('c1');
    await claim('dies');
    await storeOf('operator').pause('copy');
    expect(await claim('b', plus(LEASE_MS))).toEqual([]);
    await storeOf('operator').resume('copy');
    expect(await claim('b', plus(LEASE_MS))).toMatchObject([{ attempts: 2, suspect: true }]);
  });

  test('has no job that a claim could find', async () => {
    await add('c1', 'u1');
    await storeOf('operator').pause('copy');
    expect(await storeOf('a').countDue(['copy', 'upload'])).toBe(1);
  });

  test('wakes no process for new jobs', async () => {
    await storeOf('adds').add(newJob({ dueAt: plus(500) }));
    await storeOf('operator').pause('copy');
    expect(await storeOf('a').nextAt([{ kind: 'copy' }, { kind: 'upload' }])).toBeNull();
  });
});
