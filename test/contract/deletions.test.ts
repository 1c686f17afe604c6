import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlCopies } from '../../src/catalogue/media/copies.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { formatMessageId } from '../../src/model/ids.js';
import type { JobKind } from '../../src/model/job-kind.js';
import { describeEngines, type EngineBed, reportedMedia, storedBytes } from '../support/databases.js';
import { begunUpload, type DeletionBed, deletionBed, REMOVER, uploadedMedia } from '../support/deletions.js';
import {
  claimCopies,
  claimJobs,
  claimUploads,
  type JobProcess,
  jobStoreOf,
  LEASE_MS,
  soleJob,
} from '../support/jobs.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const CALLERS = 20;
const LOCAL = { scope: 'LOCAL', now: NOW } as const;

const ids = (media: ReadonlyArray<{ readonly id: string }>) => media.map(({ id }) => id);
const keysOf = (jobs: ReadonlyArray<{ readonly key: string }>) => jobs.map(({ key }) => key);
const given = <Item>(item: Item | null): Item => {
  if (item === null) throw new Error('expected the deletion to go on, got null');
  return item;
};

describeEngines('deletions', (engine) => {
  const bed = () => deletionBed(engine.shared(), NOW);
  describe('begin with an intent, which', () => intents(engine, bed));
  describe('that a crash interrupted', () => interruptions(engine, bed));
  describe('end with DELETED, which', () => completions(engine, bed));
  describe('leave a removal, which', () => removals(engine, bed));
  describe('leave tombstones, which', () => tombstones(engine, bed));
});

function intents(engine: EngineBed, bed: () => DeletionBed): void {
  const openJobs = async (kinds: readonly JobKind[], now = plus(99_999)) =>
    jobStoreOf(engine.shared(), { owner: 'watcher', now }).countDue(kinds);

  test('has no visible effect, and has one owner until its lease ends', async () => {
    const { deletions, found, intend, listStored } = bed();
    const { id } = await listStored('a');
    const before = await found(id);
    const first = given(await intend(id, 'first'));
    expect(first).toEqual({ media: before, job: { id: expect.any(Number), owner: 'first' } });
    expect(await found(id)).toEqual(before);
    expect(await intend(id, 'second', plus(LEASE_MS - 1))).toBeNull();
    const second = given(await intend(id, 'second', plus(LEASE_MS)));
    expect(second.media).toEqual(before);
    const completion = { scope: 'LOCAL', now: plus(LEASE_MS) } as const;
    expect(await deletions.complete(first.job, completion, LEASE_MS)).toBeNull();
    await deletions.withdraw(first.job);
    expect(await intend(id, 'third', plus(LEASE_MS))).toBeNull();
    expect(await deletions.complete(second.job, completion, LEASE_MS)).not.toBeNull();
  });

  test('requires a media of the tenant that is not deleted', async () => {
    const { claimOf, deletions, intend, list, remove } = bed();
    const { id } = await list('a');
    expect(await intend('an id of no media', 'a')).toBeNull();
    expect(await deletions.intend('another', id, claimOf('a'))).toBeNull();
    expect(await openJobs(['deletion'])).toBe(0);
    await remove(id);
    expect(await intend(id, 'a', plus(LEASE_MS))).toBeNull();
    expect(await openJobs(['deletion'])).toBe(0);
  });

  test('is recorded once for twenty calls at once over two replicas', async () => {
    const { claimOf, deletions, list } = bed();
    const replicas = [engine.shared(), engine.replica()].map((database) => new SqlDeletions(database));
    for (let round = 0; round < 5; round++) {
      const { id } = await list(`round ${round}`);
      const begun = await Promise.all(
        Array.from({ length: CALLERS }, (_, index) =>
          (replicas[index % 2] ?? deletions).intend(TENANT, id, claimOf(`owner ${index}`)),
        ),
      );
      expect(begun.filter((deletion) => deletion !== null).length).toBe(1);
    }
    expect(await openJobs(['deletion'])).toBe(5);
  });

  test('changes nothing when the provider refuses, and can be tried again', async () => {
    const { deletions, found, intend, listStored } = bed();
    const { id } = await listStored('a');
    const before = await found(id);
    await deletions.withdraw(given(await intend(id, 'a')).job);
    expect(await found(id)).toEqual(before);
    expect(await openJobs(['deletion', 'removal'])).toBe(0);
    expect(given(await intend(id, 'b')).media).toEqual(before);
  });

  test('is not ended by listings and announcements of the media', async () => {
    const { deletions, intend, list } = bed();
    const { id } = await list('a');
    const { job } = given(await intend(id, 'a'));
    await list('a', { mimeType: 'image/png', caption: 'now known' });
    expect(await intend(id, 'b')).toBeNull();
    expect(await deletions.complete(job, { scope: 'PROVIDER', now: NOW }, LEASE_MS)).toMatchObject({
      media: { status: 'DELETED' },
    });
  });

  test('takes no bytes from a media that is not deleted', async () => {
    const { deletions, found, intend, listStored } = bed();
    const { id } = await listStored('a');
    const { job } = given(await intend(id, 'a'));
    expect(await found(id)).toMatchObject({ status: 'READY', stored: storedBytes() });
    expect(await openJobs(['removal'])).toBe(0);
    await deletions.withdraw(job);
    expect(await openJobs(['removal'])).toBe(0);
    expect(await found(id)).toMatchObject({ status: 'READY', stored: storedBytes() });
  });

  test('does not touch a media whose deletion a replica of the previous version has begun, until that lease ends', async () => {
    const { found, intend, list } = bed();
    const { id } = await list('a');
    const before = await found(id);
    // The columns are no longer among those that this version knows.
    await engine
      .shared()
      .kysely.updateTable('media')
      .set({ deletion_owner: 'previous', deletion_until: plus(LEASE_MS) } as object)
      .where('id', '=', id)
      .execute();
    expect(await intend(id, 'a', plus(LEASE_MS - 1))).toBeNull();
    expect(await openJobs(['deletion'])).toBe(0);
    expect(given(await intend(id, 'a', plus(LEASE_MS))).media).toEqual(before);
  });
}

