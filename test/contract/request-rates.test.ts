import { type Draw, SqlRequestCounts } from '../../src/catalogue/request-counts.js';
import { RequestRates } from '../../src/graphql/admission/request-rates.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { describeEngines } from '../support/databases.js';

const logger = createLogger({ level: 'silent' });

describeEngines('blocks of allowances', (bed) => {
  let draws: Draw[] = [];
  beforeEach(() => {
    draws = [];
  });

  function ratesWith(limit: number): RequestRates {
    const counts = new SqlRequestCounts(bed.shared());
    const counting = {
      draw: (tenant: string, draw: Draw) => {
        draws.push(draw);
        return counts.draw(tenant, draw);
      },
    };
    return new RequestRates({ counts: counting, limitOf: () => limit, logger });
  }

  async function take(rates: RequestRates, count: number): Promise<number> {
    let allowed = 0;
    for (let taken = 0; taken < count; taken += 1) if ((await rates.take('acme'))?.isAllowed) allowed += 1;
    return allowed;
  }

  it('are drawn for many requests at once', async () => {
    expect(await take(ratesWith(100_000), 5_000)).toBe(5_000);
    expect(draws.length).toBeLessThan(50);
  });

  it('leave no allowance unused, and need no statement for what is refused', async () => {
    expect(await take(ratesWith(500), 2_000)).toBe(500);
    expect(draws.length).toBeLessThan(200);
  });

  it('are given back when they are not used', async () => {
    const rates = ratesWith(1_000);
    await take(rates, 200);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const charge = await rates.take('acme');
    expect(charge?.remaining).toBe(799);
  });

  it('are shared by concurrent requests', async () => {
    const rates = ratesWith(300);
    const charges = await Promise.all(Array.from({ length: 1_000 }, () => rates.take('acme')));
    expect(charges.filter((charge) => charge?.isAllowed).length).toBe(300);
    expect(draws.length).toBeLessThan(10);
  });
});
