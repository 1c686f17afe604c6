import { setTimeout as sleep } from 'node:timers/promises';
import { Chance } from '../chance.js';
import type { Cluster } from './cluster.js';
import type { FaultLog } from './fault-log.js';
import { Ledger, type LedgerItem, nameOf } from './ledger.js';
import { RequestLog, type Way } from './request-log.js';

/** What every flow of the load works with. */
export interface LoadContext {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly requests: RequestLog;
  readonly chance: Chance;
  readonly nginx: Way;
  /** One way to each replica. */
  readonly replicas: readonly Way[];
}

/** One unit of work from its begin to its acknowledgement. */
export type Flow = (context: LoadContext) => Promise<void>;

export interface FlowPlan {
  readonly name: string;
  readonly flow: Flow;
  readonly perSecond: number;
  /** Whether the flow leaves work behind its acknowledgement. */
  readonly makesWork: boolean;
}

/** A cluster that does not keep up gets fewer requests, not ever more of them at once. */
const MAX_AT_ONCE = 32;
/** For so long without a fault, a caller repeats what was not acknowledged: above the lease of a deletion. */
const PATIENCE_MS = 180_000;

/** Starts flows at fixed rates, whatever the cluster answers. */
export class Load {
  readonly ledger = new Ledger();
  readonly requests: RequestLog;
  /** How often a flow was not begun: too many of its kind were under way, or too much work was open. */
  skipped = 0;
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #ticking: Array<Promise<void>> = [];

  constructor(
    private readonly cluster: Cluster,
    faults: FaultLog,
    private readonly seed: string,
    /** Whether more work is open than the cluster gets done in time: the machine has other things to do. */
    private readonly isBehind: () => boolean,
  ) {
    this.requests = new RequestLog(faults, this.ledger);
  }

  begin(plans: readonly FlowPlan[]): void {
    for (const plan of plans) this.#ticking.push(this.#tick(plan, this.context(plan.name)));
  }

  /** Begins nothing more, and waits until everything that was begun is acknowledged or was given up. */
  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#ticking);
    await Promise.all(this.#running);
  }

  /** The numbers of one flow do not depend on how many others draw. */
  context(name: string): LoadContext {
    const { cluster, ledger, requests } = this;
    const replicas = cluster.replicas.map(({ name, client }) => ({ name, client, isNginx: false }));
    const nginx = { name: 'nginx', client: cluster.client, isNginx: true };
    return { cluster, ledger, requests, chance: new Chance(`${this.seed} ${name}`), nginx, replicas };
  }

  async #tick({ flow, name, perSecond, makesWork }: FlowPlan, context: LoadContext): Promise<void> {
    const { signal } = this.#ending;
    let underWay = 0;
    for (let nextAt = performance.now(); !signal.aborted; ) {
      nextAt += (1_000 / perSecond) * (0.5 + context.chance.next());
      await sleep(Math.max(0, nextAt - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      if (underWay >= MAX_AT_ONCE || (makesWork && this.isBehind())) {
        this.skipped += 1;
        continue;
      }
      underWay += 1;
      const running = flow(context)
        .catch((thrown: unknown) => this.ledger.violate(`the flow "${name}" failed: ${thrown}`))
        .finally(() => {
          underWay -= 1;
          this.#running.delete(running);
        });
      this.#running.add(running);
    }
  }
}

/** Repeats an attempt until it succeeds. A caller that has to wait too long is a violation. @param attempt null: not yet */
export async function persist<Result>(
  { ledger, requests }: LoadContext,
  item: LedgerItem,
  what: string,
  attempt: () => Promise<Result | null>,
): Promise<Result | null> {
  let since = performance.now();
  for (let pauseMs = 200; ; pauseMs = Math.min(2_000, pauseMs * 2)) {
    const result = await attempt();
    if (result !== null) return result;
    if (requests.isInFault) since = performance.now();
    if (performance.now() > since + PATIENCE_MS) {
      ledger.violate(`${what} of ${nameOf(item)} did not succeed within ${PATIENCE_MS} ms without a fault`);
      return null;
    }
    await sleep(pauseMs);
  }
}

/** One of the items that suit; null: there is none yet. */
export function pick({ ledger, chance }: LoadContext, suits: (item: LedgerItem) => boolean): LedgerItem | null {
  const { items } = ledger;
  // Recent items are as likely as old ones, and a search of all would take longer with every item.
  for (let tries = 0; tries < 20; tries += 1) {
    const item = items[chance.below(items.length)];
    if (item && suits(item)) return item;
  }
  return null;
}

/** Mostly nginx, which is what callers know; else one replica. */
export function someWay({ nginx, replicas, chance }: LoadContext): Way {
  if (chance.next() < 0.7) return nginx;
  return replicas[chance.below(replicas.length)] ?? nginx;
}
