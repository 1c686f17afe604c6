import { type ClaimedJob, type JobHistory, type JobLease, LEASE_MS, MAX_DEATHS } from '../../../src/jobs/job.js';
import type { JobHandler, PreparedJob } from '../../../src/jobs/job-handler.js';
import type { Demand, JobStore } from '../../../src/jobs/job-store.js';
import { JobWorker, PAUSE_MS } from '../../../src/jobs/job-worker.js';
import type { KindOfChannels } from '../../../src/jobs/served-channels.js';
import type { JobKind } from '../../../src/model/job-kind.js';
import { createLogger } from '../../../src/telemetry/logger.js';

const { jest } = import.meta;

/** When nothing is due, after so long the next time is looked up. */
const LOOK_AHEAD_MS = 500;
/** So long after a claim that found nothing, the next one comes at the latest. */
const LONGEST_IDLE_MS = 10_000;

/** Holds up what waits for `opened`. */
class Gate {
  open: () => void = () => {};
  break: (error: Error) => void = () => {};
  readonly opened = new Promise<void>((resolve, reject) => {
    this.open = resolve;
    this.break = reject;
  });
}

interface WorkOptions extends Partial<JobHistory> {
  readonly kind?: JobKind;
  readonly tenant?: string;
}

let lastId = 0;

/** A job whose work a test ends. */
class Work implements PreparedJob {
  readonly job: ClaimedJob;
  signal: AbortSignal | null = null;
  begun = 0;
  readonly #gate = new Gate();

  constructor(
    readonly name: string,
    { kind = 'copy', tenant = 'default', suspect = false, ...history }: WorkOptions = {},
  ) {
    const { interruptions = suspect ? 1 : 0, deaths = 0 } = history;
    lastId += 1;
    this.job = {
      ...{ id: lastId, owner: 'this', kind, tenant, key: name, channelId: null, attempts: 1, payload: null },
      ...{ since: new Date(0), suspect, interruptions, deaths },
    };
  }

  async perform(signal: AbortSignal): Promise<void> {
    this.signal = signal;
    this.begun += 1;
    active.add(this);
    mostActive = Math.max(mostActive, active.size);
    try {
      await this.#gate.opened;
      rows.leased.delete(this);
    } finally {
      active.delete(this);
    }
  }

  async condemn(): Promise<void> {
    rows.leased.delete(this);
    rows.condemned.push(this.name);
  }

  end(): void {
    this.#gate.open();
  }

  fail(error: Error): void {
    this.#gate.break(error);
  }
}

const notCalled = async (): Promise<never> => {
  throw new Error('expected the worker to leave this to its handlers');
};

/** A queue in memory: what was claimed is leased until it is handed back. */
class Rows implements JobStore {
  readonly due: Work[] = [];
  readonly leased = new Set<Work>();
  /** Jobs that become due at a time; also the leases of other processes that end then. */
  readonly later: Array<{ readonly at: number; readonly work: Work }> = [];
  readonly claims: Array<readonly Demand[]> = [];
  /** The keys of the jobs of each renewal. */
  readonly renewals: string[][] = [];
  lookUps = 0;
  /** What another process has claimed since. */
  readonly taken = new Set<Work>();
  readonly condemned: string[] = [];
  readonly finished: string[] = [];
  /** What was noted of jobs that run alone. */
  readonly notes: string[] = [];
  readonly releases: Array<readonly JobKind[]> = [];
  fault: Error | null = null;
  /** While there is one, claims wait for it. */
  gate: Gate | null = null;

  async claim(demands: readonly Demand[]): Promise<ClaimedJob[]> {
    this.claims.push(demands);
    if (this.gate) await this.gate.opened;
    if (this.fault) throw this.fault;
    for (const item of this.later.filter(({ at }) => at <= Date.now())) {
      this.later.splice(this.later.indexOf(item), 1);
      this.due.push(item.work);
    }
    const claimed = demands.flatMap(({ kind, limit, exceptTenants = [] }) =>
      this.due.filter(({ job }) => job.kind === kind && !exceptTenants.includes(job.tenant)).slice(0, limit),
    );
    for (const work of claimed) {
      this.due.splice(this.due.indexOf(work), 1);
      this.leased.add(work);
    }
    return claimed.map(({ job }) => job);
  }

