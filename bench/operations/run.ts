/** `npm run bench:operations`; see bench/README.md. */
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { request } from 'undici';
import { startEmulator } from '../read/emulator.js';
import { expectLinks, Messages } from '../read/messages.js';
import type { Provider } from '../read/provider.js';
import { CHANNEL_ID, DELIVERY_BASE_URL, SIGNING_KEY, URL_TTL_DAYS } from '../read/servers/settings.js';
import { startChild } from '../support/child-processes.js';
import { cpuTimeBetween, cpuTimeWhenQuiet } from '../support/cpu-time.js';
import { GraphQLClient } from '../support/load.js';
import { wholeNumber } from '../support/options.js';
import { type Server, startOurs } from '../support/ours.js';
import { type Engine, enginesOf } from '../support/scratch-database.js';
import { median, pairedRatio } from '../support/statistics.js';
import { table } from '../support/table.js';

const ROUNDS = 20;
const REQUESTS = 100;
const WARM_UP_REQUESTS = 600;
const CONCURRENCY = 8;
const MESSAGES = 50;
const READ =
  'query Read($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id status kind mimeType url urlExpiresAt } } }';
const SDK = fileURLToPath(new URL('tracing-sdk.js', import.meta.url));
const COLLECTOR = fileURLToPath(new URL('collector-process.ts', import.meta.url));
/** The largest ratios to the server with everything off. */
const BUDGETS = { on: 1.15, 'on with traces': 1.25 } as const;

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, engine: { type: 'string' }, rounds: { type: 'string' } },
});
const rounds = wholeNumber('rounds', values.rounds, ROUNDS);

interface Contestant {
  readonly name: 'off' | keyof typeof BUDGETS;
  readonly server: Server;
  readonly client: GraphQLClient;
  readonly scrape: () => Promise<void>;
  readonly cpu: number[];
}

const KEY = randomBytes(32).toString('base64url');

function configOf(isOn: boolean, { baseUrl, accountSid, username, password }: Provider) {
  const apiKey = { sha256: createHash('sha256').update(KEY).digest('hex'), tenant: 'default', scopes: ['media:read'] };
  return {
    delivery: { baseUrl: DELIVERY_BASE_URL, signingKeys: [SIGNING_KEY], urlTtl: `${URL_TTL_DAYS}d` },
    channels: [{ id: CHANNEL_ID, provider: 'signalwire', baseUrl, credentials: { accountSid, username, password } }],
    log: { level: isOn ? 'info' : 'silent' },
    metrics: isOn ? { token: KEY, operations: ['Read'] } : { enabled: false },
    ...(isOn && { auth: { mode: 'apiKey', apiKeys: [apiKey] }, limits: { requestsPerMinute: 1_000_000 } }),
  };
}

async function contestant(
  name: Contestant['name'],
  { engine, provider, collectorUrl }: { engine: Engine; provider: Provider; collectorUrl: string },
): Promise<Contestant> {
  const isOn = name !== 'off';
  const isTraced = name === 'on with traces';
  const server = await startOurs({
    engine,
    config: configOf(isOn, provider),
    profileFolder: null,
    ...(isTraced && { nodeArgs: ['--import', SDK], env: { OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl } }),
  });
  const authorization = `Bearer ${KEY}`;
  const client = new GraphQLClient(server.said, CONCURRENCY, isOn ? { authorization } : {});
  const scrape = async () => {
    if (!isOn) return;
    const { statusCode, body } = await request(`${server.said}/metrics`, { headers: { authorization } });
    await body.dump();
    if (statusCode !== 200) throw new Error(`expected a scrape, got status ${statusCode}`);
  };
  return { name, server, client, scrape, cpu: [] };
}

/** One round is one scrape interval: the scrape counts as well. */
async function drive({ server, client, scrape, cpu }: Contestant, body: string, count: number): Promise<void> {
  const question = { body, check: (answer: string) => expectLinks(answer, MESSAGES) };
  const before = await server.cpuTime();
  await client.drive(new Array(count).fill(question), CONCURRENCY);
  await scrape();
  const used = cpuTimeBetween(before, await cpuTimeWhenQuiet(server.cpuTime));
  cpu.push(used.server / count);
}

async function compare(engine: Engine) {
  const emulator = await startEmulator(0);
  const args = ['--import', '@swc-node/register/esm-register', COLLECTOR];
  const collector = await startChild({ name: 'collector', args, ready: /^listens at (\S+)$/m });
  const contestants: Contestant[] = [];
  try {
    const shared = { engine, provider: emulator.provider, collectorUrl: collector.said };
    for (const name of ['off', 'on', 'on with traces'] as const) contestants.push(await contestant(name, shared));
    const body = JSON.stringify({ query: READ, variables: { ids: new Messages().take(MESSAGES) } });
    for (const one of contestants) {
      await drive(one, body, WARM_UP_REQUESTS);
      one.cpu.length = 0;
    }
    for (let round = 0; round < rounds; round++) {
      const first = round % contestants.length;
      for (const one of [...contestants.slice(first), ...contestants.slice(0, first)]) await drive(one, body, REQUESTS);
    }
  } finally {
    await Promise.all(contestants.map(({ client }) => client.close()));
    await Promise.all([...contestants.map(({ server }) => server.stop()), emulator.stop(), collector.stop()]);
  }
  const off = contestants.find(({ name }) => name === 'off')?.cpu ?? [];
  return contestants.map(({ name, cpu }) => ({ engine, name, cpuMs: median(cpu), ratio: pairedRatio(cpu, off) }));
}

const results = [];
for (const engine of enginesOf(values.engine)) results.push(...(await compare(engine)));
const rows = results.map(({ engine, name, cpuMs, ratio }) => ({
  server: `${engine}, ${name}`,
  'CPU ms/request': cpuMs.toFixed(3),
  '× off': ratio.toFixed(3),
  'at most': name === 'off' ? '' : BUDGETS[name].toFixed(2),
}));
process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : `${table(rows)}\n`);
if (results.some(({ name, ratio }) => name !== 'off' && ratio > BUDGETS[name])) process.exitCode = 1;