function interruptions(engine: EngineBed, bed: () => DeletionBed): void {
  const due = (now: Date) => jobStoreOf(engine.shared(), { owner: 'watcher', now }).countDue(['deletion']);
  const claim = (process: JobProcess) => claimJobs(engine.shared(), 'deletion', process);

  test('are found once their lease has ended, the oldest first', async () => {
    const { deletions, intend, list } = bed();
    const [first, second, third] = [await list('a'), await list('b'), await list('c')];
    await intend(second.id, 'dead', plus(1));
    const dead = given(await intend(first.id, 'dead'));
    const alive = given(await intend(third.id, 'alive', plus(500)));
    expect(await due(plus(LEASE_MS - 1))).toBe(0);
    expect(await claim({ owner: 'sweep', now: plus(LEASE_MS - 1) })).toEqual([]);
    const later = plus(LEASE_MS + 1);
    expect(await due(later)).toBe(2);
    const claimed = await claim({ owner: 'sweep', now: later, limit: 1 });
    expect(keysOf(claimed)).toEqual([first.id]);
    expect(keysOf(await claim({ owner: 'sweep', now: later, limit: 10 }))).toEqual([second.id]);
    expect(await claim({ owner: 'sweep', now: later })).toEqual([]);
    const completion = { scope: 'LOCAL', now: later } as const;
    expect(await deletions.complete(dead.job, completion, LEASE_MS)).toBeNull();
    expect(await deletions.complete(soleJob(claimed), completion, LEASE_MS)).toMatchObject({
      media: { id: first.id, status: 'DELETED' },
      removal: { owner: 'sweep' },
    });
    expect(await deletions.complete(alive.job, completion, LEASE_MS)).not.toBeNull();
  });

  test('are jobs of their media with a number of attempts', async () => {
    const { deletions, found, intend, listStored } = bed();
    const { id } = await listStored('a');
    const { job } = given(await intend(id, 'dead'));
    const claimed = soleJob(await claim({ owner: 'sweep', now: plus(LEASE_MS) }));
    expect(claimed).toEqual({
      ...{ id: job.id, owner: 'sweep', kind: 'deletion', tenant: TENANT, key: id, channelId: 'support' },
      ...{ attempts: 2, since: NOW, payload: null, suspect: true, interruptions: 1, deaths: 0 },
    });
    expect((await deletions.findMedia([claimed])).get(claimed)).toEqual(await found(id));
    const gone = { ...claimed, key: 'an id of no media' };
    expect((await deletions.findMedia([gone])).size).toBe(0);
  });

  test('are found by one of twenty sweeps at once', async () => {
    const { intend, list } = bed();
    const names = Array.from({ length: 40 }, (_, index) => `m${index}`);
    for (const name of names) await intend((await list(name)).id, 'dead');
    const replicas = [engine.shared(), engine.replica()];
    const now = plus(LEASE_MS);
    const claims = await Promise.all(
      Array.from({ length: CALLERS }, (_, index) =>
        claimJobs(replicas[index % 2] ?? engine.shared(), 'deletion', { owner: `sweep ${index}`, now, limit: 3 }),
      ),
    );
    expect(claims.every((claimed) => claimed.length <= 3)).toBe(true);
    // Claims at once may pass over what another is just taking; the rest is there.
    const taken = keysOf([...claims.flat(), ...(await claim({ owner: 'the last', now }))]);
    expect([taken.length, new Set(taken).size]).toEqual([40, 40]);
  });

  test('are continued by a caller or by a worker, not by both', async () => {
    const { claimOf, deletions, list, intend } = bed();
    const replica = new SqlDeletions(engine.replica());
    const now = plus(LEASE_MS);
    for (let round = 0; round < 10; round++) {
      const { id } = await list(`round ${round}`);
      const dead = given(await intend(id, 'dead'));
      const [begun, claimed] = await Promise.all([
        replica.intend(TENANT, id, claimOf('caller', now)),
        claim({ owner: 'worker', now }),
      ]);
      expect((begun ? 1 : 0) + claimed.length).toBe(1);
      const completions = [dead.job, ...(begun ? [begun.job] : []), ...claimed];
      const ends = await Promise.all(completions.map((job) => deletions.complete(job, { ...LOCAL, now }, LEASE_MS)));
      expect(ends.map((end) => end !== null)).toEqual([false, true]);
    }
  });

  test('can be continued by a caller after a worker has released them', async () => {
    const { found, intend, list } = bed();
    const { id } = await list('a');
    await intend(id, 'dead');
    await claim({ owner: 'worker', now: plus(LEASE_MS) });
    expect(await intend(id, 'caller', plus(LEASE_MS + 1))).toBeNull();
    await jobStoreOf(engine.shared(), { owner: 'worker', now: plus(LEASE_MS + 1) }).release(['deletion']);
    expect(given(await intend(id, 'caller', plus(LEASE_MS + 1))).media).toEqual(await found(id));
  });

  test('are found at once by a process that is the only one', async () => {
    const { intend, list } = bed();
    const { id } = await list('a');
    await list('b');
    await intend(id, 'dead');
    expect(await claim({ owner: 'alive', now: NOW })).toEqual([]);
    await jobStoreOf(engine.shared(), { owner: 'alive', now: NOW }).abandonLeases();
    expect(keysOf(await claim({ owner: 'alive', now: NOW }))).toEqual([id]);
  });
}