  async nextAt(kinds: readonly KindOfChannels[]): Promise<Date | null> {
    this.lookUps += 1;
    if (this.fault) throw this.fault;
    const times = this.later.filter(({ work }) => kinds.some(({ kind }) => kind === work.job.kind)).map(({ at }) => at);
    return times.length === 0 ? null : new Date(Math.min(...times));
  }

  async renew(jobs: readonly ClaimedJob[]): Promise<ReadonlySet<ClaimedJob>> {
    this.renewals.push(jobs.map(({ key }) => key));
    if (this.fault) throw this.fault;
    const taken = new Set([...this.taken].map(({ job }) => job));
    return new Set(jobs.filter((job) => !taken.has(job)));
  }

  async setAlone({ id }: JobLease, isAlone: boolean): Promise<boolean> {
    if (this.fault) throw this.fault;
    const work = [...this.leased].find(({ job }) => job.id === id);
    if (!work || this.taken.has(work)) return false;
    this.notes.push(`${work.name} ${isAlone ? 'alone' : 'among others'}`);
    return true;
  }

  async release(kinds: readonly JobKind[]): Promise<void> {
    this.releases.push(kinds);
    if (this.fault) throw this.fault;
    for (const work of [...this.leased].filter(({ job }) => kinds.includes(job.kind))) {
      this.leased.delete(work);
      this.due.push(work);
    }
  }

  async finish({ id }: JobLease): Promise<boolean> {
    if (this.fault) throw this.fault;
    for (const work of [...this.leased].filter(({ job }) => job.id === id)) {
      this.leased.delete(work);
      this.finished.push(work.name);
    }
    return true;
  }

  readonly add = notCalled;
  readonly retry = notCalled;
  readonly reschedule = notCalled;
  readonly handBack = notCalled;
  readonly hasten = notCalled;
  readonly bury = notCalled;
  readonly abandonLeases = notCalled;
  readonly pause = notCalled;
  readonly resume = notCalled;
  readonly counts = notCalled;
  readonly countDue = notCalled;
}

let rows: Rows;
let works: Map<number, Work>;
/** Ids of jobs whose subject is gone. */
let moot: Set<number>;
let unprepared: Error | null;
let active: Set<Work>;
let mostActive: number;
let lines: string[];
let worker: JobWorker;

beforeEach(() => {
  jest.useFakeTimers();
  rows = new Rows();
  works = new Map();
  moot = new Set();
  unprepared = null;
  active = new Set();
  mostActive = 0;
  lines = [];
  worker = workerOf(handlerOf());
});

afterEach(async () => {
  rows.fault = null;
  for (const work of active) work.end();
  await worker.stop();
  jest.useRealTimers();
});

function handlerOf(keys: Partial<JobHandler> = {}): JobHandler {
  return {
    kind: 'copy',
    concurrency: 3,
    prepare: async (jobs) => {
      if (unprepared) throw unprepared;
      const prepared = new Map<ClaimedJob, PreparedJob>();
      for (const job of jobs) {
        const work = works.get(job.id);
        if (work && !moot.has(job.id)) prepared.set(job, work);
      }
      return prepared;
    },
    ...keys,
  };
}

function workerOf(...handlers: readonly JobHandler[]): JobWorker {
  const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
  return new JobWorker({ store: rows, handlers, clock: { now: () => Date.now() }, logger });
}

function add(...added: readonly Work[]): void {
  for (const work of added) works.set(work.job.id, work);
  rows.due.push(...added);
}

function addLater(inMs: number, work: Work): void {
  works.set(work.job.id, work);
  rows.later.push({ at: Date.now() + inMs, work });
}

function addJobs(count: number, options: WorkOptions = {}): Work[] {
  const added = Array.from({ length: count }, (_, index) => new Work(`job ${index}`, options));
  add(...added);
  return added;
}

const advance = (ms: number) => jest.advanceTimersByTimeAsync(ms);
/** Lets everything happen that waits for no other timer than the pause between claims. */
const turn = () => advance(PAUSE_MS);
const names = () => [...active].map(({ name }) => name);
const linesWith = (text: string) => lines.filter((line) => line.includes(text));

