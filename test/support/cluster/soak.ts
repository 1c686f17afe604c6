import { setTimeout as sleep } from 'node:timers/promises';
import { Chance } from '../chance.js';
import { Cluster } from './cluster.js';
import { FaultLog } from './fault-log.js';
import { LONG_TIMES, roundOfFaults, SHORT_TIMES } from './fault-plan.js';
import { openLink } from './link-flows.js';
import { type FlowPlan, Load } from './load.js';
import { makeFault } from './make-fault.js';
import { announce, askForListed, query } from './message-flows.js';
import { remove, upload } from './mutation-flows.js';
import { growthOf, ProcessSamples } from './process-samples.js';
import { type ClusterReport, reportOf } from './report.js';
import { settled, verifyDeletions, verifyMedia, verifyStore, verifyUploads } from './verify.js';

export interface SoakOptions {
  /** The folder of PostgreSQL's programs. */
  readonly programs: string;
  readonly seed: string;
  /** Ten minutes in place of one. */
  readonly isLong: boolean;
}

/** How many flows of each kind a second begins, in the long form and in the short one, which runs beside other tests. */
const FLOWS: ReadonlyArray<Omit<FlowPlan, 'perSecond'> & { readonly long: number; readonly short: number }> = [
  { name: 'announce', flow: announce, makesWork: true, long: 6, short: 2.5 },
  { name: 'query', flow: query, makesWork: false, long: 6, short: 2.5 },
  { name: 'ask for listed', flow: askForListed, makesWork: true, long: 0.6, short: 0.5 },
  { name: 'open a link', flow: openLink, makesWork: false, long: 6, short: 2 },
  { name: 'upload', flow: upload, makesWork: true, long: 0.4, short: 0.4 },
  { name: 'remove', flow: remove, makesWork: false, long: 0.4, short: 0.3 },
];

/** More than a fault of the store leaves behind. */
const MANY_OPEN_JOBS = 300;
const LONG_MS = 600_000;
/** After the last fault: what waits for its next attempt, for a lease or for a suspect comes to its end. */
const SETTLED_WITHIN_MS = 300_000;

/** Runs the cluster under load and faults, and verifies what is left. It ends everything that it started. */
export async function soak({ programs, seed, isLong }: SoakOptions): Promise<ClusterReport> {
  const cluster = await Cluster.start(programs);
  const faults = new FaultLog();
  const samples = new ProcessSamples(cluster);
  const isBehind = () => (samples.database.at(-1)?.openJobs ?? 0) > MANY_OPEN_JOBS;
  const load = new Load(cluster, faults, seed, isBehind);
  const checks: Record<string, unknown> = {};
  const begunAt = performance.now();
  let seconds = 0;
  try {
    load.begin(FLOWS.map(({ long, short, ...flow }) => ({ ...flow, perSecond: isLong ? long : short })));
    await makeFaults(cluster, faults, { chance: new Chance(seed), isLong });
    await load.end();
    seconds = (performance.now() - begunAt) / 1_000;
    await settled(cluster, SETTLED_WITHIN_MS);
    checks.settledAfterMs = Math.round(performance.now() - begunAt - seconds * 1_000);
    // What follows is no load of a cluster.
    await samples.end();
    const context = load.context('verify');
    await verifyMedia(context);
    checks.uploads = await verifyUploads(context, faults);
    await verifyDeletions(context);
    checks.sweep = await verifyStore(context);
    for (const growth of new Set(growthOf(samples, cluster.replicas.length))) load.ledger.violate(growth);
  } catch (thrown) {
    load.ledger.violate(`the soak was interrupted: ${thrown}`);
  } finally {
    await Promise.all([load.end(), samples.end()]);
    await cluster.close();
  }
  const logged = new Map<string, number>();
  for (const replica of cluster.replicas)
    for (const [line, count] of replica.logged) logged.set(line, (logged.get(line) ?? 0) + count);
  return reportOf({ seed, seconds, load, faults, samples, logged, checks });
}

/** One round of all faults, or as many as there is time for. */
async function makeFaults(
  cluster: Cluster,
  log: FaultLog,
  { chance, isLong }: { readonly chance: Chance; readonly isLong: boolean },
): Promise<void> {
  const times = isLong ? LONG_TIMES : SHORT_TIMES;
  const until = performance.now() + (isLong ? LONG_MS : 0);
  for (let round = 0; round === 0 || performance.now() < until; round += 1) {
    for (const fault of roundOfFaults(chance, times, round)) {
      await sleep(fault.pauseMs);
      await makeFault(cluster, log, fault);
      if (round > 0 && performance.now() >= until) break;
    }
  }
  // After the last fault, everything goes on for a moment.
  await sleep(times.pause);
}
