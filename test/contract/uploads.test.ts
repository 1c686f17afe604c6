import { randomUUID } from 'node:crypto';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { type Reserved, SqlUploads, type UploadJob, type UploadReservation } from '../../src/catalogue/uploads.js';
import type { Database } from '../../src/database/database.js';
import { formatMessageId } from '../../src/model/ids.js';
import type { MediaId } from '../../src/model/media.js';
import { describeEngines, type EngineBed, listing, reportedMedia, storedBytes } from '../support/databases.js';
import { begunUpload } from '../support/deletions.js';
import { claimJobs, claimUploads, jobStoreOf, LEASE_MS, soleJob } from '../support/jobs.js';
import { createdBy, OWNER, reservation, uploadedBytes } from '../support/uploads.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const DAY_MS = 24 * 60 * 60 * 1000;
const FAILURE = { code: 'SOURCE_FAILED', message: 'the source answered 404', retryable: true, at: NOW } as const;
const CALLERS = 20;
/** A race that is lost once in ten is lost in one of these. */
const ROUNDS = 10;
/** PostgreSQL holds no U+0000 in a text. */
const NUL = '\0';

const uploadBed = (engine: EngineBed) => {
  const uploads = new SqlUploads(engine.shared());
  const catalogue = new SqlMediaCatalogue(engine.shared());
  const reserve = (keys: Partial<UploadReservation> = {}): Promise<Reserved> =>
    uploads.reserve(reservation({ now: NOW, ...keys }));
  const begin = (keys: Partial<UploadReservation> = {}): Promise<UploadJob> =>
    begunUpload(engine.shared(), { now: NOW, ...keys });
  return {
    uploads,
    catalogue,
    reserve,
    keyed: (key: string, keys: Partial<UploadReservation> = {}): Promise<Reserved> =>
      reserve({ idempotency: { key, inputSha256: 'aa' }, ...keys }),
    begin,
    beginKeyed: (key: string): Promise<UploadJob> => begin({ idempotency: { key, inputSha256: 'aa' } }),
    claim: (owner: string, now = NOW, limit = 100, from: Database = engine.shared()): Promise<UploadJob[]> =>
      claimUploads(from, { owner, now, limit }),
    found: async (id: MediaId) => (await catalogue.findByIds(TENANT, [id])).get(id),
  };
};

describeEngines('uploads', (engine) => {
  describe('are reserved', () => reservations(engine));
  describe('have keys', () => keys(engine));
  describe('are jobs', () => jobs(engine));
  describe('end', () => ends(engine));
});

function reservations(engine: EngineBed): void {
  test('as a PENDING media, and a job that is due at once', async () => {
    const { claim, found, reserve } = uploadBed(engine);
    const media = createdBy(
      await reserve({
        providerMessageId: 'm1',
        filename: `beach${NUL}.jpg`,
        mimeType: 'image/jpeg',
        retainedUntil: plus(9_000),
      }),
    );
    expect(media).toMatchObject({
      status: 'PENDING',
      uploaded: true,
      announced: false,
      mirrored: false,
      stored: null,
      providerMessageId: 'm1',
      providerMediaId: null,
      createdAt: NOW,
      expiresAt: plus(9_000),
    });
    expect(await found(media.id)).toEqual(media);
    const first = soleJob(await claim('first'));
    const source = { sourceUrl: 'https://files.example/photo.jpg', filename: 'beach.jpg', mimeType: 'image/jpeg' };
    expect(first).toEqual({ job: first.job, media, ...source });
    expect(first.job).toEqual({
      ...{
        id: expect.any(Number),
        owner: 'first',
        kind: 'upload',
        tenant: TENANT,
        key: media.id,
        channelId: 'support',
      },
      ...{ attempts: 1, since: NOW, payload: source, suspect: false, interruptions: 0, deaths: 0 },
    });
    expect(await claim('another', plus(LEASE_MS - 1))).toEqual([]);
    const taken = soleJob(await claim('another', plus(LEASE_MS)));
    expect(taken.job).toEqual({ ...first.job, owner: 'another', attempts: 2, suspect: true, interruptions: 1 });
  });

  test('for their message, behind what the provider lists, or for none', async () => {
    const { catalogue, reserve } = uploadBed(engine);
    const listed = reportedMedia();
    const key = { channelId: listed.channelId, providerMessageId: 'm1' };
    const media = createdBy(await reserve({ providerMessageId: 'm1' }));
    await reserve();
    await catalogue.recordListings(TENANT, [listing(key, [listed], { now: NOW })], NOW);
    const record = (await catalogue.findByMessages(TENANT, [key])).get(formatMessageId(key));
    expect(record?.media.map(({ id }) => id)).toEqual([listed.id, media.id]);
  });

  test('anew with every call that has no key', async () => {
    const { reserve } = uploadBed(engine);
    const [a, b] = [createdBy(await reserve()), createdBy(await reserve())];
    expect(a.id).not.toBe(b.id);
  });

  test('without a job where a row for their media is missing', async () => {
    const { begin, uploads } = uploadBed(engine);
    const { job } = await begin();
    const other = { ...job, key: 'an id of no media' };
    const foreign = { ...job, tenant: 'another' };
    expect([...(await uploads.findUploads([other, job, foreign])).keys()]).toEqual([job]);
  });
}