describe('a worker', () => {
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
    expect(Math.max(...rows.claims.flat().map(({ limit }) => limit))).toBe(3);
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
    for (let round = 0; round < 100; round++) worker.wake();
    await turn();
    expect(rows.claims).toHaveLength(1);
    rows.gate = null;
    gate.open();
    await turn();
    await turn();
    expect(rows.claims).toHaveLength(2);
  });

  it('does not miss what came while it was claiming and found nothing', async () => {
    worker.start();
    await turn();
    const gate = new Gate();
    rows.gate = gate;
    worker.wake();
    await turn();
    worker.wake();
    gate.open();
    rows.gate = null;
    addJobs(1);
    await turn();
    await turn();
    expect(names()).toEqual(['job 0']);
  });

  it('does nothing before its start', async () => {
    addJobs(1);
    worker.wake();
    await advance(LONGEST_IDLE_MS);
    expect(rows.claims).toEqual([]);
  });

  it('claims what it was woken for, of the kinds that it performs', async () => {
    worker = workerOf(handlerOf(), handlerOf({ kind: 'webhook', concurrency: 16 }));
    worker.start();
    await turn();
    expect(rows.claims).toEqual([
      [
        { kind: 'copy', limit: 3 },
        { kind: 'webhook', limit: 16 },
      ],
    ]);
    rows.claims.length = 0;
    worker.wake(['upload', 'sweep']);
    await turn();
    expect(rows.claims).toEqual([]);
    worker.wake(['webhook', 'upload']);
    await turn();
    expect(rows.claims).toEqual([[{ kind: 'webhook', limit: 16 }]]);
  });

  it('gives every kind its own places', async () => {
    worker = workerOf(handlerOf({ concurrency: 1 }), handlerOf({ kind: 'webhook', concurrency: 2 }));
    const [copy] = addJobs(2);
    addJobs(3, { kind: 'webhook' });
    worker.start();
    await turn();
    expect([...active].map(({ job }) => job.kind)).toEqual(['copy', 'webhook', 'webhook']);
    copy?.end();
    await turn();
    await turn();
    expect([...active].map(({ job }) => job.kind).sort()).toEqual(['copy', 'webhook', 'webhook']);
    expect(rows.due).toHaveLength(1);
  });

  it('performs so many jobs of one tenant at once as the kind says, and others beside them', async () => {
    worker = workerOf(handlerOf({ concurrency: 4, perTenant: 2 }));
    const busy = addJobs(3, { tenant: 'busy' });
    add(new Work('other', { tenant: 'another' }));
    worker.start();
    await advance(10 * PAUSE_MS);
    expect(names()).toEqual(['job 0', 'job 1', 'other']);
    expect(rows.due).toEqual([busy[2]]);
    busy[0]?.end();
    await advance(10 * PAUSE_MS);
    expect(names()).toEqual(['job 1', 'other', 'job 2']);
  });
});

describe('a worker without news', () => {
  it('claims by itself after ten seconds at the latest', async () => {
    worker.start();
    await turn();
    addJobs(1);
    await advance(LOOK_AHEAD_MS);
    expect(active.size).toBe(0);
    await advance(LONGEST_IDLE_MS);
    expect(names()).toEqual(['job 0']);
  });

  it('costs the database two statements in ten seconds while there is nothing to do', async () => {
    worker.start();
    await turn();
    rows.claims.length = 0;
    rows.lookUps = 0;
    await advance(10 * LONGEST_IDLE_MS);
    expect(rows.claims.length).toBeGreaterThanOrEqual(9);
    expect(rows.claims.length).toBeLessThanOrEqual(10);
    expect(rows.lookUps).toBeLessThanOrEqual(10);
    expect(rows.renewals).toEqual([]);
  });

  it.each([
    ['a job is due', 3_000],
    ['a job is due', 9_999],
    ['a job is due before it has looked up the time', 100],
  ])('claims when %s, in %i ms', async (_, inMs) => {
    worker.start();
    await turn();
    addLater(inMs, new Work('postponed'));
    await advance(Math.max(inMs, LOOK_AHEAD_MS) + PAUSE_MS);
    expect(names()).toEqual(['postponed']);
  });

  it('looks up the time again when one of its own jobs has ended, which may have been postponed', async () => {
    const [job] = addJobs(1);
    worker.start();
    await advance(LOOK_AHEAD_MS);
    addLater(2_000, new Work('postponed'));
    job?.end();
    await advance(2_000 + PAUSE_MS);
    expect(names()).toEqual(['postponed']);
  });

  it('does not claim while its places are full', async () => {
    addJobs(5);
    worker.start();
    await turn();
    rows.claims.length = 0;
    await advance(10 * LONGEST_IDLE_MS);
    expect(rows.claims).toEqual([]);
  });

  it('goes on by the clock when the next time cannot be looked up', async () => {
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await advance(LOOK_AHEAD_MS);
    expect(linesWith('could not be looked up')).toHaveLength(1);
    rows.fault = null;
    addJobs(1);
    await advance(LONGEST_IDLE_MS + PAUSE_MS);
    expect(names()).toEqual(['job 0']);
  });
});

