import { cpuTimeBetween, cpuTimeWhenQuiet } from '../support/cpu-time.js';
import { GraphQLClient, type Question } from '../support/load.js';
import { faultOf, type Server } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { median, pairedRatio } from '../support/statistics.js';
import type { Temperature } from './comparison.js';
import { type Emulator, startEmulator } from './emulator.js';
import { expectLinks, Messages } from './messages.js';
import { startOursOver } from './servers/ours.js';

const SIZES = [10, 100, 1_000, 10_000] as const;
const LARGEST = 10_000;
/** What the largest is held against: small enough to fit everywhere, large enough not to measure the request itself. */
const BASIS = 100;
const TEMPERATURES = ['cold', 'warm'] as const;
const ENTITIES =
  'query Entities($representations: [_Any!]!) { _entities(representations: $representations) { ... on Message { id media { id kind mimeType url } } } }';

export interface GrowthPlan {
  readonly engine: Engine;
  readonly rounds: number;
  /** What a round of each size asks for, in as many requests as that takes. */
  readonly messagesPerRound: number;
  readonly profileFolder: string | null;
}

/** Microseconds a message, medians of the rounds. */
interface SizeFigures {
  readonly messages: number;
  readonly timePerMessage: number;
  /** The server's own, with what it records behind the answer. */
  readonly cpuPerMessage: number;
}

export interface Growth {
  readonly engine: Engine;
  readonly temperature: Temperature;
  readonly sizes: readonly SizeFigures[];
  /** A message of 10,000 against one of 100: medians of the ratios within each round. */
  readonly timeRatio: number;
  readonly cpuRatio: number;
}

interface Measured {
  readonly messages: number;
  readonly temperature: Temperature;
  readonly times: number[];
  readonly cpu: number[];
}

/**
 * How the cost of a message grows with the number of messages in one `_entities` query, one query at a time: of messages
 * that nobody asked for before, and at once again of the same, which the catalogue then answers.
 */
export async function measureGrowth(plan: GrowthPlan): Promise<readonly Growth[]> {
  const emulator = await startEmulator(0);
  let ours: Server | null = null;
  let client: GraphQLClient | null = null;
  try {
    ours = await startOursOver(emulator.provider, { ...plan, limits: { maxProviderCalls: 10_000 } });
    client = new GraphQLClient(ours.said, 1);
    const all = SIZES.map((messages) =>
      TEMPERATURES.map((temperature): Measured => ({ messages, temperature, times: [], cpu: [] })),
    );
    const fresh = new Messages();
    // The first round warms up.
    for (let round = 0; round <= plan.rounds; round += 1) {
      for (const size of round % 2 === 0 ? all : all.toReversed()) {
        const questions = questionsFor(size[0]?.messages ?? 0, plan.messagesPerRound, fresh);
        for (const measured of size) await measure(measured, questions, { ours, client, emulator, counts: round > 0 });
      }
    }
    return TEMPERATURES.map((temperature) =>
      growthOf(
        all.flat().filter((one) => one.temperature === temperature),
        { engine: plan.engine, temperature },
      ),
    );
  } finally {
    await client?.close();
    await ours?.stop();
    await emulator.stop();
  }
}

function questionsFor(messages: number, messagesPerRound: number, fresh: Messages): readonly Question[] {
  return Array.from({ length: Math.max(1, Math.round(messagesPerRound / messages)) }, () => {
    const representations = fresh.take(messages).map((id) => ({ __typename: 'Message', id }));
    return {
      body: JSON.stringify({ query: ENTITIES, variables: { representations } }),
      check: (answer: string) => expectLinks(answer, messages),
    };
  });
}

interface Bench {
  readonly ours: Server;
  readonly client: GraphQLClient;
  readonly emulator: Emulator;
  readonly counts: boolean;
}

/** Rejects unless every message has its link and cost exactly one upstream call if it was new, none if it was not. */
async function measure(
  { messages, temperature, times, cpu }: Measured,
  questions: readonly Question[],
  { ours, client, emulator, counts }: Bench,
): Promise<void> {
  const all = messages * questions.length;
  const callsBefore = await emulator.count();
  const cpuBefore = await ours.cpuTime();
  const { elapsedMs } = await client.drive(questions, 1);
  const used = cpuTimeBetween(cpuBefore, await cpuTimeWhenQuiet(ours.cpuTime));
  const calls = (await emulator.count()) - callsBefore;
  const expected = temperature === 'cold' ? all : 0;
  if (calls !== expected)
    throw faultOf(
      ours,
      `expected ${expected} upstream calls of ${messages} messages a query, ${temperature}, got ${calls}`,
    );
  if (!counts) return;
  times.push((elapsedMs * 1000) / all);
  cpu.push((used.server * 1000) / all);
}

function growthOf(measured: readonly Measured[], name: Pick<Growth, 'engine' | 'temperature'>): Growth {
  const largest = measured.find(({ messages }) => messages === LARGEST);
  const basis = measured.find(({ messages }) => messages === BASIS);
  return {
    ...name,
    sizes: measured.map(({ messages, times, cpu }) => ({
      messages,
      timePerMessage: median(times),
      cpuPerMessage: median(cpu),
    })),
    timeRatio: pairedRatio(largest?.times ?? [], basis?.times ?? []),
    cpuRatio: pairedRatio(largest?.cpu ?? [], basis?.cpu ?? []),
  };
}
