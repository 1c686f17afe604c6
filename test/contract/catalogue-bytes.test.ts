import { SqlCopies } from '../../src/catalogue/media/copies.js';
import type { StoredBytes } from '../../src/catalogue/media/media-catalogue.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import type { MediaMeasures, MessageMedia } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { claimJobs, LEASE_MS, soleJob } from '../support/jobs.js';
import { catalogueBed, NOW, picture, plus, TENANT } from './catalogue-bed.js';

describeEngines('the catalogue', (engine) => {
  const { catalogue, keep, copyJobs, openJobs, found, list, listUntil, announce } = catalogueBed(engine);

  describe('bytes that a delivery stored', () => {
    test('make the media READY, and end its copy', async () => {
      const media = picture('a');
      await announce([media], true);
      expect(await keep(media.id, { filename: 'a.png' })).toEqual({ isNamed: true });
      const named = { status: 'READY', stored: storedBytes(), filename: 'a.png', mimeType: 'image/png' };
      expect(await found(media.id)).toMatchObject(named);
      expect(await copyJobs()).toEqual([]);
      expect(await catalogue().counts()).toMatchObject({ mirrorsDue: 0 });
    });

    test('end the copy that is under way, whose bytes are not named', async () => {
      const media = picture('a');
      await announce([media], true);
      const { job } = soleJob(await copyJobs());
      await keep(media.id);
      const stored = storedBytes({ key: 'other bytes' });
      expect(await new SqlCopies(engine.shared()).finish(job, media, { stored, details: {} }, NOW)).toMatchObject({
        isNamed: false,
        media: { stored: storedBytes() },
      });
      expect(await openJobs('copy')).toBe(0);
    });

    test('of deleted or unknown media are not recorded', async () => {
      const media = picture('a');
      await list([media]);
      await catalogue().transition(TENANT, media.id, ['READY'], 'DELETED', {}, NOW);
      expect(await keep(media.id)).toEqual({ media: null, isNamed: false });
      expect(await keep('unknown')).toEqual({ media: null, isNamed: false });
      expect(await found(media.id)).toMatchObject({ stored: null });
    });

    test('are found by the names of their rows', async () => {
      const [stored, deleted, bare] = [picture('a'), picture('b'), picture('c')];
      await list([stored, deleted, bare]);
      for (const { id } of [stored, deleted]) await keep(id);
      await catalogue().transition(TENANT, deleted.id, ['READY'], 'DELETED', {}, NOW);
      const names = [
        ...[bare, stored, deleted].map(({ id }) => ({ tenant: TENANT, id })),
        { tenant: 'x', id: stored.id },
      ];
      const { key, sha256 } = storedBytes();
      expect([...(await catalogue().findStored(names))]).toEqual([[names[1], { key, sha256 }]]);
      expect((await catalogue().findStored([])).size).toBe(0);
    });
  });

  describe('bytes that were stored before inspection', () => {
    const MINUTE_MS = 60_000;
    const NONE = { width: null, height: null, durationSeconds: null, thumbHash: null, pageCount: null, still: null };
    const measures: MediaMeasures = { ...NONE, width: 3, height: 2, still: true };
    const keepOf = (id: string, stored: StoredBytes, replacing: string | null = null, now = NOW) =>
      catalogue().markStored(TENANT, id, { stored, details: {}, replacing }, now);
    const inspections = (now: Date) => claimJobs(engine.shared(), 'inspection', { owner: 'a', now });
    const media = picture('a');
    beforeEach(() => list([media]));

    test('are inspected by a job that is due after a minute', async () => {
      await keep(media.id);
      expect(await inspections(plus(MINUTE_MS - 1))).toEqual([]);
      const jobs = await inspections(plus(MINUTE_MS));
      expect(jobs).toMatchObject([{ tenant: TENANT, key: media.id, channelId: 'support', attempts: 1 }]);
      const rows = await new SqlCopies(engine.shared()).findMedia(jobs);
      expect([...rows.values()]).toMatchObject([{ id: media.id, stored: { measures: null } }]);
    });

    test('need no job once the measures are recorded', async () => {
      await keep(media.id);
      const { key } = storedBytes();
      const seen = { key, measures, mimeType: 'video/mp4', kind: 'VIDEO' } as const;
      await catalogue().recordMeasures('another', media.id, seen, NOW);
      await catalogue().recordMeasures(TENANT, media.id, { ...seen, key: 'other bytes' }, NOW);
      expect(await openJobs('inspection')).toBe(1);
      expect(await found(media.id)).toMatchObject({ measures: null, mimeType: 'image/png' });
      await catalogue().recordMeasures(TENANT, media.id, seen, plus(5));
      expect(await openJobs('inspection')).toBe(0);
      expect(await found(media.id)).toMatchObject({
        measures,
        mimeType: 'video/mp4',
        kind: 'VIDEO',
        stored: { measures, mimeType: 'video/mp4' },
        updatedAt: plus(5),
      });
    });

    test('need no job when they come with measures, or when they are not recorded', async () => {
      await keepOf(media.id, storedBytes({ measures }));
      expect(await openJobs('inspection')).toBe(0);
      expect(await keepOf(media.id, storedBytes({ key: 'other bytes' }))).toMatchObject({ isNamed: false });
      expect(await openJobs('inspection')).toBe(0);
    });

    test('that replace lost ones are inspected, too', async () => {
      await keepOf(media.id, storedBytes({ measures }));
      const stored = storedBytes({ key: 'other bytes', sha256: 'cd'.repeat(32) });
      expect(await keepOf(media.id, stored, storedBytes().key, plus(5))).toEqual({ isNamed: true });
      expect(await found(media.id)).toMatchObject({ stored, measures: null, sha256: stored.sha256 });
      expect(await inspections(plus(MINUTE_MS + 4))).toEqual([]);
      expect(await inspections(plus(MINUTE_MS + 5))).toHaveLength(1);
    });

    test('need no job when the media has ended', async () => {
      await keep(media.id);
      await catalogue().transition(TENANT, media.id, ['READY'], 'DELETED', {}, NOW);
      expect(await openJobs('inspection')).toBe(0);
    });
  });

  describe('expiry', () => {
    test('the end of a device expires its media, except stored ones and those of other devices', async () => {
      const of = (path: string, keys: Partial<MessageMedia> = {}) =>
        reportedMedia({ providerMessageId: path, providerMediaId: path, ...keys });
      const [gone, queued, stored] = [of('d_1%/a'), of('d_1%/b'), of('d_1%/c')];
      const others = [of('dX1%/a'), of('d_1x/a'), of('D_1%/a'), of('d_1%/a2', { channelId: 'sales' }), of('d_1\\%/a')];
      await announce([gone, stored, ...others]);
      await announce([queued], true);
      await keep(stored.id);
      expect(await catalogue().expireDevice(TENANT, 'support', 'd_1%/', NOW)).toBe(2);
      expect(await found(gone.id)).toMatchObject({ status: 'EXPIRED' });
      expect(await found(queued.id)).toMatchObject({ status: 'EXPIRED' });
      for (const { id } of [stored, ...others]) expect(await found(id)).toMatchObject({ status: 'READY' });
      expect(await catalogue().expireDevice(TENANT, 'support', 'd_1%/', NOW)).toBe(0);
      expect(await catalogue().counts()).toMatchObject({ mirrorsDue: 0 });
      // The stored bytes still need their inspection.
      expect(await openJobs('inspection')).toBe(1);
    });

    test('media is EXPIRED without bytes when retention is over, or when nothing is stored and the provider no longer has it', async () => {
      const over = picture('over');
      const lost = picture('lost', { availableUntil: NOW });
      const both = picture('both', { availableUntil: NOW });
      const kept = picture('kept', { availableUntil: NOW });
      const later = picture('later', { availableUntil: plus(1) });
      await listUntil(NOW, [over, both]);
      await list([lost, kept]);
      await listUntil(plus(1), [later]);
      for (const { id } of [over, kept]) await keep(id);
      expect(await catalogue().countExpirable(NOW)).toBe(3);
      const expired = await catalogue().expireDue(NOW, 100);
      expect(expired.map(({ providerMediaId }) => providerMediaId).sort()).toEqual(['both', 'lost', 'over']);
      expect(await found(over.id)).toMatchObject({ status: 'EXPIRED', stored: null });
      expect(await found(kept.id)).toMatchObject({ status: 'READY', stored: storedBytes() });
      expect(await found(later.id)).toMatchObject({ status: 'READY' });
      expect(await catalogue().expireDue(NOW, 100)).toEqual([]);
      expect(await catalogue().countExpirable(NOW)).toBe(0);
    });

    test('happens in portions, each media once, from two processes at once', async () => {
      const media = Array.from({ length: 50 }, (_, index) => picture(`p${index}`, { availableUntil: NOW }));
      await listUntil(NOW, media);
      const replicas = [engine.shared(), engine.replica()].map((database) => new SqlMediaCatalogue(database));
      const portions = await Promise.all(
        Array.from({ length: 10 }, (_, index) => (replicas[index % 2] ?? catalogue()).expireDue(NOW, 5)),
      );
      expect(portions.every((portion) => portion.length <= 5)).toBe(true);
      const ids = portions.flat().map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length + (await catalogue().expireDue(NOW, 100)).length).toBe(50);
    });

    test('waits for a copy that is under way while its lease lasts', async () => {
      const media = picture('a', { availableUntil: NOW });
      await announce([media], true);
      const { job } = soleJob(await copyJobs());
      expect(await catalogue().countExpirable(plus(LEASE_MS - 1))).toBe(0);
      expect(await catalogue().expireDue(plus(LEASE_MS - 1), 9)).toEqual([]);
      expect(await catalogue().countExpirable(plus(LEASE_MS))).toBe(1);
      expect(await catalogue().expireDue(plus(LEASE_MS), 9)).toMatchObject([{ id: media.id, status: 'EXPIRED' }]);
      const bytes = { stored: storedBytes(), details: {} };
      const finished = await new SqlCopies(engine.shared()).finish(job, media, bytes, plus(LEASE_MS + 1));
      expect(finished).toEqual({ media: null, isNamed: false });
      expect(await found(media.id)).toMatchObject({ status: 'EXPIRED', stored: null });
      expect(await openJobs('copy')).toBe(0);
    });

    test('ends a copy that waits', async () => {
      await announce([picture('a', { availableUntil: plus(5) }), picture('b')], true);
      expect(await catalogue().expireDue(plus(5), 9)).toHaveLength(1);
      expect(await copyJobs(plus(5))).toMatchObject([{ media: { providerMediaId: 'b' } }]);
      expect(await openJobs('copy')).toBe(1);
    });
  });
});
