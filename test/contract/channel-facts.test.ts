import { setTimeout as sleep } from 'node:timers/promises';
import { SqlChannelFacts } from '../../src/catalogue/channel-facts.js';
import { SqlErrorBudgets } from '../../src/catalogue/error-budgets.js';
import { describeEngines } from '../support/databases.js';

const NAME = 'whatsapp-cloud-lookups:line';
const HOUR_MS = 3_600_000;
const LIMITS = { limit: 15, windowMs: HOUR_MS, holdMs: 60_000 };

describeEngines('what was found out about channels', (bed) => {
  const facts = () => new SqlChannelFacts(bed.shared());
  const replica = () => new SqlChannelFacts(bed.replica());

  test('holds for every replica, until its time is over', async () => {
    expect(await facts().recall('sms', 'laml-media-path')).toBeNull();
    await facts().note('sms', 'laml-media-path', 'metadata', HOUR_MS);
    const known = await replica().recall('sms', 'laml-media-path');
    expect(known).toMatchObject({ value: 'metadata' });
    expect(known?.leftMs).toBeGreaterThan(HOUR_MS - 60_000);
    expect(known?.leftMs).toBeLessThanOrEqual(HOUR_MS);
    expect(await replica().recall('mms', 'laml-media-path')).toBeNull();
    expect(await replica().recall('sms', 'another')).toBeNull();
    await replica().note('sms', 'laml-media-path', 'bytes', HOUR_MS);
    expect(await facts().recall('sms', 'laml-media-path')).toMatchObject({ value: 'bytes' });
    await facts().note('sms', 'laml-media-path', 'bytes', -1);
    expect(await facts().recall('sms', 'laml-media-path')).toBeNull();
  });
});

describeEngines('the failures that a provider counts', (bed) => {
  const budgets = () => new SqlErrorBudgets(bed.shared());
  const replica = () => new SqlErrorBudgets(bed.replica());

  /** The id of a hold. */
  async function held(limits = LIMITS, from = budgets()): Promise<string> {
    const answer = await from.hold(NAME, limits);
    if (typeof answer === 'string') return answer;
    throw new Error('expected room', { cause: answer });
  }

  async function fail(times: number, from = budgets()): Promise<void> {
    for (let count = 0; count < times; count++) await from.settle(NAME, await held(LIMITS, from), true);
  }

  test('are counted when they have come, over all replicas, and what succeeds is not', async () => {
    for (let count = 0; count < 40; count++) await budgets().settle(NAME, await held(), false);
    await fail(8);
    await fail(7, replica());
    const full = await budgets().hold(NAME, LIMITS);
    if (typeof full === 'string') throw new Error('expected no room');
    expect(full.retryAfterMs).toBeGreaterThan(HOUR_MS - 60_000);
    expect(full.retryAfterMs).toBeLessThanOrEqual(HOUR_MS);
    expect(await replica().hold(NAME, LIMITS)).toMatchObject({ retryAfterMs: expect.any(Number) });
    // Another limit leaves other room.
    await budgets().settle(NAME, await held({ ...LIMITS, limit: 16 }), false);
    expect(await budgets().hold(NAME, { ...LIMITS, limit: 6 })).toMatchObject({ retryAfterMs: expect.any(Number) });
  });

  test('leave the window one by one', async () => {
    await fail(3);
    await sleep(60);
    await fail(2);
    const limits = { ...LIMITS, limit: 3 };
    // Of five, three must go before there is room for a third.
    const { retryAfterMs } = Object(await budgets().hold(NAME, limits));
    const { retryAfterMs: sooner } = Object(await budgets().hold(NAME, { ...limits, limit: 5 }));
    expect(sooner).toBeLessThan(retryAfterMs);
  });

  test('count what is under way as well, until it is known better', async () => {
    const ids = await Promise.all(
      Array.from({ length: 15 }, (_, index) => held(LIMITS, index % 2 ? replica() : budgets())),
    );
    expect(await budgets().hold(NAME, LIMITS)).toEqual({ retryAfterMs: 0 });
    await budgets().settle(NAME, ids[0] ?? '', false);
    await budgets().settle(NAME, await held(), true);
    expect(await budgets().hold(NAME, LIMITS)).toEqual({ retryAfterMs: 0 });
  });

  test('of forty at once, over two replicas, fifteen are let through', async () => {
    for (const name of ['unknown so far', 'known']) {
      if (name === 'known') await budgets().settle(name, String(await budgets().hold(name, LIMITS)), false);
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => (index % 2 ? replica() : budgets()).hold(name, LIMITS)),
      );
      expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(15);
    }
  });

  test('a call of a process that died comes back by itself', async () => {
    const limits = { ...LIMITS, limit: 1, holdMs: 200 };
    await held(limits);
    expect(await budgets().hold(NAME, limits)).toEqual({ retryAfterMs: 0 });
    await sleep(250);
    await held(limits, replica());
  });
});
