import { type Priority, PrioritySemaphore } from '../../../src/database/priority-semaphore.js';

/** The callers that hold a permit, in the order in which they received it. */
async function granted(semaphore: PrioritySemaphore, ...priorities: readonly Priority[]): Promise<string[]> {
  const order: string[] = [];
  priorities.forEach((priority, index) => {
    void semaphore.acquire(priority).then(() => order.push(`${priority} ${index}`));
  });
  await Promise.resolve();
  await Promise.resolve();
  return order;
}

describe('the priority semaphore', () => {
  test('serves interactive callers first, each priority in the order of the calls', async () => {
    const semaphore = new PrioritySemaphore(1, 1);
    const order = await granted(semaphore, 'interactive', 'background', 'interactive', 'background', 'interactive');
    expect(order).toEqual(['interactive 0']);
    for (const priority of ['interactive', 'interactive', 'interactive', 'background'] as const) {
      semaphore.release(priority);
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(order).toEqual(['interactive 0', 'interactive 2', 'interactive 4', 'background 1', 'background 3']);
  });

  test('never grants all permits to background jobs', async () => {
    const semaphore = new PrioritySemaphore(3, 2);
    const order = await granted(semaphore, 'background', 'background', 'background', 'interactive');
    expect(order).toEqual(['background 0', 'background 1', 'interactive 3']);
    semaphore.release('interactive');
    await Promise.resolve();
    expect(order).toHaveLength(3);
    semaphore.release('background');
    await Promise.resolve();
    await Promise.resolve();
    expect(order.at(-1)).toBe('background 2');
  });
});
