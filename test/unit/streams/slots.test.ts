import { setImmediate as nextTurn } from 'node:timers/promises';
import { Slots } from '../../../src/streams/slots.js';

/** Returns a function that takes a slot and records the order in which callers get theirs. */
function recordingTaker(slots: Slots, grantOrder: string[]): (name: string, signal?: AbortSignal) => Promise<void> {
  return async (name, signal) => {
    const wait = slots.take(signal);
    if (wait) await wait;
    grantOrder.push(name);
  };
}

describe('slots', () => {
  test('are granted immediately while any is free, then in order of arrival', async () => {
    const slots = new Slots(2);
    const grantOrder: string[] = [];
    const take = recordingTaker(slots, grantOrder);
    const taken = ['a', 'b', 'c', 'd'].map((name) => take(name));
    await nextTurn();
    expect(grantOrder).toEqual(['a', 'b']);
    slots.release();
    await taken[2];
    expect(grantOrder).toEqual(['a', 'b', 'c']);
    slots.release();
    await taken[3];
    expect(grantOrder).toEqual(['a', 'b', 'c', 'd']);
  });

  test('are not taken by an aborted caller, which leaves the queue at once', async () => {
    const slots = new Slots(1);
    const grantOrder: string[] = [];
    const take = recordingTaker(slots, grantOrder);
    await take('first');
    const caller = new AbortController();
    const gone = take('gone', caller.signal);
    const last = take('last');
    caller.abort(new Error('the caller left'));
    await expect(gone).rejects.toThrow('the caller left');
    slots.release();
    await last;
    expect(grantOrder).toEqual(['first', 'last']);
  });

  test('are not lost over thousands of calls, some of which are aborted', async () => {
    const slots = new Slots(7);
    let busy = 0;
    let peak = 0;
    let done = 0;
    const call = async (index: number): Promise<void> => {
      const caller = new AbortController();
      if (index % 5 === 0) setImmediate(() => caller.abort(new Error('gone')));
      const wait = slots.take(caller.signal);
      if (wait) await wait;
      busy += 1;
      peak = Math.max(peak, busy);
      await nextTurn();
      busy -= 1;
      done += 1;
      slots.release();
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 5_000 }, (_, index) => call(index)));
    const aborted = outcomes.filter(({ status }) => status === 'rejected').length;
    expect(peak).toBe(7);
    expect(aborted).toBeGreaterThan(900);
    expect(done).toBe(5_000 - aborted);
    await nextTurn();
    const free = Array.from({ length: 8 }, () => slots.take());
    expect(free.filter((wait) => wait === null)).toHaveLength(7);
  });
});
