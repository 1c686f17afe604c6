/** The rows of stored media, page by page, and what becomes of those whose bytes are lost. */
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { SqlCopies } from '../../src/catalogue/media/copies.js';
import type { CataloguedMedia } from '../../src/catalogue/media/media-catalogue.js';
import { type LostBytes, type Recovery, SqlStoredMedia } from '../../src/catalogue/stored-media.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { attemptBlobKey } from '../../src/storage/blob-store.js';
import { describeEngines, storedBytes } from '../support/databases.js';
import { begunUpload, deletionBed, uploadedMedia } from '../support/deletions.js';
import { claimCopies, soleJob } from '../support/jobs.js';
import { uploadedBytes } from '../support/uploads.js';
import { catalogueBed, NOW, picture, plus, TENANT } from './catalogue-bed.js';

const FAILURE = { code: 'MEDIA_GONE', message: 'the bytes were lost', retryable: false, at: plus(5) } as const;
const OTHER_KEY = attemptBlobKey(TENANT, 'another');

describeEngines('stored media', (bed) => {
  const { announce, keep, found, openJobs, copyJobs, list } = catalogueBed(bed);
  const storedMedia = () => new SqlStoredMedia(bed.shared());
  const lostOf = async (id: string): Promise<LostBytes> => {
    const { tenant, stored } = await found(id);
    if (!stored) throw new Error('expected stored bytes');
    return { tenant, id, stored };
  };
  const giveUp = async (lost: readonly LostBytes[], onlyCopies = false): Promise<Recovery[]> => [
    ...(await storedMedia().giveUp(lost, { onlyCopies, failure: FAILURE })).values(),
  ];
  const announced = async (name: string, keys: Parameters<typeof picture>[1] = {}) => {
    const media = picture(name, keys);
    await announce([media], true);
    await keep(media.id);
    return media;
  };

  test('is read in pages that have every row once, in one order', async () => {
    const names = Array.from({ length: 7 }, (_, index) => picture(`p${index}`));
    await list(names);
    const pages: string[][] = [];
    let after: CataloguedMedia | null = null;
    do {
      const page: readonly CataloguedMedia[] = await storedMedia().page(after, 3);
      pages.push(page.map(({ id }) => id));
      after = page.at(-1) ?? null;
    } while (after && pages.at(-1)?.length === 3);
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(pages.flat().toSorted()).toEqual(names.map(({ id }) => id).toSorted());
    expect(await storedMedia().page({ tenant: 'zz', id: '' }, 3)).toEqual([]);
  });

  test('whose bytes are lost is PENDING, has a job that copies it, and keeps nothing that was read from them', async () => {
    const media = await announced('a', { sizeBytes: 9 });
    const log = new ChangeLog(bed.shared());
    const { snapshot } = await log.read(null);
    expect(await giveUp([await lostOf(media.id)])).toEqual(['copied']);
    const row = await found(media.id);
    expect(row).toMatchObject({ status: 'PENDING', stored: null, measures: null, failure: null, wasReady: true });
    expect([row.sizeBytes, row.sha256]).toEqual([null, null]);
    expect((await copyJobs(FAILURE.at)).map(({ job }) => [job.key, job.attempts])).toEqual([[media.id, 1]]);
    expect(await openJobs('inspection')).toBe(0);
    expect((await log.read(snapshot)).changes).toMatchObject([{ id: media.id, status: 'PENDING', isStatus: true }]);
  });

  test.each([
    ['announced', storedBytes().sha256, true],
    ['another', 'cd'.repeat(32), false],
  ])('is copied again only with the announced digest: %s', async (_which, sha256, isNamed) => {
    const media = await announced('a', { sha256: storedBytes().sha256 });
    await giveUp([await lostOf(media.id)]);
    const { job } = soleJob(await claimCopies(bed.shared(), { owner: 'copier', now: FAILURE.at }));
    const stored = storedBytes({ key: OTHER_KEY, sha256 });
    const kept = await new SqlCopies(bed.shared()).finish(job, media, { stored, details: {} }, plus(6));
    expect(kept.isNamed).toBe(isNamed);
  });

  test('may be copied with other bytes where no digest was announced', async () => {
    const media = await announced('a');
    await giveUp([await lostOf(media.id)]);
    const { job } = soleJob(await claimCopies(bed.shared(), { owner: 'copier', now: FAILURE.at }));
    const stored = storedBytes({ key: OTHER_KEY, sha256: 'cd'.repeat(32) });
    await new SqlCopies(bed.shared()).finish(job, media, { stored, details: {} }, plus(6));
    expect(await found(media.id)).toMatchObject({ status: 'READY', stored, sha256: stored.sha256 });
  });

  test('that its provider no longer keeps is EXPIRED, without bytes', async () => {
    const media = await announced('a', { availableUntil: FAILURE.at, sha256: storedBytes().sha256 });
    const lost = await lostOf(media.id);
    expect(await giveUp([lost], true)).toEqual(['unchanged']);
    expect(await giveUp([lost])).toEqual(['expired']);
    expect(await found(media.id)).toMatchObject({ status: 'EXPIRED', stored: null, sizeBytes: null, sha256: null });
    expect(await openJobs('copy')).toBe(0);
  });

  test('of an upload is FAILED, unless its provider has it', async () => {
    const here = await uploadedMedia(bed.shared(), { now: NOW });
    const { job, media: there } = await begunUpload(bed.shared(), { now: NOW });
    const uploads = new SqlUploads(bed.shared());
    await uploads.markStored(job, uploadedBytes({ stored: storedBytes({ key: OTHER_KEY }) }), NOW);
    await uploads.finish(job, 'known-to-the-provider', NOW);
    const lost = [await lostOf(here.id), await lostOf(there.id)];
    expect(await giveUp(lost, true)).toEqual(['unchanged', 'copied']);
    expect(await giveUp(lost)).toEqual(['failed', 'unchanged']);
    expect(await found(here.id)).toMatchObject({ status: 'FAILED', stored: null, failure: FAILURE, sha256: null });
    expect(await found(there.id)).toMatchObject({ status: 'PENDING', stored: null, mirrored: true });
    expect((await copyJobs(FAILURE.at)).map(({ job: { key } }) => key)).toEqual([there.id]);
  });

  test('that names other bytes by now, has ended, or is being deleted or uploaded stays as it is', async () => {
    const [other, ended, deleted] = [await announced('a'), await announced('b'), await announced('c')];
    const { deletions, claimOf } = deletionBed(bed.shared(), NOW);
    const lost = await Promise.all([other, ended, deleted].map(({ id }) => lostOf(id)));
    lost[0] = { ...(await lostOf(other.id)), stored: { ...storedBytes(), sha256: 'cd'.repeat(32) } };
    await deletionBed(bed.shared(), NOW).remove(ended.id);
    await deletions.intend(TENANT, deleted.id, claimOf('a deleter'));
    const { job, media: uploading } = await begunUpload(bed.shared(), { now: NOW });
    await new SqlUploads(bed.shared()).markStored(job, uploadedBytes(), NOW);
    lost.push(await lostOf(uploading.id));
    expect(await giveUp(lost)).toEqual(['unchanged', 'unchanged', 'unchanged', 'unchanged']);
    expect(await openJobs('copy')).toBe(0);
    expect(await giveUp([])).toEqual([]);
  });

  test('is given up once, whichever of several processes finds it', async () => {
    const media = await Promise.all(['a', 'b', 'c', 'd'].map((name) => announced(name)));
    const lost = await Promise.all(media.map(({ id }) => lostOf(id)));
    const how = { onlyCopies: false, failure: FAILURE };
    const results = await Promise.all([
      new SqlStoredMedia(bed.shared()).giveUp(lost, how),
      new SqlStoredMedia(bed.replica()).giveUp(lost.toReversed(), how),
    ]);
    for (const one of lost)
      expect(results.map((result) => result.get(one)).toSorted()).toEqual(['copied', 'unchanged']);
    expect(await openJobs('copy')).toBe(4);
  });

  test('that is deleted afterwards is copied no more', async () => {
    const media = await announced('a');
    await giveUp([await lostOf(media.id)]);
    await deletionBed(bed.shared(), NOW).remove(media.id);
    expect(await openJobs('copy')).toBe(0);
  });
});
