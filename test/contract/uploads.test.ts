import { randomUUID } from 'node:crypto';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/sql-media-catalogue.js';
import { type Reserved, SqlUploads, type UploadJob, type UploadReservation } from '../../src/catalogue/uploads.js';
import type { MediaId } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { begun, createdBy, LEASE_MS, OWNER, reservation, uploadedBytes } from '../support/uploads.js';

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

describeEngines('uploads', (bed) => {
  const uploads = () => new SqlUploads(bed.shared());
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const reserve = (keys: Partial<UploadReservation> = {}): Promise<Reserved> =>
    uploads().reserve(reservation({ now: NOW, ...keys }));
  const keyed = (key: string, keys: Partial<UploadReservation> = {}): Promise<Reserved> =>
    reserve({ idempotency: { key, inputSha256: 'aa' }, ...keys });
  const begin = (keys: Partial<UploadReservation> = {}): Promise<UploadJob> => begun(uploads(), { now: NOW, ...keys });
  const beginKeyed = (key: string): Promise<UploadJob> => begin({ idempotency: { key, inputSha256: 'aa' } });
  /** One claim after the other, until there is nothing more or there are so many. */
  const claim = async (owner: string, now = NOW, limit = 100, from = uploads()): Promise<UploadJob[]> => {
    const jobs: UploadJob[] = [];
    while (jobs.length < limit) {
      const job = await from.claim({ owner, now, leaseMs: LEASE_MS }, []);
      if (!job) break;
      jobs.push(job);
    }
    return jobs;
  };
  const found = async (id: MediaId) => (await catalogue().findByIds(TENANT, [id])).get(id);
  /** Twenty callers at once, of two replicas. */
  const twentyAtOnce = (key: string): Promise<Reserved[]> => {
    const replicas = [bed.shared(), bed.replica()].map((database) => new SqlUploads(database));
    const idempotency = { key, inputSha256: 'aa' };
    return Promise.all(
      Array.from({ length: CALLERS }, (_, index) =>
        (replicas[index % 2] ?? uploads()).reserve(reservation({ now: NOW, idempotency })),
      ),
    );
  };
  /** How many uploads began, and how many media the callers were told of. */
  const outcome = (answers: readonly Reserved[]): [created: number, media: number] => {
    const ids = answers.map(({ media }) => media.id);
    return [answers.filter((reserved) => reserved.outcome === 'created').length, new Set(ids).size];
  };

  test('a reservation is a PENDING media, and due at once for whoever claims it', async () => {
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
    const [job] = await claim('first');
    expect(job).toEqual({
      media,
      sourceUrl: 'https://files.example/photo.jpg',
      filename: 'beach.jpg',
      mimeType: 'image/jpeg',
      attempts: 1,
      suspect: false,
      interruptions: 0,
      deaths: 0,
    });
    expect(await claim('another', plus(LEASE_MS - 1))).toEqual([]);
    const [taken] = await claim('another', plus(LEASE_MS));
    expect(taken).toEqual({ ...job, attempts: 2, suspect: true, interruptions: 1 });
  });

  test('belongs to its message, behind what the provider lists, or to none', async () => {
    const listed = reportedMedia();
    const key = { channelId: listed.channelId, providerMessageId: 'm1' };
    const media = createdBy(await reserve({ providerMessageId: 'm1' }));
    await reserve();
    await catalogue().recordListings(TENANT, [{ key, media: [listed] }], { now: NOW, retainedUntil: null });
    const record = (await catalogue().findByMessages(TENANT, [key])).get('support:m1');
    expect(record?.media.map(({ id }) => id)).toEqual([listed.id, media.id]);
  });

  test('the same key is the same upload for the same input, a conflict for another, and another tenant’s own', async () => {
    const first = createdBy(await keyed('k'));
    expect(await keyed('k')).toEqual({ outcome: 'repeated', media: first });
    expect(await keyed('k', { idempotency: { key: 'k', inputSha256: 'bb' } })).toEqual({
      outcome: 'conflict',
      media: first,
    });
    const foreign = createdBy(await keyed('k', { tenant: 'another' }));
    expect([foreign.tenant, foreign.id === first.id]).toEqual(['another', false]);
    expect((await keyed('another key')).outcome).toBe('created');
  });

  test('a repetition tells what has become of the upload', async () => {
    const { media } = await beginKeyed('k');
    await uploads().markStored(TENANT, media.id, OWNER, uploadedBytes(), NOW);
    await uploads().finish(TENANT, media.id, OWNER, 'provider-1', NOW);
    expect(await keyed('k')).toMatchObject({
      outcome: 'repeated',
      media: { id: media.id, status: 'READY', providerMediaId: 'provider-1', filename: 'photo.png' },
    });
  });

  test('without a key every call is a new upload', async () => {
    const [a, b] = [createdBy(await reserve()), createdBy(await reserve())];
    expect(a.id).not.toBe(b.id);
  });

  test('a key is free again after 24 hours, and once its upload has failed', async () => {
    const { media: first } = await beginKeyed('old');
    expect((await keyed('old', { now: plus(DAY_MS - 1) })).outcome).toBe('repeated');
    const second = createdBy(await keyed('old', { now: plus(DAY_MS) }));
    await claim(OWNER, plus(DAY_MS));
    expect(second.id).not.toBe(first.id);
    // From the second use on, not from the first.
    expect(await keyed('old', { now: plus(2 * DAY_MS - 1) })).toMatchObject({ media: { id: second.id } });

    const { media: failed } = await beginKeyed('failing');
    await uploads().fail(TENANT, failed.id, OWNER, FAILURE);
    const other = { key: 'failing', inputSha256: 'another input' };
    const again = createdBy(await keyed('failing', { idempotency: other }));
    expect(again.id).not.toBe(failed.id);
    expect((await keyed('failing', { idempotency: other })).outcome).toBe('repeated');
  });

  test('twenty calls at once with one key make one upload', async () => {
    let jobs = 0;
    for (let round = 0; round < ROUNDS; round++) {
      expect([round, ...outcome(await twentyAtOnce(`round ${round}`))]).toEqual([round, 1, 1]);
      // So that the next round begins with nothing that waits.
      jobs += (await claim('all that there is', plus(LEASE_MS * 1_000))).length;
    }
    expect(jobs).toBe(ROUNDS);
  });

  test('twenty calls at once with the key of an upload that failed make one upload', async () => {
    let jobs = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const { media } = await beginKeyed(`round ${round}`);
      await uploads().fail(TENANT, media.id, OWNER, FAILURE);
      expect([round, ...outcome(await twentyAtOnce(`round ${round}`))]).toEqual([round, 1, 1]);
      // So that the next round begins with nothing that waits.
      jobs += (await claim('all that there is', plus(LEASE_MS * 1_000))).length;
    }
    expect(jobs).toBe(ROUNDS);
  });

  test('claims get the oldest first, and twenty at once never the same', async () => {
    const ids: MediaId[] = [];
    for (let n = 0; n < 60; n++) ids.push(createdBy(await reserve({ now: plus(n) })).id);
    const first = await claim('a', plus(100), 5);
    expect(first.map(({ media }) => media.id)).toEqual(ids.slice(0, 5));
    const replicas = [bed.shared(), bed.replica()].map((database) => new SqlUploads(database));
    const claims = await Promise.all(
      Array.from({ length: CALLERS }, (_, index) => claim(`owner ${index}`, plus(100), 4, replicas[index % 2])),
    );
    // Claims at once may pass over what another is just taking; the rest is there.
    const taken = [...first, ...claims.flat(), ...(await claim('the last', plus(100)))].map(({ media }) => media.id);
    expect([taken.length, new Set(taken).size]).toEqual([60, 60]);
    expect(claims.every((claimed) => claimed.length <= 4)).toBe(true);
  });

  test('a lease that was taken over lets its old owner do no more', async () => {
    const { media } = await begin();
    await claim('fast', plus(LEASE_MS));
    const bytes = uploadedBytes();
    expect(await uploads().markStored(TENANT, media.id, OWNER, bytes, plus(LEASE_MS))).toBe(false);
    expect(await uploads().finish(TENANT, media.id, OWNER, 'p', plus(LEASE_MS))).toBeNull();
    expect(await uploads().fail(TENANT, media.id, OWNER, FAILURE)).toBeNull();
    expect(await found(media.id)).toEqual(media);
    expect(await uploads().markStored(TENANT, media.id, 'fast', bytes, plus(LEASE_MS))).toBe(true);
    expect(await uploads().finish(TENANT, media.id, 'fast', 'p', plus(LEASE_MS))).toMatchObject({ status: 'READY' });
  });

  test('a lease that is renewed holds, for its owner and for what it names', async () => {
    const [renewed, other] = [(await begin()).media, (await begin({ now: plus(1) })).media];
    await uploads().renewLeases(OWNER, [renewed], plus(900), LEASE_MS);
    await uploads().renewLeases('somebody else', [renewed, other], plus(9_000), LEASE_MS);
    const claimed = async (at: number) => (await claim('next', plus(at))).map(({ media }) => media.id);
    expect(await claimed(1_899)).toEqual([other.id]);
    expect(await claimed(1_900)).toEqual([renewed.id]);
    await uploads().renewLeases(OWNER, [renewed], plus(99_000), LEASE_MS);
    expect(await uploads().finish(TENANT, renewed.id, OWNER, null, plus(1_900))).toBeNull();
    expect(await claimed(2_900)).toEqual([renewed.id, other.id]);
  });

  test('what is handed back is anybody’s at once, its attempt not counted; what another holds stays', async () => {
    const { media } = await begin();
    const kept = createdBy(await reserve({ now: plus(1) }));
    await claim('stays', plus(1));
    await uploads().release(OWNER);
    expect(await claim('next')).toMatchObject([{ media: { id: media.id }, attempts: 1 }]);
    await uploads().release('next');
    await uploads().release('next');
    expect(await claim('last', plus(LEASE_MS + 1))).toMatchObject([
      { media: { id: media.id }, attempts: 1 },
      { media: { id: kept.id }, attempts: 2 },
    ]);
  });

  test('whoever knows that it is alone ends every lease', async () => {
    await begin();
    expect(await claim('alive')).toEqual([]);
    expect(await uploads().abandonLeases()).toBe(1);
    expect(await claim('alive')).toMatchObject([{ attempts: 2 }]);
  });

  test('bytes that are here are told to whoever goes on with them', async () => {
    const { media } = await begin();
    const bytes = uploadedBytes({ filename: `beach${NUL}.png` });
    expect(await uploads().markStored(TENANT, media.id, OWNER, bytes, plus(1))).toBe(true);
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
    expect((await catalogue().findStored([name])).get(name)).toEqual({ key: stored.key, sha256: stored.sha256 });
    expect(await claim('next', plus(LEASE_MS))).toMatchObject([{ media: known }]);
  });

  test('ends READY, once, with what the provider calls it', async () => {
    const { media } = await begin();
    await uploads().markStored(TENANT, media.id, OWNER, uploadedBytes(), plus(1));
    const ready = await uploads().finish(TENANT, media.id, OWNER, 'provider-1', plus(2));
    expect(ready).toMatchObject({ status: 'READY', providerMediaId: 'provider-1', stored: storedBytes() });
    expect(await found(media.id)).toEqual(ready);
    expect(await uploads().finish(TENANT, media.id, OWNER, 'provider-2', plus(3))).toBeNull();
    expect(await uploads().fail(TENANT, media.id, OWNER, FAILURE)).toBeNull();
    expect(await claim('anybody', plus(DAY_MS))).toEqual([]);
  });

  test('or FAILED with a reason, and owns no bytes', async () => {
    const { media } = await begin();
    await uploads().markStored(TENANT, media.id, OWNER, uploadedBytes(), plus(1));
    const failure = { ...FAILURE, message: `the source${NUL} answered 404`, at: plus(2) };
    const failed = await uploads().fail(TENANT, media.id, OWNER, failure);
    expect(failed?.key).toBe(uploadedBytes().stored.key);
    expect(failed?.media).toMatchObject({
      status: 'FAILED',
      failure: { ...FAILURE, at: plus(2) },
      stored: null,
    });
    expect(await found(media.id)).toEqual(failed?.media);
    expect((await catalogue().findStored([{ tenant: TENANT, id: media.id }])).size).toBe(0);
    expect(await claim('anybody', plus(DAY_MS))).toEqual([]);
  });

  test('what was deleted meanwhile is nobody’s work any more', async () => {
    const { media } = await begin();
    const deletions = new SqlDeletions(bed.shared());
    const owner = randomUUID();
    await deletions.intend(TENANT, media.id, { owner, now: NOW, leaseMs: LEASE_MS });
    await deletions.complete(TENANT, media.id, owner, { scope: 'LOCAL', purge: false, now: NOW });
    expect(await uploads().markStored(TENANT, media.id, OWNER, uploadedBytes(), NOW)).toBe(false);
    expect(await uploads().finish(TENANT, media.id, OWNER, 'p', NOW)).toBeNull();
    expect(await uploads().fail(TENANT, media.id, OWNER, FAILURE)).toBeNull();
    expect(await found(media.id)).toMatchObject({ status: 'DELETED', stored: null, failure: null });
    expect(await claim('anybody', plus(DAY_MS))).toEqual([]);
  });

  test('a tenant’s uploads are its own', async () => {
    const { media } = await begin();
    expect(await uploads().markStored('another', media.id, OWNER, uploadedBytes(), NOW)).toBe(false);
    expect(await uploads().finish('another', media.id, OWNER, 'p', NOW)).toBeNull();
    expect(await uploads().fail('another', media.id, OWNER, FAILURE)).toBeNull();
    expect(await found(media.id)).toEqual(media);
  });

  test('keys are forgotten by age', async () => {
    await keyed('old');
    await keyed('young', { now: plus(1) });
    expect(await uploads().forgetKeys(plus(1))).toBe(1);
    expect((await keyed('young')).outcome).toBe('repeated');
    expect((await keyed('old')).outcome).toBe('created');
  });
});
