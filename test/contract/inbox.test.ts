import { SqlWebhookInbox, type WebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { describeEngines } from '../support/databases.js';

const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);
const LEASE_MS = 1_000;

describeEngines('the webhook inbox', (bed) => {
  const inbox = () => new SqlWebhookInbox(bed.shared());
  const replicas = () => [bed.shared(), bed.replica()].map((database) => new SqlWebhookInbox(database));
  const receive = (dedupeKey: string, to: WebhookInbox = inbox(), keys: { channelId?: string; now?: Date } = {}) =>
    to.receive({
      tenant: 'default',
      channelId: 'support',
      dedupeKey,
      contentType: 'application/json',
      rawBody: Buffer.from(dedupeKey),
      now: NOW,
      ...keys,
    });
  const claim = (owner: string, now = NOW, limit = 100, from: WebhookInbox = inbox()) =>
    from.claim({ owner, now, limit, leaseMs: LEASE_MS });
  const bodies = (events: ReadonlyArray<{ readonly rawBody: Buffer }>) => events.map(({ rawBody }) => `${rawBody}`);

  test('hands out an event as it came, to the byte', async () => {
    const rawBody = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const told = { tenant: 'acme', channelId: 'sms', contentType: 'application/x-www-form-urlencoded', rawBody };
    expect(await inbox().receive({ ...told, dedupeKey: 'k', now: NOW })).toBe('recorded');
    const [event] = await claim('a');
    const untroubled = { suspect: false, interruptions: 0, deaths: 0 };
    expect(event).toEqual({ ...told, id: expect.any(Number), receivedAt: NOW, attempts: 1, ...untroubled });
    expect(event?.rawBody.equals(rawBody)).toBe(true);
  });

  test('three megabytes are no trouble, nor is nothing', async () => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'x');
    const told = { tenant: 'default', channelId: 'support', contentType: '', now: NOW };
    await inbox().receive({ ...told, dedupeKey: 'large', rawBody: large });
    await inbox().receive({ ...told, dedupeKey: 'empty', rawBody: Buffer.alloc(0) });
    expect((await claim('a')).map(({ rawBody }) => rawBody.length)).toEqual([large.length, 0]);
  });

  test('knows a repetition, per channel and tenant, before and after the work', async () => {
    expect(await receive('k')).toBe('recorded');
    expect(await receive('k')).toBe('repeated');
    expect(await receive('k', inbox(), { channelId: 'sales' })).toBe('recorded');
    for (const { id } of await claim('a')) await inbox().done(id, 'a');
    expect(await receive('k')).toBe('repeated');
    expect(await claim('a')).toEqual([]);
    expect(await inbox().counts()).toEqual({ due: 0, dead: 0, oldestDueAt: null });
  });

  test('twenty deliveries of one event at once are one event', async () => {
    const [first, second] = replicas();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => receive('k', index % 2 === 0 ? first : second)),
    );
    expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(1);
    expect(await claim('a')).toHaveLength(1);
  });

  test('gives the oldest first, and twenty claims at once never the same', async () => {
    const keys = Array.from({ length: 60 }, (_, index) => `event ${index}`);
    for (const key of keys) await receive(key);
    expect(bodies(await claim('first', NOW, 10))).toEqual(keys.slice(0, 10));
    const [one, other] = replicas();
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) => claim(`owner ${index}`, NOW, 4, index % 2 === 0 ? one : other)),
    );
    const taken = bodies([...claims.flat(), ...(await claim('the last'))]);
    expect(taken.sort()).toEqual(keys.slice(10).sort());
  });

  test('a lease that is renewed holds; one that is not is taken over, and its old owner can do no more', async () => {
    await receive('k');
    const [event] = await claim('slow');
    const id = event?.id ?? 0;
    await inbox().renewLeases('slow', [{ id }], plus(900), LEASE_MS);
    await inbox().renewLeases('slow', [], plus(9_000), LEASE_MS);
    await inbox().renewLeases('somebody else', [{ id }], plus(9_000), LEASE_MS);
    expect(await claim('fast', plus(1_899))).toEqual([]);
    expect(await claim('fast', plus(1_900))).toMatchObject([{ id, attempts: 2 }]);
    await inbox().done(id, 'slow');
    await inbox().bury(id, 'slow', 'no');
    await inbox().retry(id, 'slow', { runAfter: plus(0), error: 'no' });
    await inbox().release('slow');
    expect(await inbox().counts()).toEqual({ due: 1, dead: 0, oldestDueAt: NOW });
    expect(await claim('third', plus(1_901))).toEqual([]);
    await inbox().done(id, 'fast');
    expect(await inbox().counts()).toEqual({ due: 0, dead: 0, oldestDueAt: null });
  });

  test('an event to be tried again waits until then', async () => {
    await receive('k');
    const [event] = await claim('a');
    await inbox().retry(event?.id ?? 0, 'a', { runAfter: plus(500), error: 'the database\0 was away' });
    expect(await claim('b', plus(499))).toEqual([]);
    expect(await claim('b', plus(500))).toMatchObject([{ attempts: 2, rawBody: Buffer.from('k') }]);
  });

  test('dead letters are kept whole, counted, and worked on no more', async () => {
    await receive('k');
    const [event] = await claim('a');
    await inbox().bury(event?.id ?? 0, 'a', 'not a body that the provider documents');
    expect(await inbox().counts()).toEqual({ due: 0, dead: 1, oldestDueAt: null });
    expect(await claim('b', plus(99_999))).toEqual([]);
    expect(await receive('k')).toBe('repeated');
    expect(await inbox().forget(plus(99_999))).toBe(0);
    const rows = await bed.shared().kysely.selectFrom('webhook_events').select(['raw_body', 'last_error']).execute();
    expect(rows).toEqual([{ raw_body: Buffer.from('k'), last_error: 'not a body that the provider documents' }]);
  });

  test('what is handed back is due at once, and the attempt is not counted', async () => {
    await receive('k');
    await claim('leaves');
    await inbox().release('leaves');
    expect(await claim('next')).toMatchObject([{ attempts: 1 }]);
  });

  test('whoever knows that it is alone ends every lease', async () => {
    await receive('k');
    await claim('dead');
    expect(await inbox().abandonLeases()).toBe(1);
    expect(await claim('alive')).toMatchObject([{ attempts: 2 }]);
  });

  test('a done event keeps its key and not its body, until it is forgotten', async () => {
    await receive('old');
    await receive('new', inbox(), { now: plus(10) });
    await receive('not done');
    for (const { id, rawBody } of await claim('a', plus(10)))
      if (`${rawBody}` !== 'not done') await inbox().done(id, 'a');
    const rows = await bed.shared().kysely.selectFrom('webhook_events').select(['dedupe_key', 'raw_body']).execute();
    expect(rows.filter(({ raw_body }) => raw_body.length > 0)).toMatchObject([{ dedupe_key: 'not done' }]);
    expect(await inbox().forget(plus(10))).toBe(1);
    expect(await receive('old')).toBe('recorded');
    expect(await receive('new')).toBe('repeated');
    expect(await receive('not done')).toBe('repeated');
  });
});
