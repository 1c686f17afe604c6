import {
  type MediaCatalogue,
  type MirrorJob,
  type MirrorRetry,
  SqlMediaCatalogue,
} from '../../src/catalogue/media-catalogue.js';
import type { MediaFailure, MessageMedia } from '../../src/model/media.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const LEASE_MS = 1_000;
const BYTES = { stored: storedBytes(), details: {} };

const failure = (message: string, at: Date): MediaFailure => ({
  code: 'PROVIDER_UNAVAILABLE',
  message,
  retryable: true,
  at,
});
const again = (message: string, dueAt: Date): MirrorRetry => ({
  dueAt,
  failure: failure(message, NOW),
  isFailed: false,
});

describeEngines('the queue of copies', (bed) => {
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  const claim = (owner: string, now = NOW, limit = 100, from: MediaCatalogue = catalogue()) =>
    from.claimMirrors({ owner, now, limit, leaseMs: LEASE_MS });
  const announce = async (name: string, keys: Partial<MessageMedia> = {}, now = NOW): Promise<MessageMedia> => {
    const media = reportedMedia({ providerMessageId: name, ...keys });
    await catalogue().recordAnnouncement(TENANT, [media], { mirror: true, now, retainedUntil: null });
    return media;
  };
  const found = async ({ id }: MessageMedia) => (await catalogue().findByIds(TENANT, [id])).get(id);
  const names = (jobs: readonly MirrorJob[]) => jobs.map(({ media }) => media.providerMessageId);

  test('gives the earliest deadline first, then the oldest, those without a deadline last', async () => {
    await announce('none');
    await announce('late', { availableUntil: plus(9_000) });
    await announce('early, told later', { availableUntil: plus(1_000) }, plus(1));
    await announce('early', { availableUntil: plus(1_000) });
    await announce('none, told later', {}, plus(1));
    expect(names(await claim('a', plus(1), 2))).toEqual(['early', 'early, told later']);
    expect(names(await claim('a', plus(1)))).toEqual(['late', 'none', 'none, told later']);
    expect(await claim('a', plus(1))).toEqual([]);
  });

  test('a claim says how often it was begun', async () => {
    await announce('a');
    expect(await claim('first')).toMatchObject([{ media: { status: 'PENDING', mirrored: true }, attempts: 1 }]);
    expect(await claim('second', plus(LEASE_MS))).toMatchObject([{ attempts: 2 }]);
  });

  test('twenty claims at once never get the same', async () => {
    const media = Array.from({ length: 100 }, (_, index) => reportedMedia({ providerMessageId: `m${index}` }));
    await catalogue().recordAnnouncement(TENANT, media, { mirror: true, now: NOW, retainedUntil: null });
    const replicas = [bed.shared(), bed.replica()].map((database) => new SqlMediaCatalogue(database));
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) => claim(`owner ${index}`, NOW, 7, replicas[index % 2])),
    );
    // Claims at once may pass over what another is just taking, so some may come out short; the rest is there.
    const ids = [...claims.flat(), ...(await claim('the last'))].map(({ media }) => media.id);
    expect(ids).toHaveLength(100);
    expect(new Set(ids).size).toBe(100);
    expect(claims.every((claimed) => claimed.length <= 7)).toBe(true);
  });

  test('a lease that is renewed holds; one that is not is taken over, and its old owner can do no more', async () => {
    const media = await announce('a');
    await claim('slow');
    await catalogue().renewLeases('slow', [media], plus(900), LEASE_MS);
    await catalogue().renewLeases('slow', [], plus(9_000), LEASE_MS);
    await catalogue().renewLeases('somebody else', [media], plus(9_000), LEASE_MS);
    expect(await claim('fast', plus(1_899))).toEqual([]);
    expect(await claim('fast', plus(1_900))).toHaveLength(1);
    await catalogue().renewLeases('slow', [media], plus(9_000), LEASE_MS);
    expect(await catalogue().finishMirror(TENANT, media.id, 'slow', BYTES, plus(1_950))).toMatchObject({
      isNamed: false,
    });
    await catalogue().failMirror(TENANT, media.id, 'slow', { status: 'FAILED', failure: failure('no', plus(1_950)) });
    await catalogue().retryMirror(TENANT, media.id, 'slow', again('no', plus(1_950)), plus(1_950));
    expect(await found(media)).toMatchObject({ status: 'PENDING', stored: null, failure: null });
    expect(await claim('third', plus(1_951))).toEqual([]);
    expect(await catalogue().finishMirror(TENANT, media.id, 'fast', BYTES, plus(1_960))).toMatchObject({
      isNamed: true,
    });
  });

  test('a finished copy is READY with its bytes, once', async () => {
    const media = await announce('a', { mimeType: 'image/jpeg', kind: 'IMAGE', caption: 'stays' });
    await claim('a');
    await catalogue().retryMirror(TENANT, media.id, 'a', again('at first', NOW), NOW);
    await claim('a');
    const stored = storedBytes({ mimeType: 'application/pdf', at: plus(5) });
    const details = { mimeType: 'application/pdf', filename: 'a.pdf' };
    expect(await catalogue().finishMirror(TENANT, media.id, 'a', { stored, details }, plus(5))).toEqual({
      isNamed: true,
    });
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
    expect(await catalogue().finishMirror(TENANT, media.id, 'a', { stored, details }, plus(6))).toMatchObject({
      media: { stored },
      isNamed: false,
    });
    expect(await claim('b', plus(99_999))).toEqual([]);
    expect(await catalogue().counts()).toMatchObject({ mediaByStatus: { READY: 1 }, mirrorsDue: 0 });
  });

  test('what the bytes do not tell stays as it was told', async () => {
    const media = await announce('a', { mimeType: 'text/csv', filename: 'a.csv' });
    await claim('a');
    const stored = storedBytes({ mimeType: null });
    const details = { mimeType: null, filename: null };
    await catalogue().finishMirror(TENANT, media.id, 'a', { stored, details }, NOW);
    expect(await found(media)).toMatchObject({ mimeType: 'text/csv', filename: 'a.csv' });
  });

  test('a copy to be tried again waits until then, and is any owner’s', async () => {
    const media = await announce('a');
    await claim('a');
    await catalogue().retryMirror(TENANT, media.id, 'a', again('the provider\0 was busy', plus(500)), NOW);
    expect(await claim('b', plus(499))).toEqual([]);
    expect(await claim('b', plus(500))).toMatchObject([
      { attempts: 2, media: { status: 'PENDING', failure: { message: 'the provider was busy' } } },
    ]);
  });

  test.each(['FAILED', 'EXPIRED'] as const)('a copy that cannot be is %s, and asked for no more', async (status) => {
    const media = await announce('a');
    await claim('a');
    await catalogue().failMirror(TENANT, media.id, 'a', { status, failure: failure('gone', plus(1)) });
    expect(await found(media)).toMatchObject({ status, failure: failure('gone', plus(1)), stored: null });
    expect(await claim('b', plus(99_999))).toEqual([]);
  });

  test('what is handed back is due at once, and the attempt is not counted', async () => {
    await announce('older');
    await announce('newer', {}, plus(1));
    await claim('leaves', plus(1), 1);
    await claim('stays', plus(1), 1);
    await catalogue().releaseMirrors('leaves');
    expect(await claim('next', plus(1))).toMatchObject([{ media: { providerMessageId: 'older' }, attempts: 1 }]);
    expect(await claim('next', plus(1))).toEqual([]);
  });

  test('whoever knows that it is alone ends every lease', async () => {
    await announce('a');
    await claim('dead');
    expect(await claim('alive')).toEqual([]);
    expect(await catalogue().abandonLeases()).toBe(1);
    expect(await claim('alive')).toMatchObject([{ attempts: 2 }]);
  });

  test('a media that is deleted while it is copied stays deleted', async () => {
    const media = await announce('a');
    await claim('a');
    await catalogue().transition(TENANT, media.id, ['PENDING'], 'DELETED', {}, NOW);
    expect(await catalogue().finishMirror(TENANT, media.id, 'a', BYTES, NOW)).toEqual({ media: null, isNamed: false });
    expect(await found(media)).toMatchObject({ status: 'DELETED', stored: null });
  });
});
