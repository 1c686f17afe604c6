import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { FaultLog } from './fault-log.js';
import type { PlannedFault } from './fault-plan.js';
import type { Replica } from './replica.js';

/** Makes a planned fault, mends it, and waits until all replicas answer. @throws Error when one does not come back */
export async function makeFault(cluster: Cluster, log: FaultLog, fault: PlannedFault): Promise<void> {
  await log.during(fault, {
    make: () => makeAndMend(cluster, fault),
    recover: async () => {
      await Promise.all(cluster.replicas.map((replica) => replica.answers()));
    },
  });
}

async function makeAndMend(cluster: Cluster, { kind, replica: index, ms, harsh }: PlannedFault): Promise<void> {
  const { postgres, store, replicas } = cluster;
  const replica = replicas[index ?? 0];
  if (!replica) throw new Error(`expected a replica ${index}`);
  switch (kind) {
    case 'replica killed':
      return restart(replica, 'SIGKILL', 'SIGKILL');
    case 'replica rolled':
      return restart(replica, 'SIGTERM', 0);
    case 'replica stopped':
      replica.signal('SIGSTOP');
      await sleep(ms);
      return replica.signal('SIGCONT');
    case 'replica cut from PostgreSQL':
      return cut(replica.database, ms, harsh);
    case 'replica cut from S3':
      return cut(replica.store, ms, harsh);
    case 'PostgreSQL restarted':
      return postgres.restart(harsh ? 'SIGQUIT' : 'SIGINT');
    default:
      store.setFault(kind === 'S3 silent' ? 'silent' : 'unavailable');
      await sleep(ms);
      return store.setFault(null);
  }
}

async function restart(replica: Replica, signal: 'SIGKILL' | 'SIGTERM', expected: string | number): Promise<void> {
  const status = await replica.end(signal);
  if (status !== expected) throw new Error(`expected ${replica.name} to end with ${expected}, got ${status}`);
  await replica.start();
}

async function cut(way: Replica['database'], ms: number, harsh: boolean): Promise<void> {
  if (harsh) way.silence();
  else await way.cut();
  await sleep(ms);
  await way.restore();
}
