import { JobLock } from '../../../src/jobs/job-lock.js';
import { type JobSource, LEASE_MS, LeasedWorker, MAX_DEATHS, PAUSE_MS } from '../../../src/jobs/leased-worker.js';
import type { WorkHistory } from '../../../src/jobs/work-queue.js';
import { createLogger } from '../../../src/telemetry/logger.js';

const { jest } = import.meta;

/** Holds up whoever waits for `opened`. */
class Gate {
  open: () => void = () => {};
  break: (error: Error) => void = () => {};
  readonly opened = new Promise<void>((resolve, reject) => {
    this.open = resolve;
    this.break = reject;
  });
}

/** A job whose work a test ends. */
class Job implements WorkHistory {
  signal: AbortSignal | null = null;
  readonly suspect: boolean;
  readonly interruptions: number;
  readonly deaths: number;
  readonly #gate = new Gate();

  constructor(
    readonly name: string,
    { suspect = false, interruptions = suspect ? 1 : 0, deaths = 0 }: Partial<WorkHistory> = {},
  ) {
    this.suspect = suspect;
    this.interruptions = interruptions;
    this.deaths = deaths;
  }

  work(signal: AbortSignal): Promise<void> {
    this.signal = signal;
    return this.#gate.opened;
  }

  end(): void {
    this.#gate.open();
  }

  fail(error: Error): void {
    this.#gate.break(error);
  }
}

/** Rows in memory: what was claimed is leased until it is handed back. */
class Rows implements JobSource<Job> {
  readonly due: Job[] = [];
  readonly leased = new Set<Job>();
  /** The limits of all claims. */
  readonly claims: number[] = [];
  /** The names of the jobs of each renewal. */
  readonly renewals: string[][] = [];
  /** What another process has claimed since. */
  readonly taken = new Set<Job>();
  readonly condemned: string[] = [];
  /** What was noted of jobs that run alone. */
  readonly notes: string[] = [];
  releases = 0;
  fault: Error | null = null;
  /** While there is one, claims wait for it. */
  gate: Gate | null = null;

  async claim(limit: number): Promise<readonly Job[]> {
    this.claims.push(limit);
    if (this.gate) await this.gate.opened;
    if (this.fault) throw this.fault;
    const jobs = this.due.splice(0, limit);
    for (const job of jobs) this.leased.add(job);
    return jobs;
  }

  async renewLeases(jobs: readonly Job[]): Promise<ReadonlySet<Job>> {
    this.renewals.push(jobs.map(({ name }) => name));
    if (this.fault) throw this.fault;
    return new Set(jobs.filter((job) => !this.taken.has(job)));
  }

  async setAlone(job: Job, isAlone: boolean): Promise<boolean> {
    if (this.fault) throw this.fault;
    if (this.taken.has(job)) return false;
    this.notes.push(`${job.name} ${isAlone ? 'alone' : 'among others'}`);
    return true;
  }

  async condemn(job: Job): Promise<void> {
    this.leased.delete(job);
    this.condemned.push(job.name);
  }

  nameOf({ name }: Job): string {
    return name;
  }

  async release(): Promise<void> {
    this.releases += 1;
    if (this.fault) throw this.fault;
    this.due.push(...this.leased);
    this.leased.clear();
  }
}

let rows: Rows;
let active: Set<Job>;
let mostActive: number;
let lines: string[];
let worker: LeasedWorker<Job>;

beforeEach(() => {
  jest.useFakeTimers();
  rows = new Rows();
  active = new Set();
  mostActive = 0;
  lines = [];
  worker = workerOf(3);
});

afterEach(async () => {
  for (const job of active) job.end();
  await worker.stop();
  jest.useRealTimers();
});

function workerOf(concurrency: number, source = rows, lock = new JobLock()): LeasedWorker<Job> {
  return new LeasedWorker<Job>({
    name: 'tested',
    concurrency,
    source,
    lock,
    work: async (job, signal) => {
      active.add(job);
      mostActive = Math.max(mostActive, active.size);
      try {
        await job.work(signal);
        source.leased.delete(job);
      } finally {
        active.delete(job);
      }
    },
    logger: createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  });
}

function addJobs(count: number): Job[] {
  const jobs = Array.from({ length: count }, (_, index) => new Job(`job ${index}`));
  rows.due.push(...jobs);
  return jobs;
}

/** Lets everything happen that waits for no poll. */
const turn = () => jest.advanceTimersByTimeAsync(PAUSE_MS);
const names = () => [...active].map(({ name }) => name);

