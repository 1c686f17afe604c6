import { Readable } from 'node:stream';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../demo/src/emulators/faults.js';
import { parseConfig } from '../../src/config/config.js';
import type { MediaRef } from '../../src/model/media.js';
import { OriginPools } from '../../src/net/client/origin-pools.js';
import { connectChannels } from '../../src/providers/connect-channels.js';
import type { ProviderAdapter, UploadSource } from '../../src/providers/provider-adapter.js';
import { MemoryQuota } from './adapter-context.js';
import { samples } from './sample-messages.js';

const CHANNEL_ID = 'line';
const { photo } = samples;

/** A media that a provider has. */
export interface ReceivedMedia {
  readonly ref: MediaRef;
  /** Is in the path of every request about this media, and of no other's. */
  readonly mark: string;
}

/** One provider, played by its emulators, as {@link describeAdapterContract} wants it. */
export interface AdapterSubject {
  /** All of them, started. Each is asked nothing but what the adapter asks. */
  readonly emulators: readonly EmulatorServer[];
  /** Those among them that may see the channel's credentials. */
  readonly trusted: readonly EmulatorServer[];
  /** The one that has the bytes. */
  readonly origin: EmulatorServer;
  /** Keys of the channel's entry in the configuration, but for its id. */
  readonly channel: Readonly<Record<string, unknown>>;
  /** What no other server may see, in any header. */
  readonly credentials: readonly string[];
  /** Lets the provider have the photo of the samples, as number `index`. */
  receive(index: number): ReceivedMedia;
  /** A media of the right form that the provider does not have. */
  absent(): MediaRef;
}

/** What the tests of the contract ask of their subject. */
export interface AdapterBed {
  readonly subject: AdapterSubject;
  /** A server to which no answer may lead the credentials. It has the photo of the samples. */
  readonly stranger: CdnEmulator;
  /** An adapter without memory of the other tests. */
  connect(options?: ConnectOptions): ProviderAdapter;
  /** Fails every request about one media, at every server. */
  strike(media: ReceivedMedia, fault: Fault): void;
  /** Ends the failures that `strike` began. */
  heal(): void;
  requestCount(servers?: readonly EmulatorServer[]): number;
  /** What every error of the adapter says of its origin. */
  ofChannel(): { readonly provider: unknown; readonly channelId: string };
  /** A media that the provider can delete. Some delete only what was uploaded. */
  deletable(adapter: ProviderAdapter): Promise<ReceivedMedia>;
}

interface ConnectOptions {
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  readonly retries?: number;
  readonly log?: (line: string) => void;
}

/** Starts a subject for the tests of a describe block, and looks after each test that no credentials leaked. */
export function useAdapter(start: () => Promise<AdapterSubject>): AdapterBed {
  const pools = new OriginPools();
  const stranger = new CdnEmulator();
  const ended: Array<() => Promise<void>> = [];
  let subject: AdapterSubject;

  beforeAll(async () => {
    [subject] = await Promise.all([start(), stranger.start()]);
    stranger.put('photo', photo);
  });
  afterAll(async () => {
    await Promise.all([...subject.emulators, stranger, pools].map((one) => one.close()));
  });
  afterEach(async () => {
    await Promise.all(ended.splice(0).map((end) => end()));
    const leaked = seenByStrangers();
    for (const server of [...subject.emulators, stranger]) {
      server.fault = null;
      server.faults.length = 0;
      server.ignoresRanges = false;
      server.clearRequests();
    }
    expect(leaked).toEqual([]);
  });

  function connect(options: ConnectOptions = {}): ProviderAdapter {
    const { timeoutMs = 5_000, maxBytes = 10_000_000, retries = 0, log = () => {} } = options;
    const policy = { timeout: `${timeoutMs}ms`, retries };
    const config = parseConfig(
      {
        network: { allowPrivate: ['127.0.0.0/8'] },
        upload: { maxBytes },
        providers: { [`${subject.channel.provider}`]: policy },
        channels: [{ ...subject.channel, id: CHANNEL_ID }],
      },
      {},
    );
    const logger = { info: (...line: unknown[]) => log(JSON.stringify(line)) };
    const { directory, close } = connectChannels(config, { pools, quota: new MemoryQuota(), logger });
    ended.push(close);
    return directory.get('default', CHANNEL_ID).adapter;
  }

  function strike({ mark }: ReceivedMedia, fault: Fault): void {
    for (const emulator of subject.emulators) emulator.faults.push({ match: ({ path }) => path.includes(mark), fault });
  }

  function seenByStrangers(): string[] {
    const others = [...subject.emulators.filter((emulator) => !subject.trusted.includes(emulator)), stranger];
    const headers = others.flatMap(({ requests }) => requests.map((request) => JSON.stringify(request.headers)));
    return headers.filter((text) => subject.credentials.some((secret) => text.includes(secret)));
  }

  const heal = () => {
    for (const emulator of subject.emulators) emulator.faults.length = 0;
  };

  async function deletable(adapter: ProviderAdapter): Promise<ReceivedMedia> {
    const link = { url: stranger.publicUrl('photo'), mimeType: 'image/jpeg' };
    const uploaded = await adapter.uploadMediaFromUrl?.(link, {});
    if (!uploaded) return subject.receive(1);
    const { providerMediaId } = uploaded;
    return { ref: { providerMessageId: null, providerMediaId, downloadUrl: null }, mark: providerMediaId };
  }

  return {
    get subject() {
      return subject;
    },
    stranger,
    connect,
    strike,
    heal,
    requestCount: (servers = subject.emulators) => servers.reduce((sum, { requestCount }) => sum + requestCount, 0),
    ofChannel: () => ({ provider: subject.channel.provider, channelId: CHANNEL_ID }),
    deletable,
  };
}

export function uploadSource(): UploadSource {
  const { bytes, mimeType, filename } = photo;
  return { body: Readable.from([bytes]), sizeBytes: bytes.length, mimeType, filename };
}

export function opened(
  adapter: ProviderAdapter,
  ref: MediaRef,
  options: Parameters<Opener>[1] = {},
): ReturnType<Opener> {
  if (!adapter.openMedia) throw new Error('expected an adapter that opens media');
  return adapter.openMedia(ref, options);
}

type Opener = Exclude<ProviderAdapter['openMedia'], undefined>;

export async function refusal(asked: Promise<unknown>): Promise<Error> {
  const outcome = await asked.catch(asError);
  if (outcome instanceof Error) return outcome;
  throw new Error('expected a refusal', { cause: outcome });
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('expected an Error to be thrown', { cause: thrown });
}

export function abortable(): { signal: AbortSignal; abort: (reason: Error) => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}