describe('a worker whose work fails', () => {
  it('leaves a job whose work rejects to its lease, says so, and goes on', async () => {
    const [first, second, third, fourth] = addJobs(4);
    worker.start();
    await turn();
    first?.fail(new Error('the row could not be written'));
    await turn();
    expect(names()).toEqual(['job 1', 'job 2', 'job 3']);
    expect([...rows.leased]).toEqual([first, second, third, fourth]);
    expect(linesWith('its lease will')).toHaveLength(1);
  });

  it('outlives claims that fail: it says so, claims again twice a second, and goes on when they work', async () => {
    addJobs(1);
    rows.fault = new Error('no database');
    worker.start();
    await advance(3 * LOOK_AHEAD_MS);
    expect(rows.claims).toHaveLength(4);
    expect(linesWith('could not be claimed')).toHaveLength(4);
    rows.fault = null;
    await advance(LOOK_AHEAD_MS);
    expect(names()).toEqual(['job 0']);
  });

  it('leaves jobs that could not be prepared to their leases, and goes on', async () => {
    const [first] = addJobs(1);
    unprepared = new Error('no database');
    worker.start();
    await turn();
    expect(linesWith('could not be prepared')).toHaveLength(1);
    expect([...rows.leased]).toEqual([first]);
    unprepared = null;
    add(new Work('next'));
    worker.wake();
    await turn();
    expect(names()).toEqual(['next']);
  });

  it('ends jobs whose subject is gone without beginning them', async () => {
    const [gone, kept] = addJobs(2);
    if (gone) moot.add(gone.job.id);
    worker.start();
    await turn();
    expect([rows.finished, names(), [...rows.leased]]).toEqual([['job 0'], ['job 1'], [kept]]);
  });
});

describe("a worker's leases", () => {
  it('are renewed at least twice in their life, of what is worked on alone', async () => {
    const [first, broken, last] = addJobs(3);
    worker.start();
    await advance(LEASE_MS - 1);
    expect(rows.renewals).toEqual(Array(2).fill(['job 0', 'job 1', 'job 2']));
    first?.end();
    broken?.fail(new Error('the row could not be written'));
    await turn();
    await advance(LEASE_MS / 3);
    expect(rows.renewals.at(-1)).toEqual(['job 2']);
    last?.end();
    await turn();
    rows.renewals.length = 0;
    await advance(10 * LEASE_MS);
    expect(rows.renewals).toEqual([]);
  });

  it('survive a renewal that fails', async () => {
    const [job] = addJobs(1);
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await advance(LEASE_MS / 3);
    expect(linesWith('could not be renewed')).toHaveLength(1);
    rows.fault = null;
    await advance(LEASE_MS / 3);
    expect(rows.renewals).toHaveLength(2);
    expect(job?.signal?.aborted).toBe(false);
  });

  it('that ran out and are claimed again by the same worker begin no job twice', async () => {
    const [job] = addJobs(1);
    worker.start();
    await turn();
    if (job) rows.due.push(job);
    worker.wake();
    await turn();
    await turn();
    expect([job?.begun, rows.due.length, names()]).toEqual([1, 0, ['job 0']]);
  });

  it('that another process has taken over end their jobs at the next renewal; the others go on', async () => {
    const [lost, held] = addJobs(2);
    worker.start();
    await turn();
    if (lost) rows.taken.add(lost);
    await advance(LEASE_MS / 3);
    expect([lost?.signal?.aborted, held?.signal?.aborted]).toEqual([true, false]);
    expect(lost?.signal?.reason).toMatchObject({ message: 'the job was taken over' });
  });

  it('that another process has taken over do not end jobs that take back what they have done', async () => {
    worker = workerOf(handlerOf({ outlivesLease: true }));
    const [lost] = addJobs(1);
    worker.start();
    await turn();
    if (lost) rows.taken.add(lost);
    await advance(LEASE_MS);
    expect(lost?.signal?.aborted).toBe(false);
  });
});