function keys(engine: EngineBed): void {
  /** Twenty callers at once, of two replicas. */
  const twentyAtOnce = (key: string): Promise<Reserved[]> => {
    const replicas = [engine.shared(), engine.replica()].map((database) => new SqlUploads(database));
    const idempotency = { key, inputSha256: 'aa' };
    return Promise.all(
      Array.from({ length: CALLERS }, (_, index) =>
        (replicas[index % 2] ?? uploadBed(engine).uploads).reserve(reservation({ now: NOW, idempotency })),
      ),
    );
  };
  /** How many uploads began, and how many media the answers name. */
  const outcome = (answers: readonly Reserved[]): [created: number, media: number] => {
    const ids = answers.map(({ media }) => media.id);
    return [answers.filter((reserved) => reserved.outcome === 'created').length, new Set(ids).size];
  };

  test('that name the same upload for the same input, a conflict for another input, and a separate one per tenant', async () => {
    const { keyed } = uploadBed(engine);
    const first = createdBy(await keyed('k'));
    expect(await keyed('k')).toEqual({ outcome: 'repeated', media: first });
    expect(await keyed('k', { idempotency: { key: 'k', inputSha256: 'bb' } })).toEqual({
      outcome: 'conflict',
      media: first,
    });
    const foreign = createdBy(await keyed('k', { tenant: 'another' }));
    expect([foreign.tenant, foreign.id === first.id]).toEqual(['another', false]);
    expect((await keyed('another key')).outcome).toBe('created');
    const jobs = await claimJobs(engine.shared(), 'upload', { owner: 'a', now: NOW });
    expect(jobs.map(({ tenant }) => tenant)).toEqual([TENANT, 'another', TENANT]);
  });

  test('that return the state of the upload', async () => {
    const { beginKeyed, keyed, uploads } = uploadBed(engine);
    const { job, media } = await beginKeyed('k');
    await uploads.markStored(job, uploadedBytes(), NOW);
    await uploads.finish(job, 'provider-1', NOW);
    expect(await keyed('k')).toMatchObject({
      outcome: 'repeated',
      media: { id: media.id, status: 'READY', providerMediaId: 'provider-1', filename: 'photo.png' },
    });
  });

  test('that can be used again after 24 hours, and once their upload has failed', async () => {
    const { beginKeyed, claim, keyed, uploads } = uploadBed(engine);
    const { media: first } = await beginKeyed('old');
    expect((await keyed('old', { now: plus(DAY_MS - 1) })).outcome).toBe('repeated');
    const second = createdBy(await keyed('old', { now: plus(DAY_MS) }));
    await claim(OWNER, plus(DAY_MS));
    expect(second.id).not.toBe(first.id);
    // From the second use on, not from the first.
    expect(await keyed('old', { now: plus(2 * DAY_MS - 1) })).toMatchObject({ media: { id: second.id } });

    const { job, media: failed } = await beginKeyed('failing');
    await uploads.fail(job, FAILURE);
    const other = { key: 'failing', inputSha256: 'another input' };
    const again = createdBy(await keyed('failing', { idempotency: other }));
    expect(again.id).not.toBe(failed.id);
    expect((await keyed('failing', { idempotency: other })).outcome).toBe('repeated');
  });

  test('of which twenty calls at once make one upload', async () => {
    const { claim } = uploadBed(engine);
    let count = 0;
    for (let round = 0; round < ROUNDS; round++) {
      expect([round, ...outcome(await twentyAtOnce(`round ${round}`))]).toEqual([round, 1, 1]);
      // So that the next round begins with nothing that waits.
      count += (await claim('all that there is')).length;
    }
    expect(count).toBe(ROUNDS);
  });

  test('of which twenty calls at once make one upload when the first has failed', async () => {
    const { beginKeyed, claim, uploads } = uploadBed(engine);
    let count = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const { job } = await beginKeyed(`round ${round}`);
      await uploads.fail(job, FAILURE);
      expect([round, ...outcome(await twentyAtOnce(`round ${round}`))]).toEqual([round, 1, 1]);
      // So that the next round begins with nothing that waits.
      count += (await claim('all that there is')).length;
    }
    expect(count).toBe(ROUNDS);
  });

  test('that are deleted by age', async () => {
    const { keyed, uploads } = uploadBed(engine);
    await keyed('old');
    await keyed('young', { now: plus(1) });
    expect(await uploads.forgetKeys(plus(1))).toBe(1);
    expect((await keyed('young')).outcome).toBe('repeated');
    expect((await keyed('old')).outcome).toBe('created');
  });
}

