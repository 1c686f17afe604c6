import { setImmediate as turn } from 'node:timers/promises';
import { Slots } from '../../../src/streams/slots.js';

/** Takes a slot and notes when it was given. */
function taker(slots: Slots, given: string[]): (name: string, signal?: AbortSignal) => Promise<void> {
  return async (name, signal) => {
    const wait = slots.take(signal);
    if (wait) await wait;
    given.push(name);
  };
}

describe('slots', () => {
  test('are given at once while there are any, then in the order of asking', async () => {
    const slots = new Slots(2);
    const given: string[] = [];
    const take = taker(slots, given);
    const taken = ['a', 'b', 'c', 'd'].map((name) => take(name));
    await turn();
    expect(given).toEqual(['a', 'b']);
    slots.release();
    await taken[2];
    expect(given).toEqual(['a', 'b', 'c']);
    slots.release();
    await taken[3];
    expect(given).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a caller that goes away leaves the queue at once and takes no slot', async () => {
    const slots = new Slots(1);
    const given: string[] = [];
    const take = taker(slots, given);
    await take('first');
    const caller = new AbortController();
    const gone = take('gone', caller.signal);
    const last = take('last');
    caller.abort(new Error('the caller left'));
    await expect(gone).rejects.toThrow('the caller left');
    slots.release();
    await last;
    expect(given).toEqual(['first', 'last']);
  });

  test('none is lost over thousands of turns, with callers that leave', async () => {
    const slots = new Slots(7);
    let busy = 0;
    let most = 0;
    let done = 0;
    const call = async (index: number): Promise<void> => {
      const caller = new AbortController();
      if (index % 5 === 0) setImmediate(() => caller.abort(new Error('gone')));
      const wait = slots.take(caller.signal);
      if (wait) await wait;
      busy += 1;
      most = Math.max(most, busy);
      await turn();
      busy -= 1;
      done += 1;
      slots.release();
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 5_000 }, (_, index) => call(index)));
    const left = outcomes.filter(({ status }) => status === 'rejected').length;
    expect(most).toBe(7);
    expect(left).toBeGreaterThan(900);
    expect(done).toBe(5_000 - left);
    await turn();
    const free = Array.from({ length: 8 }, () => slots.take());
    expect(free.filter((wait) => wait === null)).toHaveLength(7);
  });
});
