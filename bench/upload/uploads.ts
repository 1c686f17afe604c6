import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { type Child, scratchFolder, startChild } from '../support/child-processes.js';
import { cpuTimeMs } from '../support/cpu-time.js';
import { residentMegabytes } from '../support/memory.js';
import { faultOf, type Server, startOurs } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { median, pairedRatio } from '../support/statistics.js';

const SOURCE = fileURLToPath(new URL('./source-process.ts', import.meta.url));
const SAMPLE_MS = 50;
const WARM_UPS = 10;
const WARM_UP_BYTES = 100_000;
const run = promisify(execFile);

const UPLOAD = `mutation($url: URL!) { uploadMediaFromUrl(input: { channelId: "line", url: $url }) {
  media { id status sizeBytes sha256 } } }`;
const DELETE = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }';

export interface UploadPlan {
  readonly engine: Engine;
  readonly megabytes: number;
  readonly rounds: number;
  readonly parallel: number;
  /** Where the server's CPU profile is written; null: none is made. */
  readonly profileFolder: string | null;
}

export interface UploadFigures extends UploadPlan {
  /** The wall times of one upload, and of `curl URL | tee FILE | openssl sha256`; milliseconds, medians of the rounds. */
  readonly uploadMs: number;
  readonly pipelineMs: number;
  /** The CPU times of the same work: the server's process, and the three processes of the pipeline. */
  readonly uploadCpuMs: number;
  readonly pipelineCpuMs: number;
  /** Medians of the ratios within each round. */
  readonly timesPipeline: number;
  readonly timesPipelineCpu: number;
  /** The shortest times of the rounds, which a machine that others use as well disturbs least. */
  readonly fastestUploadMs: number;
  readonly fastestPipelineMs: number;
  readonly parallelMs: number;
  /** Resident memory, megabytes: before the first large upload, and at most while twenty ran at once. */
  readonly residentBefore: number;
  readonly residentAtMost: number;
  readonly residentGrowth: number;
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
  const file = join(folder, 'file.wav');
  const bytes = soundOf(plan.megabytes * 1_000_000);
  writeFileSync(file, bytes);
  const source = await startChild({
    name: 'source',
    args: ['--import', '@swc-node/register/esm-register', SOURCE, file],
    ready: /^serves at (\S+)$/m,
  });
  const server = await startOurs({ engine: plan.engine, config: config(), profileFolder: plan.profileFolder });
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  try {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return await measure(plan, {
      server,
      source,
      agent,
      copy: join(folder, 'copy'),
      sizeBytes: bytes.length,
      sha256,
    });
  } finally {
    await agent.close();
    await Promise.all([server.stop(), source.stop()]);
    rmSync(folder, { recursive: true });
  }
}

/**
 * A file whose headers tell all that an inspection records: the tools that make stills would copy and decode other
 * files, and neither is part of this comparison.
 */
function soundOf(sizeBytes: number): Buffer {
  const bytes = randomBytes(sizeBytes);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(sizeBytes - 8, 4);
  bytes.write('WAVEfmt ', 8);
  // PCM in two channels of 48 kHz and 16 bits ("Multimedia Programming Interface and Data Specifications 1.0").
  for (const [offset, value] of [
    [16, 16],
    [24, 48_000],
    [28, 192_000],
    [40, sizeBytes - 44],
  ] as const)
    bytes.writeUInt32LE(value, offset);
  for (const [offset, value] of [
    [20, 1],
    [22, 2],
    [32, 4],
    [34, 16],
  ] as const)
    bytes.writeUInt16LE(value, offset);
  bytes.write('data', 36);
  return bytes;
}

