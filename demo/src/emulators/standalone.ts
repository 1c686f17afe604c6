/**
 * An emulator in a process of its own, for benchmarks: `node dist/emulators/standalone.js '<json options>'`. The
 * options are {@link StandaloneOptions}, all optional.
 *
 * It prints one line of JSON when both servers listen: `{ url, baseUrl, cdnUrl, accountSid, username, password,
 * messageSidPrefix, messages }`. Message number i, from 0, has the SID `messageSidPrefix` + i as 12 decimal digits.
 * `GET {url}/__count` answers with the number of API requests, `GET {url}/__reset` sets it to 0. The process ends at
 * SIGTERM or SIGINT, when the parent's IPC channel closes, or without one when a piped standard input ends.
 */
import { fstatSync } from 'node:fs';
import { CdnEmulator } from './cdn-emulator.js';
import type { Answer } from './faults.js';
import { LamlEmulator } from './laml/laml-emulator.js';
import { loadMediaSamples } from './media-samples.js';
import {
  SIGNALWIRE_MESSAGE_SID_PREFIX,
  signalwireMediaSid,
  signalwireMessageSid,
  signalwireProjectId,
} from './sample-ids.js';

interface StandaloneOptions {
  /** The number of messages, with one photo each. Default: 1000. */
  readonly messages: number;
  /** The delay of every API answer, but not of the CDN's. Default: 0. */
  readonly latencyMs: number;
  /** 0, the default, selects a free port. */
  readonly port: number;
  readonly cdnPort: number;
}

class CountedLamlEmulator extends LamlEmulator {
  protected override control(_method: string, path: string): Answer | null {
    if (path === '/__reset') this.clearRequests();
    else if (path !== '/__count') return null;
    return { status: 200, headers: { 'content-type': 'application/json' }, body: String(this.requestCount) };
  }
}

async function run(options: StandaloneOptions): Promise<void> {
  const cdn = await new CdnEmulator().start(options.cdnPort);
  const account = { accountSid: signalwireProjectId(1), username: signalwireProjectId(1), password: 'PT-standalone' };
  const emulator = new CountedLamlEmulator({ flavour: 'signalwire', ...account, cdn });
  emulator.latencyMs = options.latencyMs;
  const { photo } = loadMediaSamples();
  for (let index = 0; index < options.messages; index += 1) {
    emulator.addMessage({ sid: signalwireMessageSid(index), media: [{ ...photo, sid: signalwireMediaSid(index) }] });
  }
  await emulator.start(options.port);
  endWithParent();
  const { url, baseUrl } = emulator;
  const line = { url, baseUrl, cdnUrl: cdn.url, ...account, messageSidPrefix: SIGNALWIRE_MESSAGE_SID_PREFIX };
  process.stdout.write(`${JSON.stringify({ ...line, messages: options.messages })}\n`);
}

/** Ends the process with its parent, so that a benchmark that dies leaves no emulator behind. */
function endWithParent(): void {
  const end = () => process.exit(0);
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  if (process.channel) {
    process.once('disconnect', end);
    return;
  }
  const stdin = fstatSync(0);
  // A terminal or /dev/null does not end with the parent.
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once('close', end).resume();
}

function parseOptions(json: string): StandaloneOptions {
  const options: unknown = JSON.parse(json);
  if (typeof options !== 'object' || options === null)
    throw new Error(`expected a JSON object of options, got ${json}`);
  const values = new Map<string, unknown>(Object.entries(options));
  const read = (name: keyof StandaloneOptions, defaultValue: number): number => {
    const value = values.get(name) ?? defaultValue;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
    throw new Error(`expected ${name} to be a whole number, got ${JSON.stringify(value)}`);
  };
  return {
    messages: read('messages', 1000),
    latencyMs: read('latencyMs', 0),
    port: read('port', 0),
    cdnPort: read('cdnPort', 0),
  };
}

await run(parseOptions(process.argv[2] ?? '{}'));
