import { SqlWebhookInbox, type WebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import { describeEngines } from '../support/databases.js';
import { claimEvents, claimJobs, type EventJob, jobStoreOf, LEASE_MS, soleJob } from '../support/jobs.js';

const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);

describeEngines('the webhook inbox', (bed) => {
  const inbox = () => new SqlWebhookInbox(bed.shared());
  const replicas = () => [bed.shared(), bed.replica()];
  const storeOf = (owner: string, now = NOW) => jobStoreOf(bed.shared(), { owner, now });
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
  const claim = (owner: string, now = NOW, limit = 100, from: Database = bed.shared()) =>
    claimEvents(from, { owner, now, limit });
  const claimOne = async (owner: string, now = NOW) => soleJob(await claim(owner, now));
  const bodies = (jobs: readonly EventJob[]) => jobs.map(({ event }) => `${event.rawBody}`);
  const jobCounts = async () => (await storeOf('counts').counts()).webhook;

  describe('receives', () => {
    test('an event as it came, to the byte', async () => {
      const rawBody = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const delivery = { tenant: 'acme', channelId: 'sms', contentType: 'application/x-www-form-urlencoded', rawBody };
      expect(await inbox().receive({ ...delivery, dedupeKey: 'k', now: NOW })).toBe('recorded');
      const { job, event } = await claimOne('a');
      expect(event).toEqual({ ...delivery, id: expect.any(Number), receivedAt: NOW });
      expect(event.rawBody.equals(rawBody)).toBe(true);
      const untroubled = { attempts: 1, suspect: false, interruptions: 0, deaths: 0, since: NOW };
      const subject = { kind: 'webhook', tenant: 'acme', key: `${event.id}`, channelId: 'sms' };
      expect(job).toMatchObject({ ...untroubled, ...subject });
    });

    test('three megabytes, and an empty body', async () => {
      const large = Buffer.alloc(3 * 1024 * 1024, 'x');
      const delivery = { tenant: 'default', channelId: 'support', contentType: '', now: NOW };
      await inbox().receive({ ...delivery, dedupeKey: 'large', rawBody: large });
      await inbox().receive({ ...delivery, dedupeKey: 'empty', rawBody: Buffer.alloc(0) });
      expect((await claim('a')).map(({ event }) => event.rawBody.length)).toEqual([large.length, 0]);
    });

    test('a redelivery as a duplicate, per channel and tenant, before and after processing', async () => {
      expect(await receive('k')).toBe('recorded');
      expect(await receive('k')).toBe('repeated');
      expect(await receive('k', inbox(), { channelId: 'sales' })).toBe('recorded');
      for (const { job } of await claim('a')) await inbox().done(job);
      expect(await receive('k')).toBe('repeated');
      expect(await claim('a')).toEqual([]);
      expect(await inbox().counts()).toEqual({ due: 0, dead: 0, oldestDueAt: null });
      expect(await jobCounts()).toMatchObject({ open: 0, dead: 0 });
    });

    test('twenty deliveries of one event at once as one event', async () => {
      const [first, second] = replicas().map((database) => new SqlWebhookInbox(database));
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => receive('k', index % 2 === 0 ? first : second)),
      );
      expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(1);
      expect(await claim('a')).toHaveLength(1);
    });
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

  test('a renewed lease holds; an expired one is taken over, and its old owner has no effect', async () => {
    await receive('k');
    const { job: slow, event } = await claimOne('slow');
    await storeOf('slow', plus(900)).renew([slow]);
    await storeOf('slow', plus(9_000)).renew([]);
    await storeOf('somebody else', plus(9_000)).renew([slow]);
    expect(await claim('fast', plus(1_899))).toEqual([]);
    const fast = await claimOne('fast', plus(1_900));
    expect(fast).toMatchObject({ job: { id: slow.id, attempts: 2 }, event: { id: event.id } });
    await inbox().done(slow);
    await inbox().bury(slow, 'no');
    await storeOf('slow').retry(slow, plus(0), 'no');
    await storeOf('slow').release(['webhook']);
    expect(await inbox().counts()).toEqual({ due: 1, dead: 0, oldestDueAt: NOW });
    expect(await jobCounts()).toMatchObject({ open: 1, running: 1, dead: 0 });
    expect(await claim('third', plus(1_901))).toEqual([]);
    await inbox().done(fast.job);
    expect(await inbox().counts()).toEqual({ due: 0, dead: 0, oldestDueAt: null });
    expect(await jobCounts()).toMatchObject({ open: 0, dead: 0 });
  });

  test('an event that is retried waits until its time', async () => {
    await receive('k');
    const { job } = await claimOne('a');
    await storeOf('a').retry(job, plus(500), 'the database\0 was away');
    expect(await claim('b', plus(499))).toEqual([]);
    expect(await claim('b', plus(500))).toMatchObject([
      { job: { attempts: 2, since: NOW }, event: { rawBody: Buffer.from('k') } },
    ]);
  });

  test('dead letters are kept whole, counted, and not processed again', async () => {
    await receive('k');
    const { job } = await claimOne('a');
    await inbox().bury(job, 'not a body\0 that the provider documents');
    expect(await inbox().counts()).toEqual({ due: 0, dead: 1, oldestDueAt: null });
    expect(await jobCounts()).toMatchObject({ open: 0, due: 0, dead: 1, oldestDueAt: null });
    expect(await claim('b', plus(99_999))).toEqual([]);
    expect(await receive('k')).toBe('repeated');
    expect(await jobCounts()).toMatchObject({ open: 0, dead: 1 });
    expect(await inbox().forget(plus(99_999))).toBe(0);
    const rows = await bed
      .shared()
      .kysely.selectFrom('webhook_events')
      .select(['raw_body', 'last_error', 'attempts'])
      .execute();
    expect(rows).toEqual([
      { raw_body: Buffer.from('k'), last_error: 'not a body that the provider documents', attempts: 1 },
    ]);
  });

  test('dead letters are deleted by the time of their arrival, with their jobs', async () => {
    await receive('old');
    await receive('new', inbox(), { now: plus(10) });
    await receive('done');
    for (const { job, event } of await claim('a', plus(10)))
      if (`${event.rawBody}` === 'done') await inbox().done(job);
      else await inbox().bury(job, 'no');
    expect(await inbox().forgetDead(NOW)).toBe(0);
    expect(await inbox().forgetDead(plus(10))).toBe(1);
    expect(await inbox().counts()).toMatchObject({ due: 0, dead: 1 });
    expect(await jobCounts()).toMatchObject({ open: 0, dead: 1 });
    expect(await Promise.all(['old', 'new', 'done'].map((key) => receive(key)))).toEqual([
      ...['recorded', 'repeated', 'repeated'],
    ]);
    expect(bodies(await claim('b', plus(10)))).toEqual(['old']);
  });

  test('a job whose event is done or removed has no event', async () => {
    await receive('a');
    await receive('b');
    const [first] = await claim('a');
    if (first) await inbox().done(first.job);
    await bed.shared().kysely.deleteFrom('webhook_events').where('state', '=', 'due').execute();
    await receive('c');
    const jobs = await claimJobs(bed.shared(), 'webhook', { owner: 'b', now: plus(LEASE_MS) });
    expect(jobs).toHaveLength(2);
    const events = await inbox().findEvents([...jobs, ...(first ? [first.job] : [])]);
    expect([...events.values()].map(({ rawBody }) => `${rawBody}`)).toEqual(['c']);
    expect((await inbox().findEvents([])).size).toBe(0);
  });

  test('a released job is due at once, and the attempt is not counted', async () => {
    await receive('k');
    await claim('leaves');
    await storeOf('leaves').release(['webhook']);
    expect(await claim('next')).toMatchObject([{ job: { attempts: 1 } }]);
  });

  test('a process that is the only one ends every lease', async () => {
    await receive('k');
    await claim('dead');
    expect(await claim('alive')).toEqual([]);
    await storeOf('alive').abandonLeases();
    expect(await claim('alive')).toMatchObject([{ job: { attempts: 2 } }]);
  });

  test('a finished event keeps its key without its body, until it is deleted', async () => {
    await receive('old');
    await receive('new', inbox(), { now: plus(10) });
    await receive('not done');
    for (const { job, event } of await claim('a', plus(10)))
      if (`${event.rawBody}` !== 'not done') await inbox().done(job);
    const rows = await bed.shared().kysely.selectFrom('webhook_events').select(['dedupe_key', 'raw_body']).execute();
    expect(rows.filter(({ raw_body }) => raw_body.length > 0)).toMatchObject([{ dedupe_key: 'not done' }]);
    expect(await inbox().forget(plus(10))).toBe(1);
    expect(await receive('old')).toBe('recorded');
    expect(await receive('new')).toBe('repeated');
    expect(await receive('not done')).toBe('repeated');
  });
});
