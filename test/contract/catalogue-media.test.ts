import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { formatMessageId } from '../../src/model/ids.js';
import { UNKNOWN_DETAILS } from '../../src/model/media.js';
import { describeEngines, type EngineBed, listing, reportedMedia, storedBytes } from '../support/databases.js';
import { BECAUSE, catalogueBed, M1, M2, NOW, picture, plus, TENANT } from './catalogue-bed.js';

describeEngines('the catalogue', (engine) => {
  describe('finding', () => finding(engine));
  describe('recording', () => recording(engine));
});

function finding(engine: EngineBed): void {
  const { catalogue, found, record, list, listUntil, announce } = catalogueBed(engine);

  test('unknown keys are absent, and empty lists have empty answers', async () => {
    expect((await catalogue().findByIds(TENANT, ['unknown'])).size).toBe(0);
    expect((await catalogue().findByMessages(TENANT, [M1])).size).toBe(0);
    expect((await catalogue().findKeysByProviderMessageIds(TENANT, ['m1'])).size).toBe(0);
    expect((await catalogue().findByIds(TENANT, [])).size).toBe(0);
    expect((await catalogue().findByMessages(TENANT, [])).size).toBe(0);
    expect((await catalogue().findKeysByProviderMessageIds(TENANT, [])).size).toBe(0);
  });

  test('a look-up sees every write since the last one, also of another process', async () => {
    const one = new SqlMediaCatalogue(engine.shared());
    const statusOf = async () =>
      (await one.findByMessages(TENANT, [M1, M2])).get(formatMessageId(M1))?.media[0]?.status;
    expect(await statusOf()).toBeUndefined();
    await list([picture('a')]);
    expect(await statusOf()).toBe('READY');
    expect(await statusOf()).toBe('READY');
    await engine.replica().kysely.updateTable('media').set({ status: 'DELETED' }).execute();
    expect(await statusOf()).toBe('DELETED');
    const [found] = await Promise.all([statusOf(), engine.shared().kysely.deleteFrom('media').execute()]);
    expect(['DELETED', undefined]).toContain(found);
    expect(await statusOf()).toBeUndefined();
  });

  test('every field comes back as it was recorded', async () => {
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
    await catalogue().recordListings(TENANT, [listing(M2, [], { now: plus(5) })], plus(5));
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

  test('a message that was announced as a whole keeps the order of its announcement, not of listings', async () => {
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
    const theirs = { ...mine, tenant: 'another', caption: 'x' };
    await catalogue().recordListings('another', [listing(M1, [theirs], { now: NOW })], NOW);
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
}

function recording(engine: EngineBed): void {
  const { catalogue, keep, found, record, list, listUntil, announce, copyJobs } = catalogueBed(engine);

  test('null never replaces a known value; a new value does', async () => {
    await list([picture('a', { caption: 'first', mimeType: 'image/png', downloadUrl: 'https://a/1' })]);
    await list([picture('a', { filename: 'a.png', downloadUrl: 'https://a/2' })], plus(1));
    expect(await found(picture('a').id)).toMatchObject({
      caption: 'first',
      mimeType: 'image/png',
      filename: 'a.png',
      downloadUrl: 'https://a/2',
    });
  });

  test('measured values outlast later claims', async () => {
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

  test('the end is the earlier of retention and availability; for stored bytes it is the end of retention', async () => {
    const media = picture('a', { availableUntil: plus(5) });
    await listUntil(plus(10), [media]);
    expect(await found(media.id)).toMatchObject({ expiresAt: plus(5) });
    await keep(media.id);
    expect(await found(media.id)).toMatchObject({ expiresAt: plus(10) });
  });

  test('a description by the provider fills unknown fields, once', async () => {
    const media = picture('a', { kind: 'STICKER' });
    await list([media]);
    const description = { ...UNKNOWN_DETAILS, kind: 'IMAGE', filename: 'note.pdf', caption: null } as const;
    const unknown = { id: 'unknown', details: UNKNOWN_DETAILS };
    await catalogue().recordDescriptions(TENANT, [unknown, { id: media.id, details: description }], NOW);
    expect(await found(media.id)).toMatchObject({
      described: true,
      kind: 'STICKER',
      filename: 'note.pdf',
      caption: null,
    });
    await catalogue().recordDescriptions('another', [{ id: media.id, details: { ...description, caption: 'x' } }], NOW);
    await catalogue().recordDescriptions(TENANT, [], NOW);
    expect(await found(media.id)).toMatchObject({ filename: 'note.pdf', caption: null });
  });

  test('a row in which nothing changes is not written', async () => {
    await list([picture('a')]);
    await announce([picture('b')], true);
    const updatedAt = () => engine.shared().kysely.selectFrom('media').select('updated_at').execute();
    const before = await updatedAt();
    await list([picture('a')], plus(1));
    await announce([picture('b')], true, plus(1));
    expect(await updatedAt()).toEqual(before);
  });

  test('a listing can ask for copies: its media keep their status, and follow what was announced', async () => {
    const [ready, pending, failed] = [
      picture('a'),
      picture('b', { status: 'PENDING' }),
      picture('c', { status: 'FAILED' }),
    ];
    const copied = { ...listing(M1, [ready, pending, failed], { now: NOW }), copies: ['PENDING', 'READY'] as const };
    await catalogue().recordListings(TENANT, [copied], NOW);
    const announced = reportedMedia({ providerMessageId: 'm2' });
    await announce([announced], true);
    expect(await found(ready.id)).toMatchObject({ status: 'READY', mirrored: true, wasReady: true });
    expect(await found(pending.id)).toMatchObject({ status: 'PENDING', mirrored: true });
    expect(await found(failed.id)).toMatchObject({ status: 'FAILED', mirrored: false });
    const jobs = await copyJobs(plus(1_000));
    expect(jobs.map(({ media }) => media.id)).toEqual([announced.id, ready.id, pending.id]);
  });

  test('the same media twice in one batch, and the same message', async () => {
    const media = picture('a');
    await catalogue().recordListings(
      TENANT,
      [
        listing(M1, [media, { ...media, caption: 'last' }], { now: NOW }),
        listing(M1, [media, { ...media, caption: 'last' }], { now: NOW }),
      ],
      NOW,
    );
    expect((await record(M1))?.media).toMatchObject([{ caption: 'last' }]);
    expect(await announce([media, media])).toHaveLength(2);
  });

  test('nothing to record', async () => {
    await catalogue().recordListings(TENANT, [], NOW);
    expect(await announce([])).toEqual([]);
  });

  test('a text with U+0000, which PostgreSQL cannot hold, fails nothing', async () => {
    await announce([picture('a', { caption: 'a\0b', filename: '\0' })]);
    expect(await found(picture('a').id)).toMatchObject({ caption: 'ab', filename: '' });
  });

  test('a listing makes PENDING media READY, and keeps their pending copy', async () => {
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

  test.each(['DELETED', 'EXPIRED'] as const)('%s media stays unchanged by listings and announcements', async (end) => {
    const media = picture('a');
    await list([media]);
    await catalogue().transition(TENANT, media.id, ['READY'], end, {}, NOW);
    const before = await found(media.id);
    await list([{ ...media, caption: 'again' }]);
    expect(await announce([{ ...media, caption: 'again' }], true)).toEqual([before]);
    expect((await record(M1))?.media).toEqual([before]);
  });

  test('an announcement revives FAILED media without stored bytes', async () => {
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
}
