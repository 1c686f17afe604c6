import { SqlQuotas } from '../../src/catalogue/quotas.js';
import { describeEngines } from '../support/databases.js';

const NAME = 'gupshup-deletions:an app';
const LIMIT = 10;
const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 10, 21);

describeEngines('quotas', (bed) => {
  let now = START;
  beforeEach(() => {
    now = START;
  });
  const quotas = () => new SqlQuotas(bed.shared(), () => now);
  const replica = () => new SqlQuotas(bed.replica(), () => now);
  const take = (name = NAME, from = quotas()) => from.take(name, LIMIT, HOUR_MS);

  /** One every second. */
  async function takeAll(): Promise<void> {
    for (let count = 0; count < LIMIT; count++) {
      expect(await take()).toBeNull();
      now += 1_000;
    }
  }

  test('the eleventh call in an hour learns when the first one leaves the window', async () => {
    await takeAll();
    expect(await take()).toEqual({ retryAfterMs: HOUR_MS - LIMIT * 1_000 });
    now = START + HOUR_MS - 1;
    expect(await take()).toEqual({ retryAfterMs: 1 });
    // What was refused does not count.
    now += 1;
    expect(await take()).toBeNull();
    expect(await take()).toEqual({ retryAfterMs: 1_000 });
  });

  test('the window moves on, and all of it is there again after an hour', async () => {
    await takeAll();
    now = START + HOUR_MS + 4_000;
    for (let count = 0; count < 5; count++) expect(await take()).toBeNull();
    expect(await take()).toEqual({ retryAfterMs: 1_000 });
    now += 2 * HOUR_MS;
    await takeAll();
    expect(await take()).not.toBeNull();
  });

  test('every name has its own', async () => {
    await takeAll();
    expect(await take('gupshup-deletions:another app')).toBeNull();
    expect(await take()).not.toBeNull();
  });

  test('is the same for all replicas', async () => {
    await takeAll();
    expect(await take(NAME, replica())).toEqual({ retryAfterMs: HOUR_MS - LIMIT * 1_000 });
  });

  test('let ten of thirty simultaneous calls over two replicas pass', async () => {
    for (const name of ['unknown so far', 'known']) {
      if (name === 'known') await take(name);
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, index) => take(name, index % 2 === 0 ? quotas() : replica())),
      );
      const through = answers.filter((answer) => answer === null).length;
      expect([name, through]).toEqual([name, name === 'known' ? LIMIT - 1 : LIMIT]);
      expect(answers.filter((answer) => answer !== null)).toContainEqual({ retryAfterMs: HOUR_MS });
    }
  });
});
