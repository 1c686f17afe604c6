import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../support/child-processes.js';
import { cpuTimeBetween } from '../support/cpu-time.js';
import { GraphQLClient } from '../support/load.js';
import { residentMegabytes } from '../support/memory.js';
import { faultOf, type Server, startOurs } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { quantile } from '../support/statistics.js';
import { accountFor } from './accounting.js';
import { channelsOver, Deliveries, type Delivery, type Providers, providersSchema } from './lines.js';
import { Sender, type Sent } from './sender.js';

const PROCESS = fileURLToPath(new URL('./providers-process.ts', import.meta.url));
const WARM_UP_SECONDS = 5;
const SAMPLE_MS = 5_000;
/** One in so many deliveries is one that came before. */
const REPEATED_EVERY = 20;
/** A prime: repetitions are spread over all that came before. */
const STRIDE = 7_919;
const OK = 200;

export interface EndurancePlan {
  readonly engine: Engine;
  readonly perSecond: number;
  /** After five seconds at the same rate, which warm up: their deliveries are accounted for, but not in the times. */
  readonly seconds: number;
  /** How long everything may take to be READY after the last delivery. */
  readonly readyWithinMs: number;
  readonly profileFolder: string | null;
}

interface Resident {
  /** Since the first delivery. */
  readonly atSeconds: number;
  readonly megabytes: number;
}

export interface Endurance {
  readonly engine: Engine;
  readonly perSecond: number;
  readonly deliveries: number;
  /** How many of them came before. */
  readonly repeated: number;
  /** From the moment that a delivery was due until it was acknowledged, milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** The longest of the first five seconds, when the server has compiled nothing yet. */
  readonly warmUpMax: number;
  /** How late the sender itself was, at the 99th percentile, milliseconds: part of the three before. */
  readonly senderLateness: number;
  /** The CPU time of all work, milliseconds: acknowledging, parsing and copying, with the queries that check it. */
  readonly cpuPerDelivery: number;
  readonly databaseCpuPerDelivery: number | null;
  /** From the last acknowledgement until all media are stored, seconds. */
  readonly readyAfterSeconds: number;
  /** Media that are READY with their bytes: one for every acknowledged message. */
  readonly ready: number;
  /** At the start, every five seconds, and when all is READY. */
  readonly resident: readonly Resident[];
}

/** Webhooks at a constant rate, and what is left of them. @throws Error when anything acknowledged is lost or is there twice */
export async function endure(plan: EndurancePlan): Promise<Endurance> {
  const { perSecond, seconds } = plan;
  const [child, providers] = await startProviders(perSecond * (WARM_UP_SECONDS + seconds));
  let server: Server | null = null;
  let sender: Sender | null = null;
  let client: GraphQLClient | null = null;
  try {
    const config = { channels: channelsOver(providers), mirror: { mode: 'eager' } };
    server = await startOurs({ engine: plan.engine, config, profileFolder: plan.profileFolder });
    sender = new Sender(server.said);
    client = new GraphQLClient(server.said, 1);
    return await run(plan, planDeliveries(plan, new Deliveries(providers)), { server, sender, client });
  } finally {
    await Promise.all([sender?.close(), client?.close()]);
    await Promise.all([server?.stop(), child.stop()]);
  }
}

async function startProviders(media: number): Promise<[Child, Providers]> {
  const child = await startChild({
    name: 'providers',
    args: ['--import', '@swc-node/register/esm-register', PROCESS, String(media)],
    ready: /^(\{.*\})$/m,
  });
  return [child, providersSchema.parse(JSON.parse(child.said))];
}

interface Planned {
  readonly warmUp: readonly Delivery[];
  readonly measured: readonly Delivery[];
  /** Those that come for the first time: one a message. */
  readonly distinct: readonly Delivery[];
}

function planDeliveries({ perSecond, seconds }: EndurancePlan, deliveries: Deliveries): Planned {
  const distinct: Delivery[] = [];
  const all = Array.from({ length: perSecond * (WARM_UP_SECONDS + seconds) }, (_, index) => {
    const earlier = index % REPEATED_EVERY === REPEATED_EVERY - 1 ? distinct[(index * STRIDE) % distinct.length] : null;
    if (earlier) return earlier;
    const delivery = deliveries.of(distinct.length);
    distinct.push(delivery);
    return delivery;
  });
  const border = perSecond * WARM_UP_SECONDS;
  return { warmUp: all.slice(0, border), measured: all.slice(border), distinct };
}

interface Running {
  readonly server: Server;
  readonly sender: Sender;
  readonly client: GraphQLClient;
}

async function run(plan: EndurancePlan, planned: Planned, { server, sender, client }: Running): Promise<Endurance> {
  const { warmUp, measured, distinct } = planned;
  const cpuBefore = await server.cpuTime();
  const memory = new MemorySamples(server.pid);
  try {
    const all = [await sender.send(warmUp, plan.perSecond), await sender.send(measured, plan.perSecond)].flat();
    const answeredAt = performance.now();
    expectAcknowledged(all, server);
    const loss = await accountFor({ client, deliveries: distinct, timeoutMs: plan.readyWithinMs });
    if (loss !== null) throw faultOf(server, loss);
    const readyAfterSeconds = (performance.now() - answeredAt) / 1000;
    memory.take();
    const cpu = cpuTimeBetween(cpuBefore, await server.cpuTime());
    const sent = all.slice(warmUp.length);
    const latencies = sent.map(({ latency }) => latency);
    return {
      engine: plan.engine,
      perSecond: plan.perSecond,
      deliveries: all.length,
      repeated: all.length - distinct.length,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      max: Math.max(...latencies),
      warmUpMax: Math.max(...all.slice(0, warmUp.length).map(({ latency }) => latency)),
      senderLateness: quantile(
        sent.map(({ lateness }) => lateness),
        0.99,
      ),
      cpuPerDelivery: cpu.server / all.length,
      databaseCpuPerDelivery: cpu.database === null ? null : cpu.database / all.length,
      readyAfterSeconds,
      ready: distinct.length,
      resident: memory.samples,
    };
  } finally {
    memory.stop();
  }
}

/** A delivery that is refused proves nothing about those that are not. */
function expectAcknowledged(sent: readonly Sent[], server: Server): void {
  const outcomes = new Map<Sent['outcome'], number>();
  for (const { outcome } of sent) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  if (outcomes.get(OK) === sent.length) return;
  const told = [...outcomes].map(([outcome, count]) => `${count} × ${outcome}`).join(', ');
  throw faultOf(server, `expected every delivery to be answered ${OK}, got ${told}`);
}

class MemorySamples {
  readonly samples: Resident[] = [];
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly pid: number) {
    this.take();
    this.#timer = setInterval(() => this.take(), SAMPLE_MS);
  }

  take(): void {
    const atSeconds = (performance.now() - this.#startedAt) / 1000;
    this.samples.push({ atSeconds, megabytes: residentMegabytes(this.pid) });
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
