import { SqlCopies } from '../../src/catalogue/media/copies.js';
import type { CopyRetry } from '../../src/catalogue/media/media-catalogue.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import type { Database } from '../../src/database/database.js';
import type { MediaFailure, MessageMedia } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { type CopyJob, claimCopies, jobStoreOf, LEASE_MS, soleJob } from '../support/jobs.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const BYTES = { stored: storedBytes(), details: {} };

const failure = (message: string, at: Date): MediaFailure => ({
  code: 'PROVIDER_UNAVAILABLE',
  message,
  retryable: true,
  at,
});
const again = (message: string, dueAt: Date): CopyRetry => ({ dueAt, failure: failure(message, NOW), isFailed: false });
const names = (jobs: readonly CopyJob[]) => jobs.map(({ media }) => media.providerMessageId);

describeEngines('jobs that copy', (bed) => {
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const copies = () => new SqlCopies(bed.shared());
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
  const claim = (owner: string, now = NOW, limit = 100, from: Database = bed.shared()) =>
    claimCopies(from, { owner, now, limit });
  const claimOne = async (owner: string, now = NOW) => soleJob(await claim(owner, now)).job;
  const announce = async (name: string, keys: Partial<MessageMedia> = {}, now = NOW): Promise<MessageMedia> => {
    const media = reportedMedia({ providerMessageId: name, ...keys });
    await catalogue().recordAnnouncement(TENANT, [media], { mirror: true, now, retainedUntil: null });
    return media;
  };
  const found = async ({ id }: MessageMedia) => (await catalogue().findByIds(TENANT, [id])).get(id);

  describe('are claimed', () => {
    test('the earliest deadline first, then the oldest, those without a deadline last', async () => {
      await announce('none');
      await announce('late', { availableUntil: plus(9_000) });
      await announce('early', { availableUntil: plus(1_000) });
      await announce('early, added later', { availableUntil: plus(1_000) }, plus(1));
      await announce('none, added later', {}, plus(1));
      expect(names(await claim('a', plus(1), 2))).toEqual(['early', 'early, added later']);
      expect(names(await claim('a', plus(1)))).toEqual(['late', 'none', 'none, added later']);
      expect(await claim('a', plus(1))).toEqual([]);
    });

    test('by the deadline also when they wait for another attempt or their process has died', async () => {
      await announce('none');
      const [first] = await claim('dies');
      await announce('late', { availableUntil: plus(9_000) });
      const [second] = await claim('postpones');
      if (second) await copies().retry(second.job, again('not yet', plus(10)), NOW);
      await announce('early', { availableUntil: plus(5_000) }, plus(LEASE_MS));
      expect([first?.media, second?.media].map((media) => media?.providerMessageId)).toEqual(['none', 'late']);
      expect(names(await claim('a', plus(LEASE_MS)))).toEqual(['early', 'late', 'none']);
    });

    test('and counted with the earliest deadline, and the largest share of the time to one that has passed', async () => {
      const countsAt = async (ms: number) => (await storeOf('a', plus(ms)).counts()).copy;
      await announce('none');
      expect(await countsAt(9_000)).toMatchObject({ deadline: null, deadlineUsed: 0 });
      await announce('late', { availableUntil: plus(10_000) });
      await announce('early', { availableUntil: plus(8_000) }, plus(4_000));
      expect(await countsAt(5_000)).toMatchObject({ deadline: plus(8_000), deadlineUsed: 0.5 });
      expect(await countsAt(12_000)).toMatchObject({ deadline: plus(8_000), deadlineUsed: 2 });
    });

    test('by the earliest deadline that is known', async () => {
      await announce('a', { availableUntil: plus(5_000) });
      await announce('b');
      await announce('b', { availableUntil: plus(1_000) }, plus(1));
      expect(names(await claim('a', plus(1)))).toEqual(['b', 'a']);
    });

    test('with the number of their attempts', async () => {
      await announce('a');
      expect(await claim('first')).toMatchObject([
        { job: { attempts: 1 }, media: { status: 'PENDING', mirrored: true } },
      ]);
      expect(await claim('second', plus(LEASE_MS))).toMatchObject([{ job: { attempts: 2 } }]);
    });

    test('by one of twenty claims at once', async () => {
      const media = Array.from({ length: 100 }, (_, index) => reportedMedia({ providerMessageId: `m${index}` }));
      await catalogue().recordAnnouncement(TENANT, media, { mirror: true, now: NOW, retainedUntil: null });
      const replicas = [bed.shared(), bed.replica()];
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, index) => claim(`owner ${index}`, NOW, 7, replicas[index % 2])),
      );
      // Claims at once may pass over what another is just taking, so some may come out short; the rest is there.
      const ids = [...claims.flat(), ...(await claim('the last'))].map(({ media: { id } }) => id);
      expect(ids).toHaveLength(100);
      expect(new Set(ids).size).toBe(100);
      expect(claims.every((claimed) => claimed.length <= 7)).toBe(true);
    });

    test('without a media where its row is gone', async () => {
      const [gone, kept] = [await announce('gone'), await announce('kept')];
      await bed.shared().kysely.deleteFrom('media').where('id', '=', gone.id).execute();
      const jobs = await storeOf('a').claim([{ kind: 'copy', limit: 9 }]);
      expect(jobs.map(({ key }) => key).sort()).toEqual([gone.id, kept.id].sort());
      expect([...(await copies().findMedia(jobs)).values()]).toMatchObject([{ id: kept.id }]);
    });
  });

  test('a renewed lease holds; an expired one is taken over, and its old owner has no effect', async () => {
    const media = await announce('a');
    const slow = await claimOne('slow');
    await storeOf('slow', plus(900)).renew([slow]);
    await storeOf('somebody else', plus(9_000)).renew([slow]);
    expect(await claim('fast', plus(1_899))).toEqual([]);
    const fast = await claimOne('fast', plus(1_900));
    await storeOf('slow', plus(9_000)).renew([slow]);
    expect(await copies().finish(slow, media, BYTES, plus(1_950))).toMatchObject({
      isNamed: false,
      media: { id: media.id, status: 'PENDING', stored: null },
    });
    await copies().fail(slow, { status: 'FAILED', failure: failure('no', plus(1_950)) });
    await copies().retry(slow, again('no', plus(1_950)), plus(1_950));
    expect(await found(media)).toMatchObject({ status: 'PENDING', stored: null, failure: null });
    expect(await claim('third', plus(1_951))).toEqual([]);
    expect(await copies().finish(fast, media, BYTES, plus(1_960))).toMatchObject({ isNamed: true });
  });

  test('a finished copy is READY with its bytes, once', async () => {
    const media = await announce('a', { mimeType: 'image/jpeg', kind: 'IMAGE', caption: 'stays' });
    await copies().retry(await claimOne('a'), again('at first', NOW), NOW);
    const job = await claimOne('a');
    const stored = storedBytes({ mimeType: 'application/pdf', at: plus(5) });
    const details = { mimeType: 'application/pdf', filename: 'a.pdf' };
    expect(await copies().finish(job, media, { stored, details }, plus(5))).toEqual({ isNamed: true });
    expect(await found(media)).toMatchObject({
      status: 'READY',
      stored,
      mimeType: 'application/pdf',
      kind: 'IMAGE',
      filename: 'a.pdf',
      caption: 'stays',
      sizeBytes: stored.sizeBytes,
      sha256: stored.sha256,
      failure: null,
    });
    expect(await copies().finish(job, media, { stored, details }, plus(6))).toMatchObject({
      media: { stored },
      isNamed: false,
    });
    expect(await claim('b', plus(99_999))).toEqual([]);
    expect(await catalogue().counts()).toMatchObject({ mediaByStatus: { READY: 1 }, mirrorsDue: 0 });
    expect(await storeOf('b').counts()).toMatchObject({ copy: { open: 0, dead: 0 } });
  });

  test('bytes with another hash than the known one are not recorded, and the job continues', async () => {
    const media = await announce('a', { sha256: 'cd'.repeat(32) });
    const job = await claimOne('a');
    expect(await copies().finish(job, media, BYTES, NOW)).toMatchObject({ isNamed: false, media: { stored: null } });
    expect(await found(media)).toMatchObject({ status: 'PENDING', stored: null });
    expect(await storeOf('a').renew([job])).toEqual(new Set([job]));
  });

  test('details that the bytes do not contain stay as reported', async () => {
    const media = await announce('a', { mimeType: 'text/csv', filename: 'a.csv' });
    const stored = storedBytes({ mimeType: null });
    const details = { mimeType: null, filename: null };
    await copies().finish(await claimOne('a'), media, { stored, details }, NOW);
    expect(await found(media)).toMatchObject({ mimeType: 'text/csv', filename: 'a.csv' });
  });

  test('a copy that is retried waits until its time, and any process may claim it', async () => {
    const media = await announce('a');
    await copies().retry(await claimOne('a'), again('the provider\0 was busy', plus(500)), NOW);
    expect(await claim('b', plus(499))).toEqual([]);
    expect(await claim('b', plus(500))).toMatchObject([
      {
        job: { attempts: 2, since: NOW },
        media: { id: media.id, status: 'PENDING', failure: { message: 'the provider was busy' } },
      },
    ]);
  });

  test('a copy that its provider cannot serve is FAILED meanwhile, and READY afterwards', async () => {
    const media = await announce('a');
    const next = { dueAt: plus(500), failure: failure('not yet', plus(1)), isFailed: true };
    await copies().retry(await claimOne('a'), next, plus(1));
    expect(await found(media)).toMatchObject({ status: 'FAILED', failure: next.failure, updatedAt: plus(1) });
    const job = await claimOne('b', plus(500));
    expect(await copies().finish(job, media, BYTES, plus(501))).toEqual({ isNamed: true });
    expect(await found(media)).toMatchObject({ status: 'READY', failure: null });
  });

  test.each(['FAILED', 'EXPIRED'] as const)('an impossible copy is %s, and its job ends', async (status) => {
    const media = await announce('a');
    await copies().fail(await claimOne('a'), { status, failure: failure('gone', plus(1)) });
    expect(await found(media)).toMatchObject({ status, failure: failure('gone', plus(1)), stored: null });
    expect(await claim('b', plus(99_999))).toEqual([]);
    expect(await storeOf('b').counts()).toMatchObject({ copy: { open: 0, dead: 0 } });
  });

  test('a released job is due at once, and the attempt is not counted', async () => {
    await announce('older');
    await announce('newer', {}, plus(1));
    await claim('leaves', plus(1), 1);
    await claim('stays', plus(1), 1);
    await storeOf('leaves').release(['copy']);
    expect(await claim('next', plus(1))).toMatchObject([
      { job: { attempts: 1 }, media: { providerMessageId: 'older' } },
    ]);
    expect(await claim('next', plus(1))).toEqual([]);
  });

  test('a process that is the only one ends every lease', async () => {
    await announce('a');
    await claim('dead');
    expect(await claim('alive')).toEqual([]);
    await storeOf('alive').abandonLeases();
    expect(await claim('alive')).toMatchObject([{ job: { attempts: 2 } }]);
  });

  test('a media that is deleted while it is copied stays deleted', async () => {
    const media = await announce('a');
    const job = await claimOne('a');
    await catalogue().transition(TENANT, media.id, ['PENDING'], 'DELETED', {}, NOW);
    expect(await copies().finish(job, media, BYTES, NOW)).toEqual({ media: null, isNamed: false });
    expect(await found(media)).toMatchObject({ status: 'DELETED', stored: null });
    await copies().retry(job, again('no', NOW), NOW);
    await copies().fail(job, { status: 'FAILED', failure: failure('no', NOW) });
    expect(await found(media)).toMatchObject({ status: 'DELETED', failure: null });
    expect(await claim('b', plus(99_999))).toEqual([]);
  });
});