interface Bench {
  readonly server: Server;
  readonly source: Child;
  readonly agent: Agent;
  readonly copy: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

async function measure(plan: UploadPlan, bench: Bench): Promise<UploadFigures> {
  // Small files load everything that as many uploads need, without the memory that the bytes of large ones take.
  for (let warmUp = 0; warmUp < WARM_UPS; warmUp++) await uploadAtOnce(plan, bench, WARM_UP_BYTES);
  const parallel = await uploadAtOnce(plan, bench);
  const rounds: Array<{ ours: Cost; tools: Cost }> = [];
  for (let round = 0; round < plan.rounds; round++) {
    const uploadFirst = round % 2 === 0;
    const first = uploadFirst ? await uploadOnce(bench) : await pipeline(bench);
    const second = uploadFirst ? await pipeline(bench) : await uploadOnce(bench);
    rounds.push(uploadFirst ? { ours: first, tools: second } : { ours: second, tools: first });
  }
  const [ours, tools] = [rounds.map((round) => round.ours), rounds.map((round) => round.tools)];
  return {
    ...plan,
    uploadMs: median(ours.map(({ wallMs }) => wallMs)),
    pipelineMs: median(tools.map(({ wallMs }) => wallMs)),
    uploadCpuMs: median(ours.map(({ cpuMs }) => cpuMs)),
    pipelineCpuMs: median(tools.map(({ cpuMs }) => cpuMs)),
    timesPipeline: ratio(rounds, ({ wallMs }) => wallMs),
    fastestUploadMs: Math.min(...ours.map(({ wallMs }) => wallMs)),
    fastestPipelineMs: Math.min(...tools.map(({ wallMs }) => wallMs)),
    timesPipelineCpu: ratio(rounds, ({ cpuMs }) => cpuMs),
    ...parallel,
  };
}

type AtOnce = Pick<UploadFigures, 'parallelMs' | 'residentBefore' | 'residentAtMost' | 'residentGrowth'>;

async function uploadAtOnce({ parallel }: UploadPlan, bench: Bench, bytes: number | null = null): Promise<AtOnce> {
  const { pid } = bench.server;
  const residentBefore = residentMegabytes(pid);
  let residentAtMost = residentBefore;
  const sampling = setInterval(() => {
    residentAtMost = Math.max(residentAtMost, residentMegabytes(pid));
  }, SAMPLE_MS);
  const from = performance.now();
  const ids = await Promise.all(Array.from({ length: parallel }, () => upload(bench, bytes)));
  const parallelMs = performance.now() - from;
  clearInterval(sampling);
  for (const id of ids) await remove(bench, id);
  return { parallelMs, residentBefore, residentAtMost, residentGrowth: residentAtMost - residentBefore };
}

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function ratio(rounds: ReadonlyArray<{ ours: Cost; tools: Cost }>, of: (cost: Cost) => number): number {
  return pairedRatio(
    rounds.map(({ ours }) => of(ours)),
    rounds.map(({ tools }) => of(tools)),
  );
}

/** bash's own count of the pipeline's time: real, user and system, in seconds. */
const PIPELINE = `set -o pipefail; export LC_ALL=C; TIMEFORMAT='%R %U %S'
time { curl -sf "$0" | tee "$1" | openssl sha256; }; rm "$1"`;

async function pipeline({ source, copy }: Bench): Promise<Cost> {
  const { stderr } = await run('bash', ['-c', PIPELINE, source.said, copy]);
  const [real = Number.NaN, user = Number.NaN, system = Number.NaN] = stderr.trim().split(' ').map(Number);
  return { wallMs: real * 1000, cpuMs: (user + system) * 1000 };
}

/** Uploads the file, and deletes it again so that the disk does not fill. The deletion is not part of the time. */
async function uploadOnce(bench: Bench): Promise<Cost> {
  const cpuBefore = cpuTimeMs(bench.server.pid);
  const from = performance.now();
  const id = await upload(bench);
  const cost = { wallMs: performance.now() - from, cpuMs: cpuTimeMs(bench.server.pid) - cpuBefore };
  await remove(bench, id);
  return cost;
}

/** The id of the uploaded media, which is READY. */
async function upload(bench: Bench, bytes: number | null = null): Promise<string> {
  const { uploadMediaFromUrl: payload } = await ask<{ uploadMediaFromUrl: { media: Uploaded } | null }>(bench, UPLOAD, {
    url: bytes === null ? bench.source.said : `${bench.source.said}?bytes=${bytes}`,
  });
  if (payload?.media.status !== 'READY') throw faultOf(bench.server, 'expected an upload to be READY');
  const { sizeBytes, sha256, id } = payload.media;
  if (bytes === null && (Number(sizeBytes) !== bench.sizeBytes || sha256 !== bench.sha256))
    throw faultOf(bench.server, 'expected an upload to have the bytes of the source');
  return id;
}

async function remove(bench: Bench, id: string): Promise<void> {
  await ask(bench, DELETE, { id });
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
