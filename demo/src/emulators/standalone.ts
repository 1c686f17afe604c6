/**
 * An emulator in a process of its own, for benchmarks: `node dist/emulators/standalone.js '<json options>'`, where the
 * options are {@link StandaloneOptions}, all optional.
 *
 * Prints one line of JSON when both servers listen: `{ url, baseUrl, cdnUrl, accountSid, username, password,
 * messageSidPrefix, messages }`. Message number i, from 0, has the SID `messageSidPrefix` + i as 12 decimal digits.
 * `GET {url}/__count` answers how many API requests there were, a bare number; `GET {url}/__reset` sets it to 0.
 * Ends at SIGTERM or SIGINT, when the parent's IPC channel closes, or else when a piped standard input ends.
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
  /** How many messages there are, with one photo each; 1000. */
  readonly messages: number;
  /** How long every API answer waits; 0. The CDN's do not. */
  readonly latencyMs: number;
  /** 0 = a free one. */
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

/** A benchmark that dies must not leave its emulator behind. */
function endWithParent(): void {
  const end = () => process.exit(0);
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  if (process.channel) {
    process.once('disconnect', end);
    return;
  }
  const stdin = fstatSync(0);
  // A terminal or /dev/null says nothing about a parent.
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once('close', end).resume();
}

function parseOptions(json: string): StandaloneOptions {
  const options: unknown = JSON.parse(json);
  if (typeof options !== 'object' || options === null)
    throw new Error(`expected a JSON object of options, got ${json}`);
  const given = new Map<string, unknown>(Object.entries(options));
  const read = (name: keyof StandaloneOptions, absent: number): number => {
    const value = given.get(name) ?? absent;
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