describe('a worker that stops', () => {
  it('aborts what is under way, waits for it, and then hands back what did not end', async () => {
    const [ended, broken] = addJobs(3);
    worker.start();
    await turn();
    let stopped = false;
    const stopping = worker.stop().then(() => {
      stopped = true;
    });
    await turn();
    expect([ended?.signal?.aborted, stopped, rows.releases]).toEqual([true, false, []]);
    ended?.end();
    for (const job of active) if (job !== ended) job.fail(new Error('the server stops'));
    await stopping;
    expect([stopped, rows.releases, rows.leased.size]).toEqual([true, [['copy']], 0]);
    expect(rows.due).toContain(broken);
    expect(rows.due).not.toContain(ended);
    // What is cut off by the stop is no news.
    expect(lines).toEqual([]);
  });

  it('waits five seconds for jobs that do not end, and hands them back', async () => {
    const [stuck] = addJobs(1);
    worker.start();
    await turn();
    const stopping = worker.stop();
    await advance(4_999);
    expect(rows.releases).toEqual([]);
    await advance(1);
    await stopping;
    expect(rows.due).toEqual([stuck]);
  });

  it('takes nothing more, by no wake and by no timer', async () => {
    worker.start();
    await turn();
    await worker.stop();
    addJobs(1);
    rows.claims.length = 0;
    rows.lookUps = 0;
    worker.wake();
    await advance(10 * LEASE_MS);
    expect([rows.claims, rows.lookUps, active.size, rows.renewals]).toEqual([[], 0, 0, []]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when it stops while it looks up the next time, or while a job ends', async () => {
    const [job] = addJobs(1);
    worker.start();
    await advance(LOOK_AHEAD_MS - 1);
    job?.end();
    await Promise.all([worker.stop(), advance(1)]);
    await advance(0);
    expect(jest.getTimerCount()).toBe(0);
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
    // What was begun learns by its signal that it need not go on.
    for (const work of active) {
      expect(work.signal?.aborted).toBe(true);
      work.fail(new Error('the server stops'));
    }
    await stopping;
    expect([rows.leased.size, rows.due.length, rows.releases]).toEqual([0, 2, [['copy']]]);
  });

  it('stops although nothing can be handed back', async () => {
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await expect(worker.stop()).resolves.toBeUndefined();
    await expect(worker.stop()).resolves.toBeUndefined();
    expect(linesWith('could not be released').length).toBeLessThanOrEqual(1);
  });
});

describe('a worker that hands back', () => {
  it('ends what no caller waits for, and goes on with what callers wait for, until it stops', async () => {
    worker = workerOf(handlerOf(), handlerOf({ kind: 'upload', isAwaited: true }));
    const copy = new Work('copy');
    const upload = new Work('upload', { kind: 'upload' });
    add(copy, upload);
    worker.start();
    await turn();
    const handing = worker.handBack();
    copy.fail(new Error('the server stops'));
    await turn();
    await handing;
    expect([copy.signal?.aborted, upload.signal?.aborted, rows.releases]).toEqual([true, false, [['copy']]]);
    expect([names(), rows.due]).toEqual([['upload'], [copy]]);
    rows.claims.length = 0;
    const next = new Work('next upload', { kind: 'upload' });
    add(next);
    worker.wake();
    await turn();
    expect(names()).toEqual(['upload', 'next upload']);
    await advance(3 * LONGEST_IDLE_MS);
    expect(new Set(rows.claims.flat().map(({ kind }) => kind))).toEqual(new Set(['upload']));
    upload.end();
    next.end();
    await turn();
    await worker.stop();
    expect([rows.leased.size, rows.due]).toEqual([0, [copy]]);
  });
});

describe('a job that was under way when a process died', () => {
  const alone = (name: string, options: WorkOptions = {}) => new Work(name, { suspect: true, ...options });
  const ALONE_MS = 20_000;

  it('waits for what is under way, runs alone, and lets the others in when it has ended', async () => {
    const [innocent] = addJobs(1);
    worker.start();
    await turn();
    const [suspect, other] = [alone('suspect'), new Work('other')];
    add(suspect, other);
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

  it('runs alone among the jobs of every kind, and nothing is claimed meanwhile', async () => {
    worker = workerOf(handlerOf(), handlerOf({ kind: 'webhook' }), handlerOf({ kind: 'sweep', isTrusted: true }));
    const [a, b] = [alone('a'), alone('b', { kind: 'webhook' })];
    add(a, b);
    worker.start();
    await turn();
    rows.claims.length = 0;
    add(new Work('innocent', { kind: 'webhook' }), new Work('trusted', { kind: 'sweep' }));
    worker.wake();
    await advance(5_000);
    expect([names(), rows.claims]).toEqual([['a'], []]);
    a.end();
    await advance(1_000);
    expect([names(), rows.claims]).toEqual([['b'], []]);
    b.end();
    await turn();
    expect(names()).toEqual(['innocent', 'trusted']);
  });

  it('runs beside others, and is never given up, where its kind is trusted', async () => {
    worker = workerOf(handlerOf({ isTrusted: true }));
    add(new Work('other'), alone('deadly', { deaths: MAX_DEATHS + 5, interruptions: 99 }));
    worker.start();
    await turn();
    expect([names(), rows.notes, rows.condemned]).toEqual([['other', 'deadly'], [], []]);
  });

  it.each([
    [1, ALONE_MS],
    [3, 4 * ALONE_MS],
    [99, 32 * ALONE_MS],
  ])('keeps the others waiting for so long at most, after %i interruptions: %i ms', async (interruptions, windowMs) => {
    add(alone('slow', { interruptions }), new Work('other'));
    worker.start();
    await advance(windowMs - PAUSE_MS);
    expect(names()).toEqual(['slow']);
    await advance(2 * PAUSE_MS);
    // A death counts no more from the moment on that others run beside it.
    expect([names(), rows.notes]).toEqual([
      ['slow', 'other'],
      ['slow alone', 'slow among others'],
    ]);
  });

  it('goes on alone where it cannot be noted that it does not', async () => {
    add(alone('slow'), new Work('other'));
    worker.start();
    await turn();
    rows.fault = new Error('no database');
    await advance(ALONE_MS);
    expect(names()).toEqual(['slow']);
  });

  it('is not begun where another process has claimed it meanwhile', async () => {
    const suspect = alone('suspect');
    add(suspect, new Work('other'));
    rows.taken.add(suspect);
    worker.start();
    await turn();
    expect(names()).toEqual(['other']);
  });

  it('is ended unbegun after three deaths, and begun after two', async () => {
    add(alone('deadly', { deaths: MAX_DEATHS }), alone('perhaps', { deaths: MAX_DEATHS - 1 }));
    worker.start();
    await turn();
    expect([rows.condemned, names()]).toEqual([['deadly'], ['perhaps']]);
    expect(linesWith('was abandoned')).toHaveLength(1);
  });

  it('holds up neither the others nor the stop when the server stops before its turn', async () => {
    const [innocent] = addJobs(1);
    worker.start();
    await turn();
    add(alone('suspect'));
    worker.wake();
    await turn();
    const stopping = worker.stop();
    innocent?.fail(new Error('the server stops'));
    await turn();
    await stopping;
    expect([rows.releases, rows.notes, rows.due.map(({ name }) => name)]).toEqual([
      [['copy']],
      [],
      ['job 0', 'suspect'],
    ]);
  });

  it('lets the others on when its kind is handed back before its turn', async () => {
    worker = workerOf(handlerOf(), handlerOf({ kind: 'upload', isAwaited: true }));
    const upload = new Work('upload', { kind: 'upload' });
    add(upload);
    worker.start();
    await turn();
    add(alone('suspect'), new Work('next upload', { kind: 'upload' }));
    worker.wake(['copy']);
    await turn();
    await worker.handBack();
    worker.wake(['upload']);
    await turn();
    expect([names(), rows.due.map(({ name }) => name)]).toEqual([['upload', 'next upload'], ['suspect']]);
  });
});
