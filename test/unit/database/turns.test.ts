import { type Place, Turns } from '../../../src/database/turns.js';

/** Who has a turn, in the order in which they got it. */
async function served(turns: Turns, ...places: readonly Place[]): Promise<string[]> {
  const order: string[] = [];
  places.forEach((place, index) => {
    void turns.take(place).then(() => order.push(`${place} ${index}`));
  });
  await Promise.resolve();
  await Promise.resolve();
  return order;
}

describe('turns', () => {
  test('are granted in the order of requests, jobs last', async () => {
    const turns = new Turns(1, 1);
    const order = await served(turns, 'first', 'later', 'first', 'later', 'first');
    expect(order).toEqual(['first 0']);
    for (const place of ['first', 'first', 'first', 'later'] as const) {
      turns.giveBack(place);
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(order).toEqual(['first 0', 'first 2', 'first 4', 'later 1', 'later 3']);
  });

  test('are never all granted to jobs', async () => {
    const turns = new Turns(3, 2);
    const order = await served(turns, 'later', 'later', 'later', 'first');
    expect(order).toEqual(['later 0', 'later 1', 'first 3']);
    turns.giveBack('first');
    await Promise.resolve();
    expect(order).toHaveLength(3);
    turns.giveBack('later');
    await Promise.resolve();
    await Promise.resolve();
    expect(order.at(-1)).toBe('later 2');
  });
});