describe('a leased worker', () => {
  it('works at its start, as many at a time as it may, and takes the next when one is done', async () => {
    const jobs = addJobs(10);
    worker.start();
    await turn();
    expect(names()).toEqual(['job 0', 'job 1', 'job 2']);
    expect(rows.leased.size).toBe(3);
    for (const job of jobs) {
      job.end();
      await turn();
      expect(active.size).toBeLessThanOrEqual(3);
    }
    expect([mostActive, active.size, rows.leased.size, rows.due.length]).toEqual([3, 0, 0, 0]);
    expect(Math.max(...rows.claims)).toBe(3);
  });

  it('never holds more than it works on, however often it is woken', async () => {
    addJobs(10);
    worker.start();
    for (let round = 0; round < 50; round++) {
      worker.wake();
      if (round % 10 === 0) await turn();
    }
    await turn();
    expect([active.size, rows.leased.size, rows.due.length]).toEqual([3, 3, 7]);
  });

  it('claims once more at most for all wakes of one claim', async () => {
    worker.start();
    await turn();
    rows.claims.length = 0;
    const gate = new Gate();
    rows.gate = gate;
    for (let round = 0; round < 100; round++) worker.wake();
    await turn();
    expect(rows.claims).toHaveLength(1);
    rows.gate = null;
    gate.open();
    await turn();
    expect(rows.claims).toHaveLength(2);
  });

  it('does not miss what came while it was claiming and found nothing', async () => {
    worker.start();
    const gate = new Gate();
    rows.gate = gate;
    await turn();
    worker.wake();
    gate.open();
    rows.gate = null;
    await turn();
    addJobs(1);
    worker.wake();
    await turn();
    expect(names()).toEqual(['job 0']);
  });

  it('finds by its poll what nobody woke it for', async () => {
    worker.start();
    await turn();
    addJobs(1);
    await turn();
    expect(active.size).toBe(0);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(names()).toEqual(['job 0']);
  });

  it('asks the rows once a poll while there is nothing to do', async () => {
    worker.start();
    await turn();
    rows.claims.length = 0;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(rows.claims).toEqual(Array(10).fill(3));
  });

  it('does not ask while its hands are full', async () => {
    addJobs(5);
    worker.start();
    await turn();
    rows.claims.length = 0;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(rows.claims).toEqual([]);
  });

  it('leaves a job whose work rejects to its lease, says so, and goes on', async () => {
    const [first, second, third, fourth] = addJobs(4);
    worker.start();
    await turn();
    first?.fail(new Error('the row could not be written'));
    await turn();
    expect(names()).toEqual(['job 1', 'job 2', 'job 3']);
    expect([...rows.leased]).toEqual([first, second, third, fourth]);
    expect(lines.filter((line) => line.includes('its lease will'))).toEqual([expect.stringContaining('tested')]);
  });

  it('outlives claims that fail: it says so, once a poll, and goes on when they work', async () => {
    addJobs(1);
    rows.fault = new Error('no database');
    worker.start();
    await jest.advanceTimersByTimeAsync(3_000);
    expect(rows.claims).toHaveLength(4);
    expect(lines.filter((line) => line.includes('could not be claimed'))).toHaveLength(4);
    rows.fault = null;
    await jest.advanceTimersByTimeAsync(1_000);
    expect(names()).toEqual(['job 0']);
  });
});

describe("a leased worker's leases", () => {
  it('are renewed at least twice in their life, of what is worked on alone', async () => {
    const [first, broken, last] = addJobs(3);
    worker.start();
    await jest.advanceTimersByTimeAsync(LEASE_MS - 1);
    expect(rows.renewals).toEqual(Array(2).fill(['job 0', 'job 1', 'job 2']));
    first?.end();
    broken?.fail(new Error('the row could not be written'));
    await turn();
    await jest.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect(rows.renewals.at(-1)).toEqual(['job 2']);
    last?.end();
    await turn();
    rows.renewals.length = 0;
    await jest.advanceTimersByTimeAsync(10 * LEASE_MS);
    expect(rows.renewals).toEqual([]);
  });

  it('survive a renewal that fails', async () => {
    addJobs(1);
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await jest.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect(lines.filter((line) => line.includes('could not be renewed'))).toHaveLength(1);
    rows.fault = null;
    await jest.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect(rows.renewals).toHaveLength(2);
  });
});

describe('a leased worker that stops', () => {
  it('aborts what is under way, waits for it, and then hands back what did not end', async () => {
    const [ended, broken] = addJobs(3);
    worker.start();
    await turn();
    let stopped = false;
    const stopping = worker.stop().then(() => {
      stopped = true;
    });
    await turn();
    expect([ended?.signal?.aborted, stopped, rows.releases]).toEqual([true, false, 0]);
    ended?.end();
    for (const job of active) if (job !== ended) job.fail(new Error('the server stops'));
    await stopping;
    expect([stopped, rows.releases, rows.leased.size]).toEqual([true, 1, 0]);
    expect(rows.due).toContain(broken);
    expect(rows.due).not.toContain(ended);
    // What is cut off by the stop is no news.
    expect(lines).toEqual([]);
  });

  it('takes nothing more, by no wake and no poll', async () => {
    worker.start();
    await turn();
    await worker.stop();
    addJobs(1);
    rows.claims.length = 0;
    worker.wake();
    await jest.advanceTimersByTimeAsync(10 * LEASE_MS);
    expect([rows.claims, active.size, rows.renewals]).toEqual([[], 0, []]);
  });

  it('in the middle of a claim hands back what that brought', async () => {
    addJobs(2);
    const gate = new Gate();
    rows.gate = gate;
    worker.start();
    await turn();
    const stopping = worker.stop();
    gate.open();
    rows.gate = null;
    await turn();
    // Whoever works is told by its signal that it need not begin.
    for (const job of active) {
      expect(job.signal?.aborted).toBe(true);
      job.fail(new Error('the server stops'));
    }
    await stopping;
    expect([rows.leased.size, rows.due.length, rows.releases]).toEqual([0, 2, 1]);
  });

  it('stops although nothing can be handed back', async () => {
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await expect(worker.stop()).resolves.toBeUndefined();
    rows.fault = null;
  });
});

