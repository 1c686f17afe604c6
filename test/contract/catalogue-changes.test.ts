import { SqlCopies } from '../../src/catalogue/media/copies.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import type { MessageKey } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { LEASE_MS, soleJob } from '../support/jobs.js';
import { BECAUSE, catalogueBed, M1, M2, NOW, picture, plus, TENANT } from './catalogue-bed.js';

describeEngines('the catalogue', (engine) => {
  const { catalogue, keep, copyJobs, openJobs, found, record, list, announce } = catalogueBed(engine);

  describe('announcing', () => {
    test('without copying: the announced status is kept, and PENDING becomes READY', async () => {
      const media = picture('a', { status: 'PENDING' });
      expect(await announce([media])).toMatchObject([{ status: 'PENDING', announced: true, mirrored: false }]);
      expect(await announce([{ ...media, status: 'READY' }])).toMatchObject([{ status: 'READY', mirrored: false }]);
      expect(await announce([media])).toMatchObject([{ status: 'READY' }]);
    });

    test('with copying: PENDING until the bytes are stored, due once the provider has them, or in a second', async () => {
      const media = picture('a', { status: 'PENDING' });
      expect(await announce([media], true)).toMatchObject([{ status: 'PENDING', mirrored: true }]);
      expect(await copyJobs(plus(999))).toEqual([]);
      expect(await announce([{ ...media, status: 'READY' }], true)).toMatchObject([
        { status: 'PENDING', mirrored: true },
      ]);
      expect(await copyJobs(NOW)).toMatchObject([{ media: { id: media.id } }]);
    });

    test('with copying: media announced only as PENDING is due in a second', async () => {
      const media = picture('a', { status: 'PENDING', availableUntil: plus(60_000) });
      await announce([media], true);
      expect(await copyJobs(plus(999))).toEqual([]);
      expect(await copyJobs(plus(1_000))).toMatchObject([
        { job: { kind: 'copy', channelId: 'support', attempts: 1, since: NOW }, media: { id: media.id } },
      ]);
    });

    test('with copying: one job for each media whose bytes are not here, however often it is announced', async () => {
      const [stored, ended, failed, fresh] = [picture('a'), picture('b'), picture('c'), picture('d')];
      await list([stored, ended]);
      await keep(stored.id);
      await catalogue().transition(TENANT, ended.id, ['READY'], 'DELETED', {}, NOW);
      const media = [stored, ended, { ...failed, status: 'FAILED', fault: BECAUSE } as const, fresh, fresh];
      await announce(media, true);
      await announce([...media].reverse(), true, plus(1));
      expect(await copyJobs(plus(1))).toMatchObject([{ job: { since: NOW }, media: { id: fresh.id } }]);
      await announce(media, true, plus(2));
      expect(await copyJobs(plus(2))).toEqual([]);
      expect(await openJobs('copy')).toBe(1);
    });

    test('without copying there is no job', async () => {
      await announce([picture('a')]);
      await list([picture('b')]);
      expect(await openJobs('copy')).toBe(0);
    });

    test('with copying: media that a listing made READY stays READY and is copied; stored media stays READY', async () => {
      const [listed, stored] = [picture('a'), picture('b')];
      await list([listed, stored]);
      await keep(stored.id);
      const announced = await announce([listed, stored], true);
      expect(announced).toMatchObject([
        { status: 'READY', announced: true, mirrored: true },
        { status: 'READY', announced: true, mirrored: false },
      ]);
      expect(await catalogue().counts()).toMatchObject({ mirrorsDue: 1 });
    });

    test('twenty at once make one row', async () => {
      const replicas = [engine.shared(), engine.replica()].map((database) => new SqlMediaCatalogue(database));
      const media = [picture('b'), picture('a'), reportedMedia(M2)];
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (replicas[index % 2] ?? catalogue()).recordAnnouncement(
            TENANT,
            // In both orders: neither may wait for the other's rows while holding its own.
            index % 3 === 0 ? media : [...media].reverse(),
            { mirror: true, now: NOW, retainedUntil: null },
          ),
        ),
      );
      expect((await record(M1))?.media).toHaveLength(2);
      expect(await catalogue().counts()).toMatchObject({ mediaByStatus: { PENDING: 3 }, mirrorsDue: 3 });
    });
  });

  describe('edits and withdrawals', () => {
    const edited = (key: MessageKey, caption: string | null) => ({ type: 'captionEdited', key, caption }) as const;
    const revoked = (key: MessageKey, revokedAt: Date) => ({ type: 'messageRevoked', key, revokedAt }) as const;

    test('apply to all media of their messages: the last edit and the first withdrawal of each', async () => {
      const [one, two] = [picture('1', { caption: 'old' }), picture('2')];
      const other = picture('3', { ...M2, caption: 'other' });
      const third = picture('4', { providerMessageId: 'm3', caption: 'third' });
      await announce([one, two, other, third]);
      const changes = [
        edited(M1, 'first'),
        revoked(M2, plus(1)),
        edited({ channelId: 'support', providerMessageId: 'unknown' }, 'x'),
        edited(M1, 'second\u0000'),
        revoked(M2, plus(2)),
        revoked({ channelId: 'sales', providerMessageId: 'm1' }, plus(3)),
      ];
      expect(await catalogue().applyMessageChanges(TENANT, changes, plus(5))).toBe(2);
      for (const { id } of [one, two])
        expect(await found(id)).toMatchObject({ caption: 'second', revokedAt: null, updatedAt: plus(5) });
      expect(await found(other.id)).toMatchObject({ caption: 'other', revokedAt: plus(1), updatedAt: plus(5) });
      expect(await found(third.id)).toMatchObject({ caption: 'third', revokedAt: null, updatedAt: NOW });
      // Repeated, they change nothing; an edit that takes the caption away is one.
      expect(await catalogue().applyMessageChanges(TENANT, [...changes, edited(M2, null)], plus(9))).toBe(2);
      expect(await found(one.id)).toMatchObject({ updatedAt: plus(5) });
      expect(await found(other.id)).toMatchObject({ caption: null, revokedAt: plus(1), updatedAt: plus(9) });
      expect(await catalogue().applyMessageChanges(TENANT, [], NOW)).toBe(0);
      expect(await catalogue().applyMessageChanges('another', changes, NOW)).toBe(0);
    });

    test('apply to thousands at once, from two processes in opposite orders', async () => {
      const keys = Array.from({ length: 2_000 }, (_, nth) => ({
        channelId: 'support',
        providerMessageId: `many-${nth}`,
      }));
      await announce(keys.map((key) => reportedMedia(key)));
      const changes = keys.map((key) => revoked(key, plus(1)));
      const other = new SqlMediaCatalogue(engine.replica());
      const counts = await Promise.all([
        catalogue().applyMessageChanges(TENANT, changes, plus(2)),
        other.applyMessageChanges(TENANT, [...changes].reverse(), plus(2)),
      ]);
      expect(counts).toEqual([2_000, 2_000]);
    });
  });

  describe('a transition', () => {
    test('happens only from the named statuses, and once', async () => {
      const media = picture('a');
      await list([media]);
      expect(await catalogue().transition(TENANT, media.id, ['PENDING', 'FAILED'], 'DELETED', {}, NOW)).toBeNull();
      expect(await catalogue().transition(TENANT, media.id, [], 'DELETED', {}, NOW)).toBeNull();
      expect(await catalogue().transition(TENANT, 'unknown', ['READY'], 'DELETED', {}, NOW)).toBeNull();
      const replicas = [engine.shared(), engine.replica()].map((database) => new SqlMediaCatalogue(database));
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (replicas[index % 2] ?? catalogue()).transition(TENANT, media.id, ['READY'], 'DELETED', {}, NOW),
        ),
      );
      expect(outcomes.filter((outcome) => outcome !== null)).toMatchObject([{ status: 'DELETED' }]);
    });

    test('patches the named fields, also with null, and keeps the others', async () => {
      const media = picture('a', { caption: 'stays', filename: 'goes.png' });
      await list([media]);
      await keep(media.id);
      const patch = { filename: null, expiresAt: plus(3), failure: BECAUSE, kind: undefined };
      const changed = await catalogue().transition(TENANT, media.id, ['READY'], 'FAILED', patch, NOW);
      expect(changed).toMatchObject({
        caption: 'stays',
        filename: null,
        stored: storedBytes(),
        expiresAt: plus(3),
        failure: BECAUSE,
        sizeBytes: 3,
      });
    });

    test('to a final status ends the jobs of the media, also under way, and no others', async () => {
      const [media, other] = [picture('a'), picture('b')];
      await announce([media, other], true);
      await copyJobs();
      await catalogue().transition(TENANT, media.id, ['PENDING'], 'DELETED', {}, NOW);
      expect(await copyJobs(plus(LEASE_MS), 'b')).toMatchObject([{ media: { id: other.id } }]);
      expect(await catalogue().counts()).toMatchObject({ mediaByStatus: { DELETED: 1, PENDING: 1 }, mirrorsDue: 1 });
      // Of another tenant, the same id is another media.
      expect(await catalogue().transition('another', other.id, ['PENDING'], 'DELETED', {}, NOW)).toBeNull();
      expect(await openJobs('copy')).toBe(1);
    });

    test('to a status that is not final keeps the jobs', async () => {
      const media = picture('a');
      await announce([media], true);
      await catalogue().transition(TENANT, media.id, ['PENDING'], 'READY', {}, NOW);
      expect(await copyJobs()).toMatchObject([{ media: { id: media.id, status: 'READY' } }]);
    });

    test('of FAILED media back to READY ends its copy, which is not needed', async () => {
      const media = picture('a');
      await announce([media], true);
      const { job } = soleJob(await copyJobs());
      await new SqlCopies(engine.shared()).retry(job, { dueAt: plus(9), failure: BECAUSE, isFailed: true }, NOW);
      expect(await catalogue().retryFailed(TENANT, media.id, { copy: false, now: plus(1) })).toMatchObject({
        status: 'READY',
        failure: null,
      });
      expect(await openJobs('copy')).toBe(0);
      expect(await catalogue().retryFailed(TENANT, media.id, { copy: true, now: plus(1) })).toBeNull();
    });
  });
});
