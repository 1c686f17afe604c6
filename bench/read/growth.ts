import type { Child } from '../support/child-processes.js';
import { cpuTimeMs } from '../support/cpu-time.js';
import { type Exchange, GraphQLClient } from '../support/load.js';
import { median, pairedRatio } from '../support/statistics.js';
import { type Emulator, startEmulator } from './emulator.js';
import { countLinks, messageIds } from './messages.js';
import { startOurs } from './servers/ours.js';

const SIZES = [10, 100, 1_000, 10_000] as const;
const LARGEST = 10_000;
/** What the largest is held against: small enough to fit everywhere, large enough not to measure the request itself. */
const BASIS = 100;
const ENTITIES =
  'query Entities($representations: [_Any!]!) { _entities(representations: $representations) { ... on Message { id media { id kind mimeType url } } } }';

export interface GrowthPlan {
  readonly rounds: number;
  /** What a round of each size asks for, in as many requests as that takes. */
  readonly messagesPerRound: number;
}

/** Microseconds a message, medians of the rounds. */
interface SizeFigures {
  readonly messages: number;
  readonly timePerMessage: number;
  readonly cpuPerMessage: number;
  /** Of one request. */
  readonly upstreamCalls: number;
}

export interface Growth {
  readonly sizes: readonly SizeFigures[];
  /** A message of 10,000 against one of 100: medians of the ratios within each round. */
  readonly timeRatio: number;
  readonly cpuRatio: number;
}

interface Size {
  readonly messages: number;
  readonly exchange: Exchange;
  readonly upstreamCalls: number;
  readonly times: number[];
  readonly cpu: number[];
}

/** How the cost of a message grows with the number of messages in one `_entities` query, one query at a time. */
export async function measureGrowth(plan: GrowthPlan): Promise<Growth> {
  const emulator = await startEmulator({ messages: LARGEST, latencyMs: 0 });
  let ours: Child | null = null;
  let client: GraphQLClient | null = null;
  try {
    ours = await startOurs(emulator.provider);
    client = new GraphQLClient(ours.said, 1);
    const sizes: Size[] = [];
    for (const messages of SIZES) sizes.push(await prepare(messages, client, emulator));
    // The first round warms up.
    for (let round = 0; round <= plan.rounds; round += 1) {
      const alternated = round % 2 === 0 ? sizes : sizes.toReversed();
      for (const size of alternated) {
        const before = cpuTimeMs(ours.pid);
        const requests = Math.max(1, Math.round(plan.messagesPerRound / size.messages));
        const { elapsedMs } = await client.drive(size.exchange, { requests, concurrency: 1 });
        if (round === 0) continue;
        size.times.push((elapsedMs * 1000) / (requests * size.messages));
        size.cpu.push(((cpuTimeMs(ours.pid) - before) * 1000) / (requests * size.messages));
      }
    }
    return figures(sizes);
  } finally {
    await client?.close();
    await ours?.stop();
    await emulator.stop();
  }
}

/** Rejects unless every message has its link and cost exactly one upstream call. */
async function prepare(messages: number, client: GraphQLClient, emulator: Emulator): Promise<Size> {
  const representations = messageIds(messages).map((id) => ({ __typename: 'Message', id }));
  const body = JSON.stringify({ query: ENTITIES, variables: { representations } });
  const before = await emulator.count();
  const answer = await client.ask(body);
  const upstreamCalls = (await emulator.count()) - before;
  const links = countLinks(answer);
  if (links !== messages) throw new Error(`expected ${messages} links, got ${links} in ${answer.slice(0, 500)}`);
  if (upstreamCalls !== messages) throw new Error(`expected ${messages} upstream calls, got ${upstreamCalls}`);
  return { messages, exchange: { body, answer }, upstreamCalls, times: [], cpu: [] };
}

function figures(sizes: readonly Size[]): Growth {
  const largest = sizes.find(({ messages }) => messages === LARGEST);
  const basis = sizes.find(({ messages }) => messages === BASIS);
  return {
    sizes: sizes.map(({ messages, upstreamCalls, times, cpu }) => ({
      messages,
      timePerMessage: median(times),
      cpuPerMessage: median(cpu),
      upstreamCalls,
    })),
    timeRatio: pairedRatio(largest?.times ?? [], basis?.times ?? []),
    cpuRatio: pairedRatio(largest?.cpu ?? [], basis?.cpu ?? []),
  };
}