describe('a job that was under way when a process died', () => {
  const alone = (name: string, history: Partial<WorkHistory> = {}) => new Job(name, { suspect: true, ...history });
  const ALONE_MS = 20_000;

  it('waits for what is under way, runs alone, and lets the others in when it has ended', async () => {
    const [innocent] = addJobs(1);
    worker.start();
    await turn();
    const [suspect, other] = [alone('suspect'), new Job('other')];
    rows.due.push(suspect, other);
    worker.wake();
    await turn();
    expect([names(), rows.notes]).toEqual([['job 0'], []]);
    innocent?.end();
    await turn();
    expect([names(), rows.notes]).toEqual([['suspect'], ['suspect alone']]);
    suspect.end();
    await turn();
    expect(names()).toEqual(['other']);
  });

  it('runs alone among the jobs of every worker of the process, which claim nothing meanwhile', async () => {
    const lock = new JobLock();
    const others = new Rows();
    const [first, second] = [workerOf(3, rows, lock), workerOf(3, others, lock)];
    try {
      const [a, b] = [alone('a'), alone('b')];
      rows.due.push(a);
      others.due.push(b, new Job('innocent'));
      first.start();
      await turn();
      second.start();
      await jest.advanceTimersByTimeAsync(5_000);
      expect([names(), others.claims]).toEqual([['a'], []]);
      a.end();
      await jest.advanceTimersByTimeAsync(1_000);
      expect(names()).toEqual(['b']);
      b.end();
      await turn();
      expect(names()).toEqual(['innocent']);
    } finally {
      for (const job of active) job.end();
      await Promise.all([first.stop(), second.stop()]);
    }
  });

  it.each([
    [1, ALONE_MS],
    [3, 4 * ALONE_MS],
    [99, 32 * ALONE_MS],
  ])('keeps the others waiting for so long at most, after %i interruptions: %i ms', async (interruptions, windowMs) => {
    const suspect = alone('slow', { interruptions });
    rows.due.push(suspect, new Job('other'));
    worker.start();
    await jest.advanceTimersByTimeAsync(windowMs - PAUSE_MS);
    expect(names()).toEqual(['slow']);
    await jest.advanceTimersByTimeAsync(2 * PAUSE_MS);
    // A death counts no more from the moment on that others run beside it.
    expect([names(), rows.notes]).toEqual([
      ['slow', 'other'],
      ['slow alone', 'slow among others'],
    ]);
  });

  it('goes on alone where it cannot be noted that it does not', async () => {
    rows.due.push(alone('slow'), new Job('other'));
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await jest.advanceTimersByTimeAsync(ALONE_MS);
    expect(names()).toEqual(['slow']);
    rows.fault = null;
  });

  it('is not begun where another process has claimed it meanwhile', async () => {
    const suspect = alone('suspect');
    rows.due.push(suspect, new Job('other'));
    rows.taken.add(suspect);
    worker.start();
    await turn();
    expect(names()).toEqual(['other']);
  });

  it('is ended unbegun after three deaths, and begun after two', async () => {
    rows.due.push(alone('deadly', { deaths: MAX_DEATHS }), alone('perhaps', { deaths: MAX_DEATHS - 1 }));
    worker.start();
    await turn();
    expect([rows.condemned, names()]).toEqual([['deadly'], ['perhaps']]);
    expect(lines.filter((line) => line.includes('is not begun again'))).toHaveLength(1);
  });

  it('holds up neither the others nor the stop when the server stops before its turn', async () => {
    const [innocent] = addJobs(1);
    worker.start();
    await turn();
    rows.due.push(alone('suspect'));
    worker.wake();
    await turn();
    const stopping = worker.stop();
    innocent?.fail(new Error('the server stops'));
    await turn();
    await stopping;
    expect([rows.releases, rows.notes, rows.due.map(({ name }) => name)]).toEqual([1, [], ['job 0', 'suspect']]);
  });
});

describe('a job that another process has taken over', () => {
  it('is aborted by the next renewal, and what is still this one’s goes on', async () => {
    const [lost, held] = addJobs(2);
    worker.start();
    await turn();
    if (lost) rows.taken.add(lost);
    await jest.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect([lost?.signal?.aborted, held?.signal?.aborted]).toEqual([true, false]);
    expect(lost?.signal?.reason).toMatchObject({ message: 'the job was taken over' });
  });
});
