import { fileURLToPath } from 'node:url';
import { startChild } from '../support/child-processes.js';
import { cpuTimeBetween, cpuTimeMs, cpuTimeWhenQuiet } from '../support/cpu-time.js';
import { GraphQLClient, type Question } from '../support/load.js';
import { faultOf, type Server } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { median, pairedRatio, quantile } from '../support/statistics.js';
import { type Emulator, startEmulator } from './emulator.js';
import { expectLinks, Messages } from './messages.js';
import type { Provider } from './provider.js';
import { startOursOver } from './servers/ours.js';

const MESSAGES = 50;
const FIELDS = 'id media { id status kind mimeType url urlExpiresAt }';
const ONE_READ = `messagesWithMedia(ids: $ids) { ${FIELDS} }`;
const READ = `query Read($ids: [ID!]!) { ${ONE_READ} }`;
const REPEATED = `query Repeated($ids: [ID!]!) { a: ${ONE_READ} b: ${ONE_READ} c: ${ONE_READ} }`;

const PEERS = ['straightforward', 'mercurius-jit'] as const;
const BASIS = 'straightforward';
/** How often a warm query is repeated until its listings are recorded behind the answer to the first. */
const MOST_WARMING_QUERIES = 1_000;

export interface ComparisonPlan {
  readonly latencyMs: number;
  /** Measured in this order, with the same servers. */
  readonly temperatures: readonly Temperature[];
  /** Ours takes part once with each. */
  readonly engines: readonly Engine[];
  readonly rounds: number;
  /** The number of queries in a round. */
  readonly requests: number;
  readonly warmUpRequests: number;
  /** Requests under way at once, each on a connection of its own. */
  readonly concurrency: number;
  readonly profileFolder: string | null;
}

/** cold: messages that were never queried before. warm: the same messages again and again, which a catalogue can answer. */
export type Temperature = 'cold' | 'warm';

/** Medians of the rounds; milliseconds. */
interface ServerFigures {
  readonly server: string;
  readonly cpuPerRequest: number;
  /** The smallest and the largest round, to see how steady the figure is. */
  readonly cpuRange: readonly [number, number];
  /** Of the database's own processes, not in `cpuPerRequest`; null: it has none, or they cannot be seen. */
  readonly databaseCpuPerRequest: number | null;
  /** Median of the ratios within each round. */
  readonly timesStraightforward: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** The upstream calls of one query for 50 messages. */
  readonly upstreamCalls: number;
}

export interface Comparison {
  readonly latencyMs: number;
  readonly temperature: Temperature;
  readonly servers: readonly ServerFigures[];
}

interface Contestant {
  readonly name: string;
  readonly isOurs: boolean;
  readonly server: Server;
  readonly client: GraphQLClient;
}

interface Round {
  readonly cpuPerRequest: number;
  readonly databaseCpuPerRequest: number | null;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly upstreamCalls: number;
}

/** Sends the same queries to the servers in turn, round after round, so that other load of the machine affects all. */
export async function compare(plan: ComparisonPlan): Promise<readonly Comparison[]> {
  const emulator = await startEmulator(plan.latencyMs);
  const contestants: Contestant[] = [];
  try {
    for (const engine of plan.engines) {
      const server = await startOursOver(emulator.provider, { engine, profileFolder: plan.profileFolder });
      contestants.push(contestant(engine === 'embedded' ? 'ours' : 'ours on PostgreSQL', true, server, plan));
    }
    for (const name of PEERS) contestants.push(contestant(name, false, await startPeer(name, emulator.provider), plan));
    const comparison = new Running(plan, emulator, contestants);
    await comparison.expectOneCallEach();
    const compared: Comparison[] = [];
    for (const temperature of plan.temperatures) compared.push(await comparison[temperature]());
    return compared;
  } finally {
    await Promise.all(contestants.map(({ client }) => client.close()));
    await Promise.all([...contestants.map(({ server }) => server.stop()), emulator.stop()]);
  }
}

function contestant(name: string, isOurs: boolean, server: Server, { concurrency }: ComparisonPlan): Contestant {
  return { name, isOurs, server, client: new GraphQLClient(server.said, concurrency) };
}

async function startPeer(name: (typeof PEERS)[number], provider: Provider): Promise<Server> {
  const file = fileURLToPath(new URL(`./servers/${name}.ts`, import.meta.url));
  const args = ['--import', '@swc-node/register/esm-register', file, JSON.stringify(provider)];
  const child = await startChild({ name, args, ready: /^listens at (\S+)$/m });
  return { ...child, cpuTime: async () => ({ server: cpuTimeMs(child.pid), database: null }) };
}

class Running {
  readonly #messages = new Messages();

  constructor(
    private readonly plan: ComparisonPlan,
    private readonly emulator: Emulator,
    private readonly contestants: readonly Contestant[],
  ) {}

