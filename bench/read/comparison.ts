import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../support/child-processes.js';
import { cpuTimeMs } from '../support/cpu-time.js';
import { type Exchange, GraphQLClient, type Load } from '../support/load.js';
import { median, pairedRatio, quantile } from '../support/statistics.js';
import { type Emulator, startEmulator } from './emulator.js';
import { countLinks, messageIds } from './messages.js';
import type { Provider } from './provider.js';
import { startOurs } from './servers/ours.js';

const MESSAGES = 50;
const FIELDS = 'id media { id status kind mimeType url urlExpiresAt }';
const ONE_READ = `messagesWithMedia(ids: $ids) { ${FIELDS} }`;
const READ = `query Read($ids: [ID!]!) { ${ONE_READ} }`;
const REPEATED = `query Repeated($ids: [ID!]!) { a: ${ONE_READ} b: ${ONE_READ} c: ${ONE_READ} }`;

const SERVER_NAMES = ['ours', 'straightforward', 'mercurius-jit'] as const;
type ServerName = (typeof SERVER_NAMES)[number];

export interface ComparisonPlan extends Load {
  readonly latencyMs: number;
  readonly rounds: number;
  readonly warmUpRequests: number;
}

/** Medians of the rounds; milliseconds. */
interface ServerFigures {
  readonly server: ServerName;
  readonly cpuPerRequest: number;
  /** The smallest and the largest round, to see how steady the figure is. */
  readonly cpuRange: readonly [number, number];
  /** Median of the ratios within each round. */
  readonly timesStraightforward: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly upstreamCalls: UpstreamCalls;
}

/** Of one query for 50 messages, and of one that names each of them three times. */
interface UpstreamCalls {
  readonly distinct: number;
  readonly repeated: number;
}

export interface Comparison {
  readonly latencyMs: number;
  readonly servers: readonly ServerFigures[];
}

interface Contestant {
  readonly name: ServerName;
  readonly child: Child;
  readonly client: GraphQLClient;
  readonly rounds: Round[];
}

interface Round {
  readonly cpuPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** The same query to the three servers in turn, round after round, so that whatever else the machine does strikes all. */
export async function compare(plan: ComparisonPlan): Promise<Comparison> {
  const emulator = await startEmulator({ messages: MESSAGES, latencyMs: plan.latencyMs });
  const contestants: Contestant[] = [];
  try {
    for (const name of SERVER_NAMES) {
      const child = await startServer(name, emulator.provider);
      contestants.push({ name, child, client: new GraphQLClient(child.said, plan.concurrency), rounds: [] });
    }
    const exchange = await sameAnswer(contestants);
    const calls: UpstreamCalls[] = [];
    for (const one of contestants) calls.push(await upstreamCalls(one, emulator));
    await alternate(contestants, exchange, plan);
    return { latencyMs: plan.latencyMs, servers: figures(contestants, calls) };
  } finally {
    await Promise.all(contestants.map(({ client }) => client.close()));
    await Promise.all([...contestants.map(({ child }) => child.stop()), emulator.stop()]);
  }
}

function startServer(name: ServerName, provider: Provider): Promise<Child> {
  if (name === 'ours') return startOurs(provider);
  const file = fileURLToPath(new URL(`./servers/${name}.ts`, import.meta.url));
  const args = ['--import', '@swc-node/register/esm-register', file, JSON.stringify(provider)];
  return startChild({ name, args, ready: /^listens at (\S+)$/m });
}

/** Rejects unless all answer with the same JSON (Apollo ends it with a line break), and with a link for every message. */
async function sameAnswer(contestants: readonly Contestant[]): Promise<Exchange> {
  const body = requestBody(READ);
  let answer: string | null = null;
  for (const { name, client } of contestants) {
    const text = await client.ask(body);
    answer ??= text;
    const at = firstDifference(answer, text);
    if (at === null) continue;
    throw new Error(`expected ${name} to answer …${around(answer, at)}…, got …${around(text, at)}…`);
  }
  const links = countLinks(answer ?? '');
  if (links !== MESSAGES) throw new Error(`expected ${MESSAGES} links, got ${links} in ${answer?.slice(0, 500)}`);
  return { body, answer: answer ?? '' };
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

function requestBody(query: string): string {
  return JSON.stringify({ query, variables: { ids: messageIds(MESSAGES) } });
}

/** Rejects if ours does not ask the provider exactly once for each distinct message. */
async function upstreamCalls({ name, client }: Contestant, emulator: Emulator): Promise<UpstreamCalls> {
  const countOf = async (query: string): Promise<number> => {
    const before = await emulator.count();
    await client.ask(requestBody(query));
    const calls = (await emulator.count()) - before;
    if (name === 'ours' && calls !== MESSAGES) throw new Error(`expected ${MESSAGES} upstream calls, got ${calls}`);
    return calls;
  };
  return { distinct: await countOf(READ), repeated: await countOf(REPEATED) };
}

async function alternate(contestants: readonly Contestant[], exchange: Exchange, plan: ComparisonPlan): Promise<void> {
  for (const { client } of contestants) await client.drive(exchange, { ...plan, requests: plan.warmUpRequests });
  for (let round = 0; round < plan.rounds; round += 1) {
    // Each round begins with another server: being first or last must be nobody's privilege.
    const first = round % contestants.length;
    for (const one of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      one.rounds.push(await measure(one, exchange, plan));
    }
  }
}

async function measure({ child, client }: Contestant, exchange: Exchange, load: Load): Promise<Round> {
  const before = cpuTimeMs(child.pid);
  const { elapsedMs, latencies } = await client.drive(exchange, load);
  return {
    cpuPerRequest: (cpuTimeMs(child.pid) - before) / load.requests,
    requestsPerSecond: (load.requests / elapsedMs) * 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  };
}

function figures(contestants: readonly Contestant[], calls: readonly UpstreamCalls[]): ServerFigures[] {
  const cpuOf = (one: Contestant | undefined) => one?.rounds.map(({ cpuPerRequest }) => cpuPerRequest) ?? [];
  const basis = cpuOf(contestants.find(({ name }) => name === 'straightforward'));
  return contestants.map((one, index) => {
    const cpu = cpuOf(one);
    const medianOf = (field: keyof Round) => median(one.rounds.map((round) => round[field]));
    return {
      server: one.name,
      cpuPerRequest: median(cpu),
      cpuRange: [Math.min(...cpu), Math.max(...cpu)],
      timesStraightforward: pairedRatio(cpu, basis),
      requestsPerSecond: medianOf('requestsPerSecond'),
      p50: medianOf('p50'),
      p99: medianOf('p99'),
      upstreamCalls: calls[index] ?? { distinct: Number.NaN, repeated: Number.NaN },
    };
  });
}
