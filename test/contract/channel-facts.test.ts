import { setTimeout as sleep } from 'node:timers/promises';
import { SqlChannelFacts } from '../../src/catalogue/channel-facts.js';
import { SqlErrorBudgets } from '../../src/catalogue/error-budgets.js';
import type { QuotaHold } from '../../src/providers/quota.js';
import { ReusedHolds } from '../../src/providers/reused-holds.js';
import { describeEngines } from '../support/databases.js';
import { eventually } from '../support/eventually.js';

const NAME = 'whatsapp-cloud-lookups:line';
const HOUR_MS = 3_600_000;
const LIMITS = { limit: 15, windowMs: HOUR_MS, holdMs: 60_000 };

describeEngines('facts about channels', (bed) => {
  const facts = () => new SqlChannelFacts(bed.shared());
  const replica = () => new SqlChannelFacts(bed.replica());

  test('hold for every replica until their time is over', async () => {
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

  /** The id of a hold on the counter. */
  async function held(limits = LIMITS, from = budgets()): Promise<string> {
    const answer = await from.hold(NAME, limits);
    if (typeof answer === 'string') return answer;
    throw new Error('expected room', { cause: answer });
  }

  async function fail(times: number, from = budgets()): Promise<void> {
    for (let count = 0; count < times; count++) await from.settle(NAME, await held(LIMITS, from), true);
  }

  test('are counted over all replicas, and successes are not', async () => {
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

  test('count calls under way, until their outcome is known', async () => {
    const ids = await Promise.all(
      Array.from({ length: 15 }, (_, index) => held(LIMITS, index % 2 ? replica() : budgets())),
    );
    expect(await budgets().hold(NAME, LIMITS)).toEqual({ retryAfterMs: 0 });
    await budgets().settle(NAME, ids[0] ?? '', false);
    await budgets().settle(NAME, await held(), true);
    expect(await budgets().hold(NAME, LIMITS)).toEqual({ retryAfterMs: 0 });
  });

  test('let fifteen of forty simultaneous calls over two replicas pass', async () => {
    for (const name of ['unknown so far', 'known']) {
      if (name === 'known') await budgets().settle(name, String(await budgets().hold(name, LIMITS)), false);
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => (index % 2 ? replica() : budgets()).hold(name, LIMITS)),
      );
      expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(15);
    }
  });

  test('a call of a dead process is released by itself', async () => {
    const limits = { ...LIMITS, limit: 1, holdMs: 200 };
    await held(limits);
    expect(await budgets().hold(NAME, limits)).toEqual({ retryAfterMs: 0 });
    await sleep(250);
    await held(limits, replica());
  });

  /** As a process holds: what did not fail is used again. */
  function reusing(sql: SqlErrorBudgets): { holds: ReusedHolds; statements: () => number } {
    let count = 0;
    const holds = new ReusedHolds({
      hold: async (...args) => {
        count += 1;
        const answer = await sql.hold(...args);
        if (typeof answer !== 'string') return { kind: 'full', ...answer };
        return { kind: 'held', settle: (failed) => sql.settle(NAME, answer, failed) };
      },
    });
    return { holds, statements: () => count };
  }

  async function heldBy(holds: ReusedHolds, limits = LIMITS): Promise<QuotaHold> {
    const answer = await holds.hold(NAME, limits);
    if (answer.kind === 'held') return answer;
    throw new Error('expected room', { cause: answer });
  }

  test('a successful call leaves its hold to the next one, and a failure discards all holds', async () => {
    const { holds, statements } = reusing(budgets());
    for (let call = 0; call < 50; call++) await (await heldBy(holds)).settle(false);
    expect(statements()).toBe(1);
    for (let call = 0; call < 15; call++) await (await heldBy(holds)).settle(true);
    expect(statements()).toBe(15);
    expect(await holds.hold(NAME, LIMITS)).toMatchObject({ kind: 'full' });
    await holds.close();
    expect(await replica().hold(NAME, LIMITS)).toMatchObject({ retryAfterMs: expect.any(Number) });
  });

  test('a spare hold counts for its own limit until it has been idle for a moment', async () => {
    const { holds, statements } = reusing(budgets());
    const limits = { ...LIMITS, limit: 6 };
    const all = await Promise.all(Array.from({ length: 6 }, () => heldBy(holds, limits)));
    await Promise.all(all.map((hold) => hold.settle(false)));
    // Four are kept.
    await Promise.all([held(limits), held(limits, replica())]);
    expect(await replica().hold(NAME, limits)).toEqual({ retryAfterMs: 0 });
    await (await heldBy(holds, LIMITS)).settle(false);
    expect(statements()).toBe(7);
    await eventually(
      () => replica().hold(NAME, { ...limits, limit: 3 }),
      (answer) => typeof answer === 'string',
    );
    await holds.close();
  });

  test('a hold is not used when half its time is over, nor after the end of its process', async () => {
    const { holds, statements } = reusing(budgets());
    const limits = { ...LIMITS, limit: 1, holdMs: 300 };
    await (await heldBy(holds, limits)).settle(false);
    await sleep(160);
    await (await heldBy(holds, limits).catch(() => heldBy(holds, limits))).settle(false);
    expect(statements()).toBeGreaterThan(1);
    await holds.close();
    await held(limits, replica());
  });
});