  /** Rejects if ours asks for a message more than once, however often a query names it. */
  async expectOneCallEach(): Promise<void> {
    const question = new SameAnswer(requestBody(REPEATED, this.#messages.take(MESSAGES)), 3 * MESSAGES);
    for (const one of this.contestants) await this.#drive(one, [question], 'cold');
  }

  cold(): Promise<Comparison> {
    const { requests, warmUpRequests } = this.plan;
    const fresh = (count: number) => Array.from({ length: count }, () => this.#fresh());
    return this.#alternate('cold', fresh(warmUpRequests), () => fresh(requests));
  }

  async warm(): Promise<Comparison> {
    const { requests, warmUpRequests } = this.plan;
    const question = this.#fresh();
    for (const one of this.contestants) if (one.isOurs) await this.#untilRecorded(one, question);
    const again = (count: number) => new Array<Question>(count).fill(question);
    return this.#alternate('warm', again(warmUpRequests), () => again(requests));
  }

  #fresh(): SameAnswer {
    return new SameAnswer(requestBody(READ, this.#messages.take(MESSAGES)), MESSAGES);
  }

  // Private: listings are recorded behind the answer.
  async #untilRecorded({ client }: Contestant, question: Question): Promise<void> {
    for (let queries = 0; queries < MOST_WARMING_QUERIES; queries += 1) {
      const before = await this.emulator.count();
      question.check(await client.ask(question.body));
      if ((await this.emulator.count()) === before) return;
    }
    throw new Error(`expected the catalogue to answer after ${MOST_WARMING_QUERIES} queries, got upstream calls`);
  }

  async #alternate(
    temperature: Temperature,
    warmUp: readonly Question[],
    questions: () => readonly Question[],
  ): Promise<Comparison> {
    for (const one of this.contestants) await this.#drive(one, warmUp, temperature);
    const rounds = new Map(this.contestants.map((one) => [one, [] as Round[]]));
    for (let round = 0; round < this.plan.rounds; round += 1) {
      const queries = questions();
      // Each round begins with another server, since the first and the last place may differ.
      const first = round % this.contestants.length;
      for (const one of [...this.contestants.slice(first), ...this.contestants.slice(0, first)])
        rounds.get(one)?.push(await this.#drive(one, queries, temperature));
    }
    return { latencyMs: this.plan.latencyMs, temperature, servers: figures(rounds) };
  }

  /** Rejects if ours asks the provider for anything but what its catalogue cannot know. */
  async #drive(
    { name, isOurs, server, client }: Contestant,
    questions: readonly Question[],
    temperature: Temperature,
  ): Promise<Round> {
    const callsBefore = await this.emulator.count();
    const cpuBefore = await server.cpuTime();
    const { elapsedMs, latencies } = await client.drive(questions, this.plan.concurrency);
    const cpu = cpuTimeBetween(cpuBefore, await cpuTimeWhenQuiet(server.cpuTime));
    const calls = (await this.emulator.count()) - callsBefore;
    const expected = temperature === 'warm' ? 0 : MESSAGES * questions.length;
    if (isOurs && calls !== expected)
      throw faultOf(server, `expected ${expected} upstream calls of ${name}, ${temperature}, got ${calls}`);
    const perRequest = (value: number) => value / questions.length;
    return {
      cpuPerRequest: perRequest(cpu.server),
      databaseCpuPerRequest: cpu.database === null ? null : perRequest(cpu.database),
      requestsPerSecond: (questions.length / elapsedMs) * 1000,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      upstreamCalls: perRequest(calls),
    };
  }
}

/** A question that all must answer with the same JSON (Apollo ends it with a line break), and with a link for every media. */
class SameAnswer implements Question {
  #answer: string | null = null;

  constructor(
    readonly body: string,
    private readonly links: number,
  ) {}

  check(answer: string): void {
    if (this.#answer === null) expectLinks(answer, this.links);
    this.#answer ??= answer;
    const at = firstDifference(this.#answer, answer);
    if (at !== null)
      throw new Error(`expected the answer to be …${around(this.#answer, at)}…, got …${around(answer, at)}…`);
  }
}

function firstDifference(expected: string, got: string): number | null {
  if (expected === got) return null;
  let at = 0;
  while (expected[at] === got[at]) at += 1;
  return at;
}

function around(text: string, at: number): string {
  return text.slice(Math.max(0, at - 60), at + 60);
}

function requestBody(query: string, ids: readonly string[]): string {
  return JSON.stringify({ query, variables: { ids } });
}

function figures(rounds: ReadonlyMap<Contestant, readonly Round[]>): ServerFigures[] {
  const cpuOf = (ofOne: readonly Round[]) => ofOne.map(({ cpuPerRequest }) => cpuPerRequest);
  const basis = [...rounds].find(([{ name }]) => name === BASIS)?.[1] ?? [];
  return [...rounds].map(([{ name }, ofOne]) => {
    const cpu = cpuOf(ofOne);
    const database = ofOne.map(({ databaseCpuPerRequest }) => databaseCpuPerRequest).filter((ms) => ms !== null);
    const medianOf = (field: 'requestsPerSecond' | 'p50' | 'p99' | 'upstreamCalls') =>
      median(ofOne.map((round) => round[field]));
    return {
      server: name,
      cpuPerRequest: median(cpu),
      cpuRange: [Math.min(...cpu), Math.max(...cpu)],
      databaseCpuPerRequest: database.length > 0 ? median(database) : null,
      timesStraightforward: pairedRatio(cpu, cpuOf(basis)),
      requestsPerSecond: medianOf('requestsPerSecond'),
      p50: medianOf('p50'),
      p99: medianOf('p99'),
      upstreamCalls: medianOf('upstreamCalls'),
    };
  });
}