function completions(engine: EngineBed, bed: () => DeletionBed): void {
  test('is final', async () => {
    const { catalogue, deletions, found, intend, keep, list, listStored, remove } = bed();
    const { id } = await listStored('a');
    const { media } = given(await remove(id, 'PROVIDER', plus(5)));
    expect(media).toMatchObject({ status: 'DELETED', deletionScope: 'PROVIDER', stored: null, updatedAt: plus(5) });
    expect(await found(id)).toEqual(media);
    expect(await remove(id, 'LOCAL', plus(6))).toBeNull();
    expect(await keep(id, plus(6))).toEqual({ media: null, isNamed: false });
    await list('a', { caption: 'listed still' });
    await catalogue.recordAnnouncement(TENANT, [reportedMedia({ providerMessageId: 'a' })], {
      mirror: true,
      now: plus(7),
      retainedUntil: null,
    });
    expect(await found(id)).toEqual(media);
    expect(await claimCopies(engine.shared(), { owner: 'm', now: plus(99_999) })).toEqual([]);
    // Also with an intent that was noted before.
    const other = await list('b');
    const { job } = given(await intend(other.id, 'a'));
    const [once, twice] = [
      await deletions.complete(job, LOCAL, LEASE_MS),
      await deletions.complete(job, LOCAL, LEASE_MS),
    ];
    expect([once?.media.status, twice]).toEqual(['DELETED', null]);
  });

  test('ends a copy, and its worker sees that', async () => {
    const { catalogue, found, remove } = bed();
    const copies = new SqlCopies(engine.shared());
    const copied = reportedMedia({ providerMessageId: 'copied' });
    const waiting = reportedMedia({ providerMessageId: 'waiting' });
    const recording = { mirror: true, now: NOW, retainedUntil: null };
    await catalogue.recordAnnouncement(TENANT, [copied], recording);
    const { job, media } = soleJob(await claimCopies(engine.shared(), { owner: 'm', now: NOW }));
    await catalogue.recordAnnouncement(TENANT, [waiting], recording);
    await remove(copied.id);
    await remove(waiting.id);
    expect((await jobStoreOf(engine.shared(), { owner: 'm', now: NOW }).renew([job])).size).toBe(0);
    const bytes = { stored: storedBytes(), details: {} };
    expect(await copies.finish(job, media, bytes, NOW)).toEqual({ media: null, isNamed: false });
    const failure = { code: 'PROVIDER_UNAVAILABLE', message: 'again', retryable: true, at: NOW } as const;
    await copies.retry(job, { dueAt: NOW, failure, isFailed: true }, NOW);
    await copies.fail(job, { status: 'FAILED', failure });
    await jobStoreOf(engine.shared(), { owner: 'm', now: NOW }).release(['copy']);
    expect(await claimCopies(engine.shared(), { owner: 'm', now: plus(99_999) })).toEqual([]);
    expect(await found(copied.id)).toMatchObject({ status: 'DELETED', stored: null, failure: null });
    expect(await catalogue.counts()).toMatchObject({ mediaByStatus: { DELETED: 2 }, mirrorsDue: 0 });
  });

  test('ends an upload, and forgets the source of one that has failed', async () => {
    const { remove } = bed();
    const uploads = new SqlUploads(engine.shared());
    const { media: failed, job } = await begunUpload(engine.shared(), { now: NOW });
    await uploads.fail(job, { code: 'SOURCE_FAILED', message: 'no', retryable: true, at: NOW });
    const { media } = await begunUpload(engine.shared(), { now: NOW });
    const { media: kept } = await begunUpload(engine.shared(), { now: NOW });
    for (const { id } of [failed, media])
      expect(await remove(id)).toMatchObject({ media: { status: 'DELETED', uploaded: true } });
    expect(
      ids((await claimUploads(engine.shared(), { owner: 'next', now: plus(9_999) })).map((one) => one.media)),
    ).toEqual([kept.id]);
    expect(await uploads.retryFailed(TENANT, failed.id, NOW)).toBeNull();
    expect(await uploads.forgetFailed(plus(1))).toBe(0);
  });

  test('ends the pending inspection of stored bytes', async () => {
    const { listStored, remove } = bed();
    const [deleted, kept] = [await listStored('a'), await listStored('b')];
    await remove(deleted.id);
    const inspections = await claimJobs(engine.shared(), 'inspection', { owner: 'next', now: plus(99_999) });
    expect(keysOf(inspections)).toEqual([kept.id]);
  });
}