function jobs(engine: EngineBed): void {
  const store = (owner: string, now = NOW) => jobStoreOf(engine.shared(), { owner, now });

  test('of which a claim gets the oldest first, and twenty at once never the same', async () => {
    const { claim, reserve } = uploadBed(engine);
    const ids: MediaId[] = [];
    for (let n = 0; n < 60; n++) ids.push(createdBy(await reserve({ now: plus(n) })).id);
    const first = await claim('a', plus(100), 5);
    expect(first.map(({ media }) => media.id)).toEqual(ids.slice(0, 5));
    const replicas = [engine.shared(), engine.replica()];
    const claims = await Promise.all(
      Array.from({ length: CALLERS }, (_, index) => claim(`owner ${index}`, plus(100), 4, replicas[index % 2])),
    );
    // Claims at once may pass over what another is just taking; the rest is there.
    const taken = [...first, ...claims.flat(), ...(await claim('the last', plus(100)))].map(({ media }) => media.id);
    expect([taken.length, new Set(taken).size]).toEqual([60, 60]);
    expect(claims.every((claimed) => claimed.length <= 4)).toBe(true);
  });

  test('whose old owner has no effect once the lease was taken over', async () => {
    const { begin, claim, found, uploads } = uploadBed(engine);
    const { job, media } = await begin();
    const fast = soleJob(await claim('fast', plus(LEASE_MS))).job;
    const bytes = uploadedBytes();
    expect(await uploads.markStored(job, bytes, plus(LEASE_MS))).toBe(false);
    expect(await uploads.finish(job, 'p', plus(LEASE_MS))).toBeNull();
    expect(await uploads.fail(job, FAILURE)).toBeNull();
    expect(await found(media.id)).toEqual(media);
    expect(await uploads.markStored(fast, bytes, plus(LEASE_MS))).toBe(true);
    expect(await uploads.finish(fast, 'p', plus(LEASE_MS))).toMatchObject({ status: 'READY' });
  });

  test('whose lease holds when it is renewed, for its owner and for the jobs that are named', async () => {
    const { begin, claim, uploads } = uploadBed(engine);
    const [renewed, other] = [await begin(), await begin({ now: plus(1) })];
    expect([...(await store(OWNER, plus(900)).renew([renewed.job]))]).toEqual([renewed.job]);
    expect((await store('somebody else', plus(9_000)).renew([renewed.job, other.job])).size).toBe(0);
    const claimed = async (at: number) => (await claim('next', plus(at))).map(({ media }) => media.id);
    expect(await claimed(1_899)).toEqual([other.media.id]);
    expect(await claimed(1_900)).toEqual([renewed.media.id]);
    expect((await store(OWNER, plus(99_000)).renew([renewed.job])).size).toBe(0);
    expect(await uploads.finish(renewed.job, null, plus(1_900))).toBeNull();
    expect(await claimed(2_900)).toEqual([renewed.media.id, other.media.id]);
  });

  test('that are due at once when they are released, without counting the attempt; jobs of other processes stay', async () => {
    const { begin, claim, reserve } = uploadBed(engine);
    const { media } = await begin();
    const kept = createdBy(await reserve({ now: plus(1) }));
    await claim('stays', plus(1));
    await store(OWNER).release(['upload']);
    expect(await claim('next')).toMatchObject([{ media: { id: media.id }, job: { attempts: 1, suspect: false } }]);
    await store('next').release(['upload']);
    await store('next').release(['upload']);
    expect(await claim('last', plus(LEASE_MS + 1))).toMatchObject([
      { media: { id: media.id }, job: { attempts: 1, suspect: false } },
      { media: { id: kept.id }, job: { attempts: 2, suspect: true } },
    ]);
  });

  test('whose leases a process ends when it is the only one', async () => {
    const { begin, claim } = uploadBed(engine);
    await begin();
    expect(await claim('alive')).toEqual([]);
    await store('alive').abandonLeases();
    expect(await claim('alive')).toMatchObject([{ job: { attempts: 2, suspect: true } }]);
  });

  test('that pass the stored bytes on to their next owner', async () => {
    const { begin, catalogue, claim, found, uploads } = uploadBed(engine);
    const { job, media } = await begin();
    const bytes = uploadedBytes({ filename: `beach${NUL}.png` });
    expect(await uploads.markStored(job, bytes, plus(1))).toBe(true);
    const { stored } = bytes;
    const known = {
      status: 'PENDING',
      stored,
      mimeType: 'image/png',
      kind: 'IMAGE',
      filename: 'beach.png',
      sizeBytes: stored.sizeBytes,
      sha256: stored.sha256,
    };
    expect(await found(media.id)).toMatchObject(known);
    const name = { tenant: TENANT, id: media.id };
    expect((await catalogue.findStored([name])).get(name)).toEqual({ key: stored.key, sha256: stored.sha256 });
    // What the caller called them is what the next attempt is to fetch.
    expect(await claim('next', plus(LEASE_MS))).toMatchObject([{ media: known, filename: null, mimeType: null }]);
  });
}

