import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { type Child, scratchFolder, startChild } from '../support/child-processes.js';
import { residentMegabytes } from '../support/memory.js';
import { faultOf, type Server, startOurs } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { median } from '../support/statistics.js';

const SOURCE = fileURLToPath(new URL('./source-process.ts', import.meta.url));
const SAMPLE_MS = 50;
const run = promisify(execFile);

const UPLOAD = `mutation($url: URL!) { uploadMediaFromUrl(input: { channelId: "line", url: $url }) {
  media { id status sizeBytes sha256 } } }`;
const DELETE = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }';

export interface UploadPlan {
  readonly engine: Engine;
  readonly megabytes: number;
  readonly rounds: number;
  readonly parallel: number;
}

export interface UploadFigures extends UploadPlan {
  /** The times of one upload, and of `curl URL | tee FILE | sha256sum`; milliseconds, medians of the rounds. */
  readonly uploadMs: number;
  readonly pipelineMs: number;
  /** Median of the ratios within each round. */
  readonly timesPipeline: number;
  readonly parallelMs: number;
  /** Resident memory, megabytes: before the uploads side by side, and at most while they ran. */
  readonly residentBefore: number;
  readonly residentAtMost: number;
}

interface Uploaded {
  readonly id: string;
  readonly status: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The same file, in turn to ours and through the usual tools, which do the same work; then many at once to ours. */
export async function measureUploads(plan: UploadPlan): Promise<UploadFigures> {
  const folder = mkdtempSync(join(scratchFolder(), 'upload-'));
  const file = join(folder, 'file.pdf');
  const bytes = randomBytes(plan.megabytes * 1_000_000);
  bytes.write('%PDF-1.7\n');
  writeFileSync(file, bytes);
  const source = await startChild({
    name: 'source',
    args: ['--import', '@swc-node/register/esm-register', SOURCE, file],
    ready: /^serves at (\S+)$/m,
  });
  const server = await startOurs({ engine: plan.engine, config: config(), profileFolder: null });
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  try {
    return await measure(plan, { server, source, agent, copy: join(folder, 'copy') });
  } finally {
    await agent.close();
    await Promise.all([server.stop(), source.stop()]);
    rmSync(folder, { recursive: true });
  }
}

interface Bench {
  readonly server: Server;
  readonly source: Child;
  readonly agent: Agent;
  readonly copy: string;
}

async function measure(plan: UploadPlan, bench: Bench): Promise<UploadFigures> {
  const { server } = bench;
  // Everything is compiled, and every buffer has been used once.
  await upload(bench);
  const rounds: Array<{ uploadMs: number; pipelineMs: number }> = [];
  for (let round = 0; round < plan.rounds; round++) {
    const uploadFirst = round % 2 === 0;
    const first = await timed(() => (uploadFirst ? upload(bench) : pipeline(bench)));
    const second = await timed(() => (uploadFirst ? pipeline(bench) : upload(bench)));
    rounds.push(uploadFirst ? { uploadMs: first, pipelineMs: second } : { uploadMs: second, pipelineMs: first });
  }
  const residentBefore = residentMegabytes(server.pid);
  let residentAtMost = residentBefore;
  const sampling = setInterval(() => {
    residentAtMost = Math.max(residentAtMost, residentMegabytes(server.pid));
  }, SAMPLE_MS);
  const parallelMs = await timed(() => Promise.all(Array.from({ length: plan.parallel }, () => upload(bench))));
  clearInterval(sampling);
  return {
    ...plan,
    uploadMs: median(rounds.map(({ uploadMs }) => uploadMs)),
    pipelineMs: median(rounds.map(({ pipelineMs }) => pipelineMs)),
    timesPipeline: median(rounds.map(({ uploadMs, pipelineMs }) => uploadMs / pipelineMs)),
    parallelMs,
    residentBefore,
    residentAtMost,
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

async function pipeline({ source, copy }: Bench): Promise<void> {
  await run('bash', ['-c', 'set -o pipefail; curl -sf "$0" | tee "$1" | sha256sum', source.said, copy]);
}

/** Uploads the file, and deletes it again so that the disk does not fill. */
async function upload(bench: Bench): Promise<void> {
  const { uploadMediaFromUrl: payload } = await ask<{ uploadMediaFromUrl: { media: Uploaded } | null }>(bench, UPLOAD, {
    url: bench.source.said,
  });
  if (payload?.media.status !== 'READY') throw faultOf(bench.server, 'expected an upload to be READY');
  await ask(bench, DELETE, { id: payload.media.id });
}

async function ask<Data>({ server, agent }: Bench, query: string, variables: object): Promise<Data> {
  const { body } = await request(`${server.said}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
    dispatcher: agent,
  });
  const answer = (await body.json()) as { data: Data; errors?: ReadonlyArray<{ message: string }> };
  if (answer.errors) throw faultOf(server, answer.errors.map(({ message }) => message).join('; '));
  return answer.data;
}

/** A line whose provider takes no uploads: what is fetched is kept, and that is all. */
function config(): Record<string, unknown> {
  const channel = { id: 'line', provider: 'wa-gateway', baseUrl: 'http://127.0.0.1:9', credentials: { token: 'none' } };
  const upload = { respondWithin: '10m', timeout: '10m' };
  return { network: { allowPrivate: ['127.0.0.0/8'] }, upload, channels: [channel] };
}
