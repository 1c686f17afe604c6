import { sql } from 'kysely';
import { type Draw, SqlRequestCounts } from '../../src/catalogue/request-counts.js';
import { describeEngines } from '../support/databases.js';

const LIMIT = 100;
const HOUR_MS = 3_600_000;

describeEngines('counts of requests', (bed) => {
  const counts = (database = bed.shared()) => new SqlRequestCounts(database);
  const draw = (keys: Partial<Draw> = {}, of = counts()) =>
    of.draw('acme', { wanted: 1, limit: LIMIT, unused: 0, unusedOf: 0, ...keys });
  /** Lets time pass for the rows. */
  const age = (seconds: number) =>
    sql`update request_counts set times = array(select at - ${seconds} from unnest(times) as at order by at)`.execute(
      bed.shared().kysely,
    );

  it('grants what is left of the limit, and nothing beyond it', async () => {
    expect(await draw({ wanted: 60 })).toMatchObject({ granted: 60, remaining: 40 });
    expect(await draw({ wanted: 60 })).toMatchObject({ granted: 40, remaining: 0 });
    const refused = await draw();
    expect(refused).toMatchObject({ granted: 0, remaining: 0 });
    expect(refused.resetMs).toBeGreaterThan(50_000);
    expect(refused.resetMs).toBeLessThanOrEqual(60_000);
    expect(await counts().draw('globex', { wanted: 1, limit: 5, unused: 0, unusedOf: 0 })).toMatchObject({
      granted: 1,
      remaining: 4,
    });
  });

  it('counts a request for a minute', async () => {
    await draw({ wanted: 60 });
    await age(30);
    await draw({ wanted: 40 });
    await age(28);
    expect((await draw()).granted).toBe(0);
    await age(3);
    expect(await draw({ wanted: 100 })).toMatchObject({ granted: 60, remaining: 0 });
  });

  it('takes unused allowances back, but only once and not those that no longer count', async () => {
    const { at } = await draw({ wanted: 100 });
    expect(await draw({ unused: 30, unusedOf: at })).toMatchObject({ granted: 1, remaining: 29 });
    await age(61);
    expect(await draw({ unused: 30, unusedOf: at - 61 })).toMatchObject({ granted: 1, remaining: 99 });
    expect(await draw({ unused: 1_000, unusedOf: at })).toMatchObject({ granted: 1 });
    expect((await draw({ wanted: LIMIT })).granted).toBeLessThanOrEqual(LIMIT);
  });

  it('grants no more to concurrent draws of two processes', async () => {
    const other = counts(bed.replica());
    const drawn = await Promise.all(
      Array.from({ length: 60 }, (_, index) => draw({ wanted: 3 }, index % 2 === 0 ? counts() : other)),
    );
    expect(drawn.reduce((sum, { granted }) => sum + granted, 0)).toBe(LIMIT);
  });

  it('works where a limit was lowered, and where clocks were set back', async () => {
    await draw({ wanted: 90 });
    expect(await draw({ limit: 10 })).toMatchObject({ granted: 0, remaining: 0 });
    await age(-HOUR_MS);
    expect(await draw()).toMatchObject({ granted: 1, remaining: 99 });
  });

  it('forgets the tenants without requests', async () => {
    await draw();
    await counts().forget(new Date(Date.now() - HOUR_MS));
    expect((await draw()).remaining).toBe(98);
    await counts().forget(new Date(Date.now() + HOUR_MS));
    expect((await draw()).remaining).toBe(99);
  });
});