function removals(engine: EngineBed, bed: () => DeletionBed): void {
  const store = (owner: string, now: Date) => jobStoreOf(engine.shared(), { owner, now });
  const claim = (process: JobProcess) => claimJobs(engine.shared(), 'removal', process);
  const due = (now: Date) => store('watcher', now).countDue(['removal']);

  test('belongs to the owner of the deletion until it is finished', async () => {
    const { deletions, listStored, remove } = bed();
    const { id } = await listStored('a');
    const { media, removal } = given(await remove(id));
    expect(removal).toEqual({ id: expect.any(Number), owner: REMOVER });
    expect(await claim({ owner: 'worker', now: plus(LEASE_MS - 1) })).toEqual([]);
    expect(await store('worker', NOW).finish({ ...removal, owner: 'worker' })).toBe(false);
    const taken = soleJob(await claim({ owner: 'worker', now: plus(LEASE_MS) }));
    expect(taken).toMatchObject({ tenant: TENANT, key: id, channelId: 'support', attempts: 2 });
    expect((await deletions.findMedia([taken])).get(taken)).toEqual(media);
    expect(await store(REMOVER, NOW).finish(removal)).toBe(false);
    expect(await store('worker', NOW).finish(taken)).toBe(true);
    expect(await claim({ owner: 'worker', now: plus(99_999) })).toEqual([]);
  });

  test('is found after a crash, the oldest first; those of younger deletions and of living media are not', async () => {
    const { intend, listStored, remove, removeWholly } = bed();
    const [left, removed, young, living, older] = [
      await listStored('left'),
      await listStored('removed'),
      await listStored('young'),
      await listStored('living'),
      await listStored('older'),
    ];
    await remove(left.id, 'LOCAL', plus(1));
    await remove(older.id);
    await removeWholly(removed.id);
    await remove(young.id, 'LOCAL', plus(500));
    await intend(living.id, 'a');
    const now = plus(LEASE_MS + 100);
    expect(await due(now)).toBe(2);
    const first = soleJob(await claim({ owner: 'sweep', now, limit: 1 }));
    expect(first.key).toBe(older.id);
    expect(await store('sweep', now).finish(first)).toBe(true);
    expect(keysOf(await claim({ owner: 'sweep', now }))).toEqual([left.id]);
    expect(await due(now)).toBe(0);
  });

  test('is repeated until the CDN has accepted the purge', async () => {
    const { list, listStored, remove } = bed();
    const [second, first] = [await listStored('b'), await list('a')];
    const { removal } = given(await remove(first.id));
    await store(REMOVER, NOW).retry(removal, plus(100), 'the CDN could not be purged');
    const other = given(await remove(second.id, 'LOCAL', plus(1)));
    await store(REMOVER, NOW).retry(other.removal, plus(200), 'the CDN could not be purged');
    expect(await claim({ owner: 'worker', now: plus(99) })).toEqual([]);
    for (const [attempts, at] of [
      [2, 200],
      [3, 300],
    ] as const) {
      const claimed = await claim({ owner: 'worker', now: plus(at) });
      expect(claimed.map((job) => [job.key, job.attempts, job.suspect])).toEqual([
        [first.id, attempts, false],
        [second.id, attempts, false],
      ]);
      for (const job of claimed) await store('worker', plus(at)).retry(job, plus(at + 100), 'not yet');
    }
    for (const job of await claim({ owner: 'worker', now: plus(400) })) await store('worker', plus(400)).finish(job);
    expect(await due(plus(99_999))).toBe(0);
  });

  test('is scheduled once more after the purge, as its first attempt', async () => {
    const { listStored, remove } = bed();
    const { id } = await listStored('a');
    const { removal } = given(await remove(id));
    await store(REMOVER, NOW).reschedule(removal, plus(60_000));
    expect(await claim({ owner: 'worker', now: plus(59_999) })).toEqual([]);
    expect(await claim({ owner: 'worker', now: plus(60_000) })).toMatchObject([
      { key: id, attempts: 1, since: plus(60_000), suspect: false },
    ]);
  });
}

