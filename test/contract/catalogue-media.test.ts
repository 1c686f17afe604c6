import { SqlCopies } from '../../src/catalogue/media/copies.js';
import type { CataloguedMedia, FoundDetails, StoredBytes } from '../../src/catalogue/media/media-catalogue.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { formatMessageId } from '../../src/model/ids.js';
import type { JobKind } from '../../src/model/job-kind.js';
import { type MediaMeasures, type MessageKey, type MessageMedia, UNKNOWN_DETAILS } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { claimCopies, claimJobs, jobStoreOf, LEASE_MS, soleJob } from '../support/jobs.js';

const TENANT = 'default';
const M1: MessageKey = { channelId: 'support', providerMessageId: 'm1' };
const M2: MessageKey = { channelId: 'support', providerMessageId: 'm2' };
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const BECAUSE = { code: 'PROVIDER_UNAVAILABLE', message: 'because', retryable: true, at: NOW } as const;

/** A media of a message that can have several. */
const picture = (providerMediaId: string, keys: Partial<MessageMedia> = {}) =>
  reportedMedia({ providerMediaId, ...keys });

describeEngines('the catalogue', (bed) => {
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const keep = (id: string, details: FoundDetails = {}) =>
    catalogue().markStored(TENANT, id, { stored: storedBytes(), details, replacing: null }, NOW);
  const copyJobs = (now = NOW, owner = 'a') => claimCopies(bed.shared(), { owner, now });
  /** Jobs that wait or are under way. */
  const openJobs = async (kind: JobKind) =>
    (await jobStoreOf(bed.shared(), { owner: 'counts', now: NOW }).counts())[kind].open;
  const found = async (id: string): Promise<CataloguedMedia> => {
    const media = (await catalogue().findByIds(TENANT, [id])).get(id);
    if (!media) throw new Error('expected a row');
    return media;
  };
  const record = async (key: MessageKey) => (await catalogue().findByMessages(TENANT, [key])).get(formatMessageId(key));
  const list = (media: readonly MessageMedia[], now = NOW, key = M1, retainedUntil: Date | null = null) =>
    catalogue().recordListings(TENANT, [{ key, media }], { now, retainedUntil });
  const listUntil = (retainedUntil: Date, media: readonly MessageMedia[]) => list(media, NOW, M1, retainedUntil);
  const announce = async (media: readonly MessageMedia[], mirror = false, now = NOW): Promise<CataloguedMedia[]> => {
    await catalogue().recordAnnouncement(TENANT, media, { mirror, now, retainedUntil: null });
    const ids = media.map(({ id }) => id);
    const rows = await catalogue().findByIds(TENANT, ids);
    return ids.flatMap((id) => rows.get(id) ?? []);
  };

  describe('finding', () => {
    test('what nobody told of is absent, and nothing costs nothing', async () => {
      expect((await catalogue().findByIds(TENANT, ['unknown'])).size).toBe(0);
      expect((await catalogue().findByMessages(TENANT, [M1])).size).toBe(0);
      expect((await catalogue().findKeysByProviderMessageIds(TENANT, ['m1'])).size).toBe(0);
      expect((await catalogue().findByIds(TENANT, [])).size).toBe(0);
      expect((await catalogue().findByMessages(TENANT, [])).size).toBe(0);
      expect((await catalogue().findKeysByProviderMessageIds(TENANT, [])).size).toBe(0);
    });

    test('what one instance has found it finds anew after any write, whoever made it', async () => {
      const one = new SqlMediaCatalogue(bed.shared());
      const statusOf = async () =>
        (await one.findByMessages(TENANT, [M1, M2])).get(formatMessageId(M1))?.media[0]?.status;
      expect(await statusOf()).toBeUndefined();
      await list([picture('a')]);
      expect(await statusOf()).toBe('READY');
      expect(await statusOf()).toBe('READY');
      await bed.replica().kysely.updateTable('media').set({ status: 'DELETED' }).execute();
      expect(await statusOf()).toBe('DELETED');
      const [found] = await Promise.all([statusOf(), bed.shared().kysely.deleteFrom('media').execute()]);
      expect(['DELETED', undefined]).toContain(found);
      expect(await statusOf()).toBeUndefined();
    });

    test('every field comes back as it was told', async () => {
      const media = picture('wa/1', {
        downloadUrl: 'https://cdn.example/1',
        kind: 'IMAGE',
        mimeType: 'image/png',
        sizeBytes: 2 ** 40,
        sha256: 'cd'.repeat(32),
        filename: 'Grüße 🌻 "{},\\.png',
        caption: '',
        availableUntil: plus(1),
        expiresAt: plus(1),
        voice: true,
        contact: '+4930123456',
        direction: 'OUTBOUND',
      });
      await listUntil(plus(2), [media]);
      expect(await found(media.id)).toEqual({
        ...media,
        stored: null,
        announced: false,
        described: false,
        uploaded: false,
        failure: null,
        deletionScope: null,
        mirrored: false,
        wasReady: true,
        updatedAt: NOW,
        revokedAt: null,
      });
    });

    test('messages have their media in the order of the listing, and the time of it', async () => {
      const media = ['c', 'a', 'b'].map((name) => picture(name));
      await list(media);
      await catalogue().recordListings(TENANT, [{ key: M2, media: [] }], { now: plus(5), retainedUntil: null });
      const records = await catalogue().findByMessages(TENANT, [M2, M1]);
      expect(records.size).toBe(2);
      expect(records.get(formatMessageId(M1))?.media.map(({ providerMediaId }) => providerMediaId)).toEqual([
        'c',
        'a',
        'b',
      ]);
      expect(records.get(formatMessageId(M1))).toMatchObject({ listedAt: NOW, firstSeenAt: NOW, announced: false });
      expect(records.get(formatMessageId(M2))).toEqual({
        media: [],
        listedAt: plus(5),
        firstSeenAt: plus(5),
        announced: false,
      });
      await list([...media].reverse(), plus(9));
      expect((await record(M1))?.media.map(({ providerMediaId }) => providerMediaId)).toEqual(['b', 'a', 'c']);
      expect(await record(M1)).toMatchObject({ listedAt: plus(9), firstSeenAt: NOW });
    });

    test('a message that was announced whole has the order in which it was sent, whatever lists have', async () => {
      const sent = ['c', 'a', 'b'].map((name) => picture(name));
      const order = async () => (await record(M1))?.media.map(({ providerMediaId }) => providerMediaId);
      await list([...sent].reverse());
      expect(await order()).toEqual(['b', 'a', 'c']);
      await announce(sent);
      expect(await order()).toEqual(['c', 'a', 'b']);
      await list([...sent].reverse(), plus(5));
      expect(await order()).toEqual(['c', 'a', 'b']);
    });

    test('media that were announced one by one have the order of the list', async () => {
      const sent = ['c', 'a', 'b'].map((name) => picture(name));
      const order = async () => (await record(M1))?.media.map(({ providerMediaId }) => providerMediaId);
      for (const [index, media] of sent.entries()) await announce([media], false, plus(index));
      expect(await order()).toEqual(['c', 'a', 'b']);
      await list([...sent].reverse(), plus(5));
      expect(await order()).toEqual(['b', 'a', 'c']);
      for (const media of sent) await announce([media], false, plus(9));
      expect(await order()).toEqual(['b', 'a', 'c']);
    });

    test('a message that was only announced was never listed', async () => {
      await announce([picture('a')]);
      expect(await record(M1)).toMatchObject({ listedAt: null, firstSeenAt: NOW, announced: true });
      await list([], plus(7));
      expect(await record(M1)).toMatchObject({
        listedAt: plus(7),
        firstSeenAt: NOW,
        media: [{ providerMediaId: 'a' }],
      });
    });

    test('a tenant sees its own rows only', async () => {
      const mine = reportedMedia();
      await list([mine]);
      for (const other of ['another', '', 'DEFAULT', "default' or true --"]) {
        expect((await catalogue().findByIds(other, [mine.id])).size).toBe(0);
        expect((await catalogue().findByMessages(other, [M1])).size).toBe(0);
        expect((await catalogue().findKeysByProviderMessageIds(other, ['m1'])).size).toBe(0);
        expect(await catalogue().transition(other, mine.id, ['READY'], 'DELETED', {}, NOW)).toBeNull();
        expect(await catalogue().expireDevice(other, 'support', '', NOW)).toBe(0);
        expect((await catalogue().findStored([{ tenant: other, id: mine.id }])).size).toBe(0);
      }
      // The same message of another tenant is another row.
      await catalogue().recordListings(
        'another',
        [{ key: M1, media: [{ ...mine, tenant: 'another', caption: 'x' }] }],
        { now: NOW, retainedUntil: null },
      );
      expect(await found(mine.id)).toMatchObject({ tenant: TENANT, caption: null });
    });

    test('a provider message id leads to its messages in every channel, listed or announced', async () => {
      const elsewhere = { channelId: 'sales', providerMessageId: 'm1' };
      await list([picture('a'), picture('b')]);
      await announce([reportedMedia(elsewhere)]);
      await list([], NOW, M2);
      const keys = await catalogue().findKeysByProviderMessageIds(TENANT, ['m1', 'm2', 'm3']);
      expect(keys.get('m1')).toEqual([elsewhere, M1]);
      expect(keys.get('m2')).toEqual([M2]);
      expect(keys.has('m3')).toBe(false);
    });
  });

  describe('recording', () => {
    test('null never takes the place of what is known; news does', async () => {
      await list([picture('a', { caption: 'first', mimeType: 'image/png', downloadUrl: 'https://a/1' })]);
      await list([picture('a', { filename: 'a.png', downloadUrl: 'https://a/2' })], plus(1));
      expect(await found(picture('a').id)).toMatchObject({
        caption: 'first',
        mimeType: 'image/png',
        filename: 'a.png',
        downloadUrl: 'https://a/2',
      });
    });

    test('what was measured outlasts later claims', async () => {
      const media = picture('a', { mimeType: 'image/jpeg', sizeBytes: 9, kind: 'IMAGE' });
      await list([media]);
      await keep(media.id, { mimeType: 'image/png' });
      await list([{ ...media, kind: 'DOCUMENT', caption: 'new' }], plus(1));
      expect(await found(media.id)).toMatchObject({
        mimeType: 'image/png',
        sizeBytes: 3,
        sha256: 'ab'.repeat(32),
        kind: 'IMAGE',
        caption: 'new',
        stored: storedBytes(),
      });
    });

    test('a retention is set once: asking again does not prolong it', async () => {
      await list([picture('a')]);
      await listUntil(plus(10), [picture('a')]);
      await listUntil(plus(20), [picture('a')]);
      expect(await found(picture('a').id)).toMatchObject({ expiresAt: plus(10) });
    });

    test('the end is the first of the two that are known; of stored bytes it is the end of retention', async () => {
      const media = picture('a', { availableUntil: plus(5) });
      await listUntil(plus(10), [media]);
      expect(await found(media.id)).toMatchObject({ expiresAt: plus(5) });
      await keep(media.id);
      expect(await found(media.id)).toMatchObject({ expiresAt: plus(10) });
    });

    test('what a provider told when it was asked fills what is unknown, once and for all', async () => {
      const media = picture('a', { kind: 'STICKER' });
      await list([media]);
      const told = { ...UNKNOWN_DETAILS, kind: 'IMAGE', filename: 'note.pdf', caption: null } as const;
      const unknown = { id: 'unknown', details: UNKNOWN_DETAILS };
      await catalogue().recordDescriptions(TENANT, [unknown, { id: media.id, details: told }], NOW);
      expect(await found(media.id)).toMatchObject({
        described: true,
        kind: 'STICKER',
        filename: 'note.pdf',
        caption: null,
      });
      await catalogue().recordDescriptions('another', [{ id: media.id, details: { ...told, caption: 'x' } }], NOW);
      await catalogue().recordDescriptions(TENANT, [], NOW);
      expect(await found(media.id)).toMatchObject({ filename: 'note.pdf', caption: null });
    });

    test('a row in which nothing changes is not written', async () => {
      await list([picture('a')]);
      await announce([picture('b')], true);
      const updatedAt = () => bed.shared().kysely.selectFrom('media').select('updated_at').execute();
      const before = await updatedAt();
      await list([picture('a')], plus(1));
      await announce([picture('b')], true, plus(1));
      expect(await updatedAt()).toEqual(before);
    });

    test('the same media twice in one batch, and the same message', async () => {
      const media = picture('a');
      await catalogue().recordListings(
        TENANT,
        [
          { key: M1, media: [media, { ...media, caption: 'last' }] },
          { key: M1, media: [media, { ...media, caption: 'last' }] },
        ],
        { now: NOW, retainedUntil: null },
      );
      expect((await record(M1))?.media).toMatchObject([{ caption: 'last' }]);
      expect(await announce([media, media])).toHaveLength(2);
    });

    test('nothing to record', async () => {
      await catalogue().recordListings(TENANT, [], { now: NOW, retainedUntil: null });
      expect(await announce([])).toEqual([]);
    });

    test('a text with U+0000, which PostgreSQL cannot hold, fails nothing', async () => {
      await announce([picture('a', { caption: 'a\0b', filename: '\0' })]);
      expect(await found(picture('a').id)).toMatchObject({ caption: 'ab', filename: '' });
    });

    test('a listing says READY of what was PENDING, and what is to be copied still is', async () => {
      await announce([picture('a', { status: 'PENDING' })]);
      await announce([picture('b')], true);
      await list([picture('a'), picture('b')]);
      const media = (await record(M1))?.media ?? [];
      expect(media.map(({ status, mirrored }) => [status, mirrored])).toEqual([
        ['READY', false],
        ['READY', true],
      ]);
      expect(await catalogue().counts()).toMatchObject({ mirrorsDue: 1 });
      await list([picture('a', { status: 'PENDING' })]);
      expect(await found(picture('a').id)).toMatchObject({ status: 'READY' });
    });

    test.each(['DELETED', 'EXPIRED'] as const)('%s media stays as it is, whoever tells of it', async (end) => {
      const media = picture('a');
      await list([media]);
      await catalogue().transition(TENANT, media.id, ['READY'], end, {}, NOW);
      const before = await found(media.id);
      await list([{ ...media, caption: 'again' }]);
      expect(await announce([{ ...media, caption: 'again' }], true)).toEqual([before]);
      expect((await record(M1))?.media).toEqual([before]);
    });

    test('FAILED media is revived by whoever announces it again, as far as its bytes are not here', async () => {
      const [copied, opened] = [picture('a'), picture('b')];
      await announce([copied], true);
      await announce([opened]);
      for (const { id } of [copied, opened])
        await catalogue().transition(TENANT, id, ['PENDING', 'READY'], 'FAILED', { failure: BECAUSE }, NOW);
      await announce([copied], true);
      await announce([opened]);
      expect(await found(copied.id)).toMatchObject({ status: 'PENDING', failure: null, mirrored: true });
      expect(await found(opened.id)).toMatchObject({ status: 'READY', failure: null, mirrored: false });
      expect(await catalogue().counts()).toMatchObject({ mirrorsDue: 1 });
    });

    test('FAILED media of a copy is not revived by a listing', async () => {
      const media = picture('a');
      await announce([media], true);
      await catalogue().transition(TENANT, media.id, ['PENDING'], 'FAILED', { failure: BECAUSE }, NOW);
      await list([media]);
      expect(await found(media.id)).toMatchObject({ status: 'FAILED', failure: BECAUSE });
    });
  });

  describe('announcing', () => {
    test('without copying: the status that was told, and PENDING becomes READY', async () => {
      const media = picture('a', { status: 'PENDING' });
      expect(await announce([media])).toMatchObject([{ status: 'PENDING', announced: true, mirrored: false }]);
      expect(await announce([{ ...media, status: 'READY' }])).toMatchObject([{ status: 'READY', mirrored: false }]);
      expect(await announce([media])).toMatchObject([{ status: 'READY' }]);
    });

    test('with copying: PENDING until the bytes are here, due once they are at the provider, or in a second', async () => {
      const media = picture('a', { status: 'PENDING' });
      expect(await announce([media], true)).toMatchObject([{ status: 'PENDING', mirrored: true }]);
      expect(await copyJobs(plus(999))).toEqual([]);
      expect(await announce([{ ...media, status: 'READY' }], true)).toMatchObject([
        { status: 'PENDING', mirrored: true },
      ]);
      expect(await copyJobs(NOW)).toMatchObject([{ media: { id: media.id } }]);
    });

    test('with copying: what is announced as PENDING alone is due in a second', async () => {
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

    test('with copying: what a listing called READY stays READY, and is copied; so does what is stored', async () => {
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
      const replicas = [bed.shared(), bed.replica()].map((database) => new SqlMediaCatalogue(database));
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

    test('are for all media of their messages, the last edit and the first withdrawal of each', async () => {
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

    test('of thousands at once, from two processes in two orders', async () => {
      const keys = Array.from({ length: 2_000 }, (_, nth) => ({
        channelId: 'support',
        providerMessageId: `many-${nth}`,
      }));
      await announce(keys.map((key) => reportedMedia(key)));
      const changes = keys.map((key) => revoked(key, plus(1)));
      const other = new SqlMediaCatalogue(bed.replica());
      const counts = await Promise.all([
        catalogue().applyMessageChanges(TENANT, changes, plus(2)),
        other.applyMessageChanges(TENANT, [...changes].reverse(), plus(2)),
      ]);
      expect(counts).toEqual([2_000, 2_000]);
    });
  });

  describe('a transition', () => {
    test('happens from the named statuses only, once', async () => {
      const media = picture('a');
      await list([media]);
      expect(await catalogue().transition(TENANT, media.id, ['PENDING', 'FAILED'], 'DELETED', {}, NOW)).toBeNull();
      expect(await catalogue().transition(TENANT, media.id, [], 'DELETED', {}, NOW)).toBeNull();
      expect(await catalogue().transition(TENANT, 'unknown', ['READY'], 'DELETED', {}, NOW)).toBeNull();
      const replicas = [bed.shared(), bed.replica()].map((database) => new SqlMediaCatalogue(database));
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (replicas[index % 2] ?? catalogue()).transition(TENANT, media.id, ['READY'], 'DELETED', {}, NOW),
        ),
      );
      expect(outcomes.filter((outcome) => outcome !== null)).toMatchObject([{ status: 'DELETED' }]);
    });

    test('patches what is named, with null too, and leaves the rest', async () => {
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

    test('to an end ends the jobs of the media, also under way, and no other', async () => {
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

    test('that is no end leaves the jobs', async () => {
      const media = picture('a');
      await announce([media], true);
      await catalogue().transition(TENANT, media.id, ['PENDING'], 'READY', {}, NOW);
      expect(await copyJobs()).toMatchObject([{ media: { id: media.id, status: 'READY' } }]);
    });

    test('of FAILED media back to READY ends its copy, which is not needed', async () => {
      const media = picture('a');
      await announce([media], true);
      const { job } = soleJob(await copyJobs());
      await new SqlCopies(bed.shared()).retry(job, { dueAt: plus(9), failure: BECAUSE, isFailed: true }, NOW);
      expect(await catalogue().retryFailed(TENANT, media.id, { copy: false, now: plus(1) })).toMatchObject({
        status: 'READY',
        failure: null,
      });
      expect(await openJobs('copy')).toBe(0);
      expect(await catalogue().retryFailed(TENANT, media.id, { copy: true, now: plus(1) })).toBeNull();
    });
  });

  describe('bytes that were kept in passing', () => {
    test('make it READY, and it is not copied', async () => {
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
      expect(await new SqlCopies(bed.shared()).finish(job, media, { stored, details: {} }, NOW)).toMatchObject({
        isNamed: false,
        media: { stored: storedBytes() },
      });
      expect(await openJobs('copy')).toBe(0);
    });

    test('of media that is deleted, or unknown, belong to nobody', async () => {
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

  describe('bytes that were stored before they were looked at', () => {
    const MINUTE_MS = 60_000;
    const NONE = { width: null, height: null, durationSeconds: null, thumbHash: null, pageCount: null, still: null };
    const measures: MediaMeasures = { ...NONE, width: 3, height: 2, still: true };
    const keepOf = (id: string, stored: StoredBytes, replacing: string | null = null, now = NOW) =>
      catalogue().markStored(TENANT, id, { stored, details: {}, replacing }, now);
    const inspections = (now: Date) => claimJobs(bed.shared(), 'inspection', { owner: 'a', now });
    const media = picture('a');
    beforeEach(() => list([media]));

    test('are looked at by a job, where a minute later they still were not', async () => {
      await keep(media.id);
      expect(await inspections(plus(MINUTE_MS - 1))).toEqual([]);
      const jobs = await inspections(plus(MINUTE_MS));
      expect(jobs).toMatchObject([{ tenant: TENANT, key: media.id, channelId: 'support', attempts: 1 }]);
      const rows = await new SqlCopies(bed.shared()).findMedia(jobs);
      expect([...rows.values()]).toMatchObject([{ id: media.id, stored: { measures: null } }]);
    });

    test('need no job once they were, with what was found', async () => {
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

    test('need no job where they come with what was found, nor where they are not named', async () => {
      await keepOf(media.id, storedBytes({ measures }));
      expect(await openJobs('inspection')).toBe(0);
      expect(await keepOf(media.id, storedBytes({ key: 'other bytes' }))).toMatchObject({ isNamed: false });
      expect(await openJobs('inspection')).toBe(0);
    });

    test('that take the place of lost ones are looked at, too', async () => {
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

  describe('ends', () => {
    test('a device takes its media with it, but not what is stored here, and no other device', async () => {
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
      // The bytes that are here were not looked at yet.
      expect(await openJobs('inspection')).toBe(1);
    });

    test('retention over, or nothing stored and the provider has it no more: EXPIRED, and nothing is stored', async () => {
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

    test('in portions, each media once, from two processes at once', async () => {
      const media = Array.from({ length: 50 }, (_, index) => picture(`p${index}`, { availableUntil: NOW }));
      await listUntil(NOW, media);
      const replicas = [bed.shared(), bed.replica()].map((database) => new SqlMediaCatalogue(database));
      const portions = await Promise.all(
        Array.from({ length: 10 }, (_, index) => (replicas[index % 2] ?? catalogue()).expireDue(NOW, 5)),
      );
      expect(portions.every((portion) => portion.length <= 5)).toBe(true);
      const ids = portions.flat().map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length + (await catalogue().expireDue(NOW, 100)).length).toBe(50);
    });

    test('a copy that is under way may still bring the bytes that the provider drops', async () => {
      const media = picture('a', { availableUntil: NOW });
      await announce([media], true);
      const { job } = soleJob(await copyJobs());
      expect(await catalogue().countExpirable(plus(LEASE_MS - 1))).toBe(0);
      expect(await catalogue().expireDue(plus(LEASE_MS - 1), 9)).toEqual([]);
      expect(await catalogue().countExpirable(plus(LEASE_MS))).toBe(1);
      expect(await catalogue().expireDue(plus(LEASE_MS), 9)).toMatchObject([{ id: media.id, status: 'EXPIRED' }]);
      const bytes = { stored: storedBytes(), details: {} };
      const finished = await new SqlCopies(bed.shared()).finish(job, media, bytes, plus(LEASE_MS + 1));
      expect(finished).toEqual({ media: null, isNamed: false });
      expect(await found(media.id)).toMatchObject({ status: 'EXPIRED', stored: null });
      expect(await openJobs('copy')).toBe(0);
    });

    test('a copy that waits ends with its media', async () => {
      await announce([picture('a', { availableUntil: plus(5) }), picture('b')], true);
      expect(await catalogue().expireDue(plus(5), 9)).toHaveLength(1);
      expect(await copyJobs(plus(5))).toMatchObject([{ media: { providerMediaId: 'b' } }]);
      expect(await openJobs('copy')).toBe(1);
    });
  });
});
