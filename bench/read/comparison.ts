import { fileURLToPath } from 'node:url';
import { signalwireMessageSid } from '../../src/emulators/sample-ids.js';
import { type Child, startChild } from '../support/child-processes.js';
import { cpuTimeMs } from '../support/cpu-time.js';
import { type Exchange, GraphQLClient, type Load } from '../support/load.js';
import { median, quantile } from '../support/statistics.js';
import { type Emulator, type Provider, startEmulator } from './emulator.js';
import { startOurs } from './servers/ours.js';
import { CHANNEL_ID } from './servers/settings.js';

const MESSAGES = 50;
const FIELDS = 'id media { id status kind mimeType url urlExpiresAt }';
const READ = `query Read($ids: [ID!]!) { messagesWithMedia(ids: $ids) { ${FIELDS} } }`;
const REPEATED = `query Repeated($ids: [ID!]!) { a: messagesWithMedia(ids: $ids) { ${FIELDS} } b: messagesWithMedia(ids: $ids) { ${FIELDS} } c: messagesWithMedia(ids: $ids) { ${FIELDS} } }`;

export const SERVER_NAMES = ['ours', 'straightforward', 'mercurius-jit'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

export interface ComparisonPlan extends Load {
  readonly latencyMs: number;
  readonly rounds: number;
  readonly warmUpRequests: number;
}

/** Medians of the rounds; milliseconds. */
export interface ServerFigures {
  readonly server: ServerName;
  readonly cpuPerRequest: number;
  /** The smallest and largest round, to see how steady the figure is. */
  readonly cpuRange: readonly [number, number];
  readonly timesStraightforward: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Upstream calls of one query for 50 messages, and of one that names each of them three times. */
  readonly upstreamCalls: { readonly distinct: number; readonly repeated: number };
}

export interface Comparison {
  readonly latencyMs: number;
  readonly servers: readonly ServerFigures[];
}

interface Contestant {
  readonly name: ServerName;
  readonly child: Child;
  readonly client: GraphQLClient;
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
      contestants.push({ name, child, client: new GraphQLClient(child.said, plan.concurrency) });
    }
    const exchange = await sameAnswer(contestants);
    const calls = new Map<ServerName, ServerFigures['upstreamCalls']>();
    for (const one of contestants) calls.set(one.name, await upstreamCalls(one, emulator));
    const rounds = await alternate(contestants, exchange, plan);
    return { latencyMs: plan.latencyMs, servers: figures(rounds, calls) };
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
  const links = (answer ?? '').split('"url":"https://').length - 1;
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
  const ids = Array.from({ length: MESSAGES }, (_, index) => `${CHANNEL_ID}:${signalwireMessageSid(index)}`);
  return JSON.stringify({ query, variables: { ids } });
}

async function upstreamCalls({ client }: Contestant, emulator: Emulator): Promise<ServerFigures['upstreamCalls']> {
  const countOf = async (query: string): Promise<number> => {
    const before = await emulator.count();
    await client.ask(requestBody(query));
    return (await emulator.count()) - before;
  };
  return { distinct: await countOf(READ), repeated: await countOf(REPEATED) };
}

async function alternate(contestants: readonly Contestant[], exchange: Exchange, plan: ComparisonPlan) {
  const rounds = new Map<ServerName, Round[]>(contestants.map(({ name }) => [name, []]));
  for (const { client } of contestants) await client.drive(exchange, { ...plan, requests: plan.warmUpRequests });
  for (let index = 0; index < plan.rounds; index += 1) {
    // Each round begins with another server: being first or last must be nobody's privilege.
    const order = contestants.map((_, place) => contestants[(place + index) % contestants.length]);
    for (const one of order) {
      if (one) rounds.get(one.name)?.push(await measure(one, exchange, plan));
    }
  }
  return rounds;
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

function figures(
  rounds: ReadonlyMap<ServerName, readonly Round[]>,
  calls: ReadonlyMap<ServerName, ServerFigures['upstreamCalls']>,
): ServerFigures[] {
  const medianOf = (name: ServerName, field: keyof Round) => median((rounds.get(name) ?? []).map((one) => one[field]));
  const basis = medianOf('straightforward', 'cpuPerRequest');
  return SERVER_NAMES.map((server) => {
    const cpu = (rounds.get(server) ?? []).map((one) => one.cpuPerRequest);
    return {
      server,
      cpuPerRequest: median(cpu),
      cpuRange: [Math.min(...cpu), Math.max(...cpu)],
      timesStraightforward: median(cpu) / basis,
      requestsPerSecond: medianOf(server, 'requestsPerSecond'),
      p50: medianOf(server, 'p50'),
      p99: medianOf(server, 'p99'),
      upstreamCalls: calls.get(server) ?? { distinct: Number.NaN, repeated: Number.NaN },
    };
  });
}