function tombstones(engine: EngineBed, bed: () => DeletionBed): void {
  test('are removed when no listing has the media, and stay hidden while its provider may list it', async () => {
    const { catalogue, deletions, found, list, listStored, remove, removeWholly } = bed();
    const [atProvider, here, young, bytesLeft] = [
      await list('at provider'),
      await list('here', { caption: 'private', filename: 'secret.png', downloadUrl: 'https://cdn.example/secret' }),
      await list('young'),
      await listStored('bytes left'),
    ];
    const upload = await uploadedMedia(engine.shared(), { now: NOW });
    await removeWholly(atProvider.id, 'PROVIDER');
    await removeWholly(here.id);
    await removeWholly(young.id, 'LOCAL', plus(500));
    await remove(bytesLeft.id);
    await removeWholly(upload.id);
    const living = await list('living');

    expect(await deletions.bury(plus(100))).toBe(3);
    expect(await deletions.bury(plus(100))).toBe(0);
    const all = ids([atProvider, here, young, bytesLeft, upload, living]);
    const known = await catalogue.findByIds(TENANT, all);
    expect([...known.keys()].sort()).toEqual(ids([young, bytesLeft, living]).sort());

    // Listed again, it stays what it is; and nothing that was private is kept of it.
    await list('here', { caption: 'private' });
    expect(await found(here.id)).toBeUndefined();
    const key = { channelId: here.channelId, providerMessageId: 'here' };
    const record = (await catalogue.findByMessages(TENANT, [key])).get(formatMessageId(key));
    expect(record?.media).toMatchObject([{ id: here.id, status: 'DELETED', caption: null, filename: null }]);
    expect(record?.media).toMatchObject([{ downloadUrl: null }]);
  });

  test('stay until the removal is over', async () => {
    const { deletions, found, list, remove } = bed();
    const { id } = await list('a');
    const { removal } = given(await remove(id, 'PROVIDER'));
    expect(await deletions.bury(plus(100))).toBe(0);
    await jobStoreOf(engine.shared(), { owner: REMOVER, now: NOW }).reschedule(removal, plus(60_000));
    expect(await deletions.bury(plus(99_999))).toBe(0);
    expect(await found(id)).toMatchObject({ status: 'DELETED' });
    const worker = { owner: 'worker', now: plus(60_000) };
    const again = soleJob(await claimJobs(engine.shared(), 'removal', worker));
    expect(await jobStoreOf(engine.shared(), worker).finish(again)).toBe(true);
    expect(await deletions.bury(plus(100))).toBe(1);
    expect(await found(id)).toBeUndefined();
    expect(await claimJobs(engine.shared(), 'removal', { owner: 'worker', now: plus(99_999) })).toEqual([]);
  });
}
