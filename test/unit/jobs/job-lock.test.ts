import { JobLock, type Leave } from '../../../src/jobs/job-lock.js';

const NEVER = new AbortController().signal;

/** What the jobs of a lock do, in the order of its happening. */
class Jobs {
  readonly log: string[] = [];
  readonly leaves = new Map<string, Leave>();
  readonly letOthersIn = new Map<string, Leave>();

  constructor(readonly lock = new JobLock()) {}

  async share(name: string, signal = NEVER): Promise<void> {
    this.#begin(name, await this.lock.share(signal));
  }

  async alone(name: string, signal = NEVER): Promise<void> {
    const { leave, letOthersIn } = await this.lock.runAlone(signal);
    this.letOthersIn.set(name, letOthersIn);
    this.#begin(name, leave);
  }

  async end(name: string): Promise<void> {
    this.leaves.get(name)?.();
    await turn();
  }

  #begin(name: string, leave: Leave): void {
    this.log.push(name);
    this.leaves.set(name, leave);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a lock of jobs', () => {
  it('lets ordinary jobs run side by side', async () => {
    const jobs = new Jobs();
    for (let n = 0; n < 100; n++) void jobs.share(`${n}`);
    await turn();
    expect(jobs.log).toHaveLength(100);
    expect(jobs.lock.isReserved).toBe(false);
  });

  it('gives turns in the order of asking: nobody overtakes one that waits to be alone', async () => {
    const jobs = new Jobs();
    void jobs.share('a');
    void jobs.share('b');
    void jobs.alone('alone');
    void jobs.share('late');
    void jobs.alone('alone too');
    await turn();
    expect([jobs.log, jobs.lock.isReserved]).toEqual([['a', 'b'], true]);
    await jobs.end('a');
    expect(jobs.log).toEqual(['a', 'b']);
    await jobs.end('b');
    expect(jobs.log).toEqual(['a', 'b', 'alone']);
    await jobs.end('alone');
    expect(jobs.log).toEqual(['a', 'b', 'alone', 'late']);
    await jobs.end('late');
    expect([jobs.log.at(-1), jobs.lock.isReserved]).toEqual(['alone too', true]);
    await jobs.end('alone too');
    expect(jobs.lock.isReserved).toBe(false);
  });

  it('lets others in beside one that was alone, and the next one to be alone waits for all of them', async () => {
    const jobs = new Jobs();
    void jobs.alone('slow');
    void jobs.share('other');
    void jobs.alone('next');
    await turn();
    expect(jobs.log).toEqual(['slow']);
    jobs.letOthersIn.get('slow')?.();
    jobs.letOthersIn.get('slow')?.();
    await turn();
    expect(jobs.log).toEqual(['slow', 'other']);
    await jobs.end('other');
    expect(jobs.log).toEqual(['slow', 'other']);
    await jobs.end('slow');
    expect(jobs.log).toEqual(['slow', 'other', 'next']);
  });

  it('lets nobody in beside the next one when the last one does so too late', async () => {
    const jobs = new Jobs();
    void jobs.alone('over');
    void jobs.alone('next');
    await turn();
    await jobs.end('over');
    jobs.letOthersIn.get('over')?.();
    await jobs.end('over');
    void jobs.share('waits');
    await turn();
    expect([jobs.log, jobs.lock.isReserved]).toEqual([['over', 'next'], true]);
  });

  it('forgets one that gives up waiting, and those behind it go on', async () => {
    const jobs = new Jobs();
    const patience = new AbortController();
    void jobs.share('a');
    const alone = jobs.alone('alone', patience.signal);
    void jobs.share('behind');
    await turn();
    expect(jobs.log).toEqual(['a']);
    patience.abort(new Error('no patience'));
    await expect(alone).rejects.toThrow('no patience');
    await turn();
    expect([jobs.log, jobs.lock.isReserved]).toEqual([['a', 'behind'], false]);
    await expect(jobs.share('too late', patience.signal)).rejects.toThrow('no patience');
    await expect(jobs.alone('too late', patience.signal)).rejects.toThrow('no patience');
    for (const name of ['a', 'behind']) await jobs.end(name);
    void jobs.alone('free again');
    await turn();
    expect(jobs.log.at(-1)).toBe('free again');
  });

  it('keeps nothing of a signal that outlives the job', async () => {
    const jobs = new Jobs();
    const server = new AbortController();
    for (let n = 0; n < 3; n++) {
      await jobs.share(`${n}`, server.signal);
      await jobs.end(`${n}`);
      await jobs.alone(`alone ${n}`, server.signal);
      await jobs.end(`alone ${n}`);
    }
    server.abort();
    await jobs.share('next');
    expect(jobs.log.at(-1)).toBe('next');
  });

  it('tells its listeners when nothing is reserved any more, and not before', async () => {
    const jobs = new Jobs();
    let told = 0;
    jobs.lock.onFree(() => {
      expect(jobs.lock.isReserved).toBe(false);
      told += 1;
    });
    void jobs.alone('a');
    void jobs.alone('b');
    await turn();
    expect(told).toBe(0);
    await jobs.end('a');
    expect(told).toBe(0);
    await jobs.end('b');
    expect(told).toBe(1);
  });

  it('tells its listeners nothing of jobs that run side by side: each would ask the database for more', async () => {
    const jobs = new Jobs();
    let told = 0;
    jobs.lock.onFree(() => {
      told += 1;
    });
    for (const name of ['a', 'b']) void jobs.share(name);
    await turn();
    for (const name of ['a', 'b']) await jobs.end(name);
    expect(told).toBe(0);
  });
});