function ends(engine: EngineBed): void {
  const claimLater = (owner: string) => claimUploads(engine.shared(), { owner, now: plus(DAY_MS) });

  test('READY, once, with the ids of the provider', async () => {
    const { begin, found, uploads } = uploadBed(engine);
    const { job, media } = await begin();
    await uploads.markStored(job, uploadedBytes(), plus(1));
    const ready = await uploads.finish(job, 'provider-1', plus(2));
    expect(ready).toMatchObject({ status: 'READY', providerMediaId: 'provider-1', stored: storedBytes() });
    expect(await found(media.id)).toEqual(ready);
    expect(await uploads.finish(job, 'provider-2', plus(3))).toBeNull();
    expect(await uploads.fail(job, FAILURE)).toBeNull();
    expect(await claimLater('a')).toEqual([]);
  });

  test('FAILED with a reason, and own no bytes', async () => {
    const { begin, catalogue, found, uploads } = uploadBed(engine);
    const { job, media } = await begin();
    await uploads.markStored(job, uploadedBytes(), plus(1));
    const failure = { ...FAILURE, message: `the source${NUL} answered 404`, at: plus(2) };
    const failed = await uploads.fail(job, failure);
    expect(failed?.key).toBe(uploadedBytes().stored.key);
    expect(failed?.media).toMatchObject({
      status: 'FAILED',
      failure: { ...FAILURE, at: plus(2) },
      stored: null,
    });
    expect(await found(media.id)).toEqual(failed?.media);
    expect((await catalogue.findStored([{ tenant: TENANT, id: media.id }])).size).toBe(0);
    expect(await claimLater('a')).toEqual([]);
  });

  test('FAILED, and start again with the same source when they are retried', async () => {
    const { begin, claim, uploads } = uploadBed(engine);
    const source = { sourceUrl: 'https://files.example/beach', filename: 'beach.jpg', mimeType: 'image/jpeg' };
    const { job, media } = await begin(source);
    await uploads.fail(job, { ...FAILURE, at: plus(1) });
    expect(await uploads.retryFailed('another', media.id, plus(2))).toBeNull();
    expect(await uploads.retryFailed(TENANT, media.id, plus(2))).toMatchObject({ status: 'PENDING', failure: null });
    expect(await uploads.retryFailed(TENANT, media.id, plus(2))).toBeNull();
    const again = soleJob(await claim('next', plus(2)));
    expect(again).toMatchObject({ ...source, media: { id: media.id }, job: { attempts: 1, since: plus(2) } });

    await uploads.fail(again.job, { ...FAILURE, at: plus(3) });
    expect(await uploads.retryFailed(TENANT, media.id, plus(3 + DAY_MS))).toBeNull();
    expect(await uploads.forgetFailed(plus(4))).toBe(1);
    expect(await uploads.retryFailed(TENANT, media.id, plus(4))).toBeNull();
  });

  test('without work when their media was deleted meanwhile', async () => {
    const { begin, found, uploads } = uploadBed(engine);
    const { job, media } = await begin();
    const deletions = new SqlDeletions(engine.shared());
    const begun = await deletions.intend(TENANT, media.id, { owner: randomUUID(), now: NOW, leaseMs: LEASE_MS });
    if (!begun) throw new Error('expected the deletion to begin');
    await deletions.complete(begun.job, { scope: 'LOCAL', now: NOW }, LEASE_MS);
    expect(await uploads.markStored(job, uploadedBytes(), NOW)).toBe(false);
    expect(await uploads.finish(job, 'p', NOW)).toBeNull();
    expect(await uploads.fail(job, FAILURE)).toBeNull();
    expect(await found(media.id)).toMatchObject({ status: 'DELETED', stored: null, failure: null });
    expect(await claimLater('a')).toEqual([]);
  });

  test('only by the lease of their own job', async () => {
    const { begin, found, uploads } = uploadBed(engine);
    const { media, job } = await begin();
    const other = (await begin({ tenant: 'another', id: media.id })).job;
    for (const lease of [
      { id: job.id, owner: other.owner + 1 },
      { id: other.id + 1_000, owner: job.owner },
    ]) {
      expect(await uploads.markStored(lease, uploadedBytes(), NOW)).toBe(false);
      expect(await uploads.finish(lease, 'p', NOW)).toBeNull();
      expect(await uploads.fail(lease, FAILURE)).toBeNull();
    }
    expect(await found(media.id)).toEqual(media);
    // The job of one tenant does nothing to the media of another.
    expect(await uploads.finish(other, 'p', NOW)).toMatchObject({ tenant: 'another', status: 'READY' });
    expect(await found(media.id)).toEqual(media);
  });

  test('by their own time, and their jobs with them', async () => {
    const { begin, catalogue, uploads } = uploadBed(engine);
    const { job, media } = await begin({ retainedUntil: plus(10) });
    expect(await catalogue.expireDue(plus(10), 10)).toMatchObject([{ id: media.id, status: 'EXPIRED' }]);
    expect(await uploads.finish(job, 'p', plus(10))).toBeNull();
    expect(await claimLater('a')).toEqual([]);
  });
}
