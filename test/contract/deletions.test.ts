import { type DeletionClaim, SqlDeletions } from '../../src/catalogue/deletions.js';
import type { CataloguedMedia } from '../../src/catalogue/media-catalogue.js';
import { SqlMediaCatalogue } from '../../src/catalogue/sql-media-catalogue.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import type { DeletionScope, MediaId, MessageMedia } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { begun, uploadedMedia } from '../support/uploads.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const LEASE_MS = 1_000;
const CALLERS = 20;

describeEngines('deletions', (bed) => {
  const deletions = () => new SqlDeletions(bed.shared());
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const claimOf = (owner: string, now = NOW): DeletionClaim => ({ owner, now, leaseMs: LEASE_MS });
  const intend = (id: MediaId, owner: string, now = NOW) => deletions().intend(TENANT, id, claimOf(owner, now));
  const found = async (id: MediaId) => (await catalogue().findByIds(TENANT, [id])).get(id);
  const list = async (name: string, keys: Partial<MessageMedia> = {}): Promise<MessageMedia> => {
    const media = reportedMedia({ providerMessageId: name, ...keys });
    const key = { channelId: media.channelId, providerMessageId: name };
    await catalogue().recordListings(TENANT, [{ key, media: [media] }], { now: NOW, retainedUntil: null });
    return media;
  };
  const keep = (id: MediaId, now = NOW) =>
    catalogue().markStored(TENANT, id, { stored: storedBytes(), details: {}, replacing: null }, now);
  /** Listed, and its bytes are here. */
  const listStored = async (name: string): Promise<MessageMedia> => {
    const media = await list(name);
    await keep(media.id);
    return media;
  };
  const remove = async (id: MediaId, scope: DeletionScope = 'LOCAL', now = NOW): Promise<CataloguedMedia | null> => {
    await intend(id, 'remover', now);
    return deletions().complete(TENANT, id, 'remover', { scope, purge: false, now });
  };
  const ids = (media: ReadonlyArray<{ readonly id: MediaId }>) => media.map(({ id }) => id);

  test('an intent changes nothing that anybody sees, and is one owner’s until its time is over', async () => {
    const { id } = await listStored('a');
    const before = await found(id);
    expect(await intend(id, 'first')).toEqual(before);
    expect(await found(id)).toEqual(before);
    expect(await intend(id, 'second', plus(LEASE_MS - 1))).toBeNull();
    expect(await intend(id, 'second', plus(LEASE_MS))).toEqual(before);
    expect(
      await deletions().complete(TENANT, id, 'first', { scope: 'LOCAL', purge: false, now: plus(LEASE_MS) }),
    ).toBeNull();
    await deletions().withdraw(TENANT, id, 'first');
    expect(await intend(id, 'third', plus(LEASE_MS))).toBeNull();
    expect(
      await deletions().complete(TENANT, id, 'second', { scope: 'LOCAL', purge: false, now: plus(LEASE_MS) }),
    ).not.toBeNull();
  });

  test('an intent needs a media of the tenant that is there and not deleted', async () => {
    const { id } = await list('a');
    expect(await intend('nobody knows it', 'a')).toBeNull();
    expect(await deletions().intend('another', id, claimOf('a'))).toBeNull();
    await remove(id);
    expect(await intend(id, 'a', plus(LEASE_MS))).toBeNull();
  });

  test('of twenty intents at once, over two replicas, one is noted', async () => {
    const replicas = [bed.shared(), bed.replica()].map((database) => new SqlDeletions(database));
    for (let round = 0; round < 5; round++) {
      const { id } = await list(`round ${round}`);
      const intents = await Promise.all(
        Array.from({ length: CALLERS }, (_, index) =>
          (replicas[index % 2] ?? deletions()).intend(TENANT, id, claimOf(`owner ${index}`)),
        ),
      );
      expect(intents.filter((media) => media !== null).length).toBe(1);
    }
  });

  test('a provider’s refusal leaves everything as it was, and another may try', async () => {
    const { id } = await listStored('a');
    const before = await found(id);
    await intend(id, 'a');
    await deletions().withdraw(TENANT, id, 'a');
    expect(await found(id)).toEqual(before);
    expect(await deletions().claimInterrupted(claimOf('sweep', plus(LEASE_MS)), 10)).toEqual([]);
    expect(await intend(id, 'b')).toEqual(before);
  });

  test('what is told of a media meanwhile does not end its deletion', async () => {
    const { id } = await list('a');
    await intend(id, 'a');
    await list('a', { mimeType: 'image/png', caption: 'now known' });
    expect(await intend(id, 'b')).toBeNull();
    expect(await deletions().complete(TENANT, id, 'a', { scope: 'PROVIDER', purge: false, now: NOW })).toMatchObject({
      status: 'DELETED',
    });
  });

  test('DELETED is for good, and says that bytes are left until they are removed', async () => {
    const { id } = await listStored('a');
    const deleted = await remove(id, 'PROVIDER', plus(5));
    expect(deleted).toMatchObject({ status: 'DELETED', deletionScope: 'PROVIDER', stored: null, hasBytesLeft: true });
    expect(await found(id)).toEqual(deleted);
    expect(await remove(id, 'LOCAL', plus(6))).toBeNull();
    expect(await keep(id, plus(6))).toEqual({ media: null, isNamed: false });
    await list('a', { caption: 'listed still' });
    await catalogue().recordAnnouncement(TENANT, [reportedMedia({ providerMessageId: 'a' })], {
      mirror: true,
      now: plus(7),
      retainedUntil: null,
    });
    expect(await found(id)).toEqual(deleted);
    const mirrors = { owner: 'm', now: plus(9_999), limit: 10, leaseMs: LEASE_MS };
    expect(await catalogue().claimMirrors(mirrors)).toEqual([]);

    await deletions().bytesRemoved('another', id);
    expect(await found(id)).toEqual(deleted);
    await deletions().bytesRemoved(TENANT, id);
    expect(await found(id)).toEqual({ ...deleted, hasBytesLeft: false });
  });

  test('bytes are forgotten of deleted media alone', async () => {
    const { id } = await listStored('a');
    await intend(id, 'a');
    await deletions().bytesRemoved(TENANT, id);
    expect(await found(id)).toMatchObject({ status: 'READY', stored: storedBytes() });
  });

  test('takes a copy off its queue, and whoever makes it learns so', async () => {
    const copied = reportedMedia({ providerMessageId: 'copied' });
    const waiting = reportedMedia({ providerMessageId: 'waiting' });
    const recording = { mirror: true, now: NOW, retainedUntil: null };
    await catalogue().recordAnnouncement(TENANT, [copied], recording);
    const claim = { owner: 'm', now: NOW, limit: 10, leaseMs: LEASE_MS };
    expect(await catalogue().claimMirrors(claim)).toHaveLength(1);
    await catalogue().recordAnnouncement(TENANT, [waiting], recording);
    await remove(copied.id);
    await remove(waiting.id);
    const bytes = { stored: storedBytes(), details: {} };
    expect(await catalogue().finishMirror(TENANT, copied.id, 'm', bytes, NOW)).toEqual({ media: null, isNamed: false });
    const failure = { code: 'PROVIDER_UNAVAILABLE', message: 'again', retryable: true, at: NOW } as const;
    await catalogue().retryMirror(TENANT, copied.id, 'm', { dueAt: NOW, failure, isFailed: true }, NOW);
    await catalogue().releaseMirrors('m');
    expect(await catalogue().claimMirrors({ ...claim, now: plus(9_999) })).toEqual([]);
    expect(await found(copied.id)).toMatchObject({ status: 'DELETED', stored: null, failure: null });
    expect(await catalogue().counts()).toMatchObject({ mediaByStatus: { DELETED: 2 }, mirrorsDue: 0 });
  });

  test('takes an upload off its queue', async () => {
    const uploads = new SqlUploads(bed.shared());
    const { media } = await begun(uploads, { now: NOW });
    const { media: kept } = await begun(uploads, { now: NOW });
    expect(await remove(media.id)).toMatchObject({ status: 'DELETED', uploaded: true });
    const claim = { owner: 'next', now: plus(9_999), leaseMs: LEASE_MS };
    expect(await uploads.claim(claim, [])).toMatchObject({ media: { id: kept.id } });
    expect(await uploads.claim(claim, [])).toBeNull();
  });

  test('what a crash interrupted is found once its time is over, the oldest first', async () => {
    const [first, second, third] = [await list('a'), await list('b'), await list('c')];
    await intend(second.id, 'dead', plus(1));
    await intend(first.id, 'dead');
    await intend(third.id, 'alive', plus(500));
    expect(await deletions().countUnfinished(plus(LEASE_MS - 1), NOW)).toBe(0);
    expect(await deletions().claimInterrupted(claimOf('sweep', plus(LEASE_MS - 1)), 10)).toEqual([]);
    const later = plus(LEASE_MS + 1);
    expect(await deletions().countUnfinished(later, NOW)).toBe(2);
    expect(ids(await deletions().claimInterrupted(claimOf('sweep', later), 1))).toEqual([first.id]);
    expect(ids(await deletions().claimInterrupted(claimOf('sweep', later), 10))).toEqual([second.id]);
    expect(await deletions().claimInterrupted(claimOf('sweep', later), 10)).toEqual([]);
    expect(
      await deletions().complete(TENANT, first.id, 'dead', { scope: 'LOCAL', purge: false, now: later }),
    ).toBeNull();
    expect(
      await deletions().complete(TENANT, first.id, 'sweep', { scope: 'LOCAL', purge: false, now: later }),
    ).not.toBeNull();
    expect(
      await deletions().complete(TENANT, third.id, 'alive', { scope: 'LOCAL', purge: false, now: later }),
    ).not.toBeNull();
  });

  test('twenty sweeps at once never find the same', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `m${index}`);
    for (const name of names) await intend((await list(name)).id, 'dead');
    const replicas = [bed.shared(), bed.replica()].map((database) => new SqlDeletions(database));
    const later = plus(LEASE_MS);
    const claims = await Promise.all(
      Array.from({ length: CALLERS }, (_, index) =>
        (replicas[index % 2] ?? deletions()).claimInterrupted(claimOf(`sweep ${index}`, later), 3),
      ),
    );
    // Claims at once may pass over what another is just taking; the rest is there.
    const taken = ids([...claims.flat(), ...(await deletions().claimInterrupted(claimOf('the last', later), 100))]);
    expect([taken.length, new Set(taken).size]).toEqual([40, 40]);
  });

  test('whoever knows that it is alone finds all intents', async () => {
    const { id } = await list('a');
    await list('b');
    await intend(id, 'dead');
    expect(await deletions().abandonLeases()).toBe(1);
    expect(ids(await deletions().claimInterrupted(claimOf('alive'), 10))).toEqual([id]);
  });

  test('bytes that a crash left are found, those of younger deletions and of living media are not', async () => {
    const [left, removed, young, living] = [
      await listStored('left'),
      await listStored('removed'),
      await listStored('young'),
      await listStored('living'),
    ];
    const older = await listStored('older');
    await remove(left.id, 'LOCAL', plus(1));
    await remove(older.id);
    await remove(removed.id);
    await deletions().bytesRemoved(TENANT, removed.id);
    await remove(young.id, 'LOCAL', plus(500));
    await intend(living.id, 'a');
    expect(ids(await deletions().findBytesLeft(plus(100), 10))).toEqual([older.id, left.id]);
    expect(ids(await deletions().findBytesLeft(plus(100), 1))).toEqual([older.id]);
    expect(await deletions().countUnfinished(plus(100), plus(100))).toBe(2);
    await deletions().bytesRemoved(TENANT, older.id);
    expect(ids(await deletions().findBytesLeft(plus(100), 10))).toEqual([left.id]);
  });

  test('tombstones go where nothing lists the media any more, and stay unseen where its provider may', async () => {
    const [atProvider, here, young, bytesLeft] = [
      await list('at provider'),
      await list('here', { caption: 'private', filename: 'secret.png', downloadUrl: 'https://cdn.example/secret' }),
      await list('young'),
      await listStored('bytes left'),
    ];
    const upload = await uploadedMedia(new SqlUploads(bed.shared()), { now: NOW });
    await remove(atProvider.id, 'PROVIDER');
    await remove(here.id, 'LOCAL');
    await remove(young.id, 'LOCAL', plus(500));
    await remove(bytesLeft.id, 'LOCAL');
    await remove(upload.id, 'LOCAL');
    await deletions().bytesRemoved(TENANT, upload.id);
    const living = await list('living');

    expect(await deletions().bury(plus(100))).toBe(3);
    expect(await deletions().bury(plus(100))).toBe(0);
    const all = [atProvider, here, young, bytesLeft, upload, living].map(({ id }) => id);
    const known = await catalogue().findByIds(TENANT, all);
    expect([...known.keys()].sort()).toEqual([young.id, bytesLeft.id, living.id].sort());

    // Listed again, it stays what it is; and nothing that was private is kept of it.
    await list('here', { caption: 'private' });
    expect(await found(here.id)).toBeUndefined();
    const key = { channelId: here.channelId, providerMessageId: 'here' };
    const record = (await catalogue().findByMessages(TENANT, [key])).get('support:here');
    expect(record?.media).toMatchObject([{ id: here.id, status: 'DELETED', caption: null, filename: null }]);
    expect(record?.media).toMatchObject([{ downloadUrl: null }]);
  });

  /** Deleted, and its CDN is yet to be told. */
  const removeUnpurged = async (media: MessageMedia, now = NOW): Promise<MessageMedia> => {
    await intend(media.id, 'remover', now);
    expect(
      await deletions().complete(TENANT, media.id, 'remover', { scope: 'PROVIDER', purge: true, now }),
    ).toMatchObject({ status: 'DELETED' });
    return media;
  };

  test('what the CDN was not told of is found until it was, the oldest first', async () => {
    const [second, first, young] = [
      await removeUnpurged(await listStored('b'), plus(1)),
      await removeUnpurged(await list('a')),
      await removeUnpurged(await list('young'), plus(500)),
    ];
    await remove((await list('nobody to be told')).id);
    await intend((await list('not deleted yet')).id, 'a');
    expect(ids(await deletions().findUnpurged(plus(100), 10))).toEqual([first.id, second.id]);
    expect(ids(await deletions().findUnpurged(plus(100), 1))).toEqual([first.id]);

    await deletions().purged('another', first.id);
    expect(ids(await deletions().findUnpurged(plus(100), 10))).toEqual([first.id, second.id]);
    for (const _ of ['told', 'told twice']) await deletions().purged(TENANT, first.id);
    expect(await deletions().findUnpurged(plus(100), 10)).toMatchObject([
      { id: second.id, status: 'DELETED', stored: null, hasBytesLeft: true },
    ]);
    // Whether its bytes are gone is another matter.
    await deletions().bytesRemoved(TENANT, second.id);
    expect(ids(await deletions().findUnpurged(plus(100), 10))).toEqual([second.id]);
    await deletions().purged(TENANT, second.id);
    expect(ids(await deletions().findUnpurged(plus(500), 10))).toEqual([young.id]);
  });

  test('a tombstone stays until the CDN was told', async () => {
    const { id } = await removeUnpurged(await list('a'));
    expect(await deletions().bury(plus(100))).toBe(0);
    expect(await found(id)).toMatchObject({ status: 'DELETED' });
    await deletions().purged(TENANT, id);
    expect(await deletions().bury(plus(100))).toBe(1);
    expect(await found(id)).toBeUndefined();
    expect(await deletions().findUnpurged(plus(100), 10)).toEqual([]);
  });

  test('that the CDN was told is nothing to a media that is not deleted', async () => {
    const { id } = await listStored('a');
    const before = await found(id);
    await deletions().purged(TENANT, id);
    expect(await found(id)).toEqual(before);
    await removeUnpurged(reportedMedia({ providerMessageId: 'a' }));
    expect(ids(await deletions().findUnpurged(plus(100), 10))).toEqual([id]);
  });
});
