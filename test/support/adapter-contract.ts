import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../demo/src/emulators/faults.js';
import { parseConfig } from '../../src/config/config.js';
import { MediagraphError } from '../../src/model/errors.js';
import type { MediaRef } from '../../src/model/media.js';
import { OriginPools } from '../../src/net/client/origin-pools.js';
import { connectChannels } from '../../src/providers/connect-channels.js';
import { type ProviderAdapter, RangeNotSatisfiable, type UploadSource } from '../../src/providers/provider-adapter.js';
import { MemoryQuota } from './adapter-context.js';
import { samples } from './sample-messages.js';

const CHANNEL_ID = 'line';
const { photo } = samples;
/** Below the first wait for what may not be there yet, so that an absence is told at once. */
const WITHOUT_DOUBT_MS = 900;
const SOON_MS = 250;
/** Meta's for a media that is gone or not permitted; no other provider reads it. */
const ABSENT_BODY = JSON.stringify({ error: { code: 100, error_subcode: 33, message: 'x' } });

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

/**
 * What every adapter promises by its type, whatever its provider. A capability that the adapter does not have is passed
 * over; which ones it must have is said in the table of test/contract/provider-adapter.test.ts.
 */
export function describeAdapterContract(start: () => Promise<AdapterSubject>): void {
  const pools = new OriginPools();
  /** Where answers must not lead credentials to. */
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

  /** An adapter that remembers nothing of the other tests. */
  function connect({ timeoutMs = 5_000, maxBytes = 10_000_000, log = (_line: string) => {} } = {}): ProviderAdapter {
    const policy = { timeout: `${timeoutMs}ms`, retries: 0 };
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

  /** Strikes every request about one media, wherever it goes. */
  function strike({ mark }: ReceivedMedia, fault: Fault): void {
    for (const emulator of subject.emulators) emulator.faults.push({ match: ({ path }) => path.includes(mark), fault });
  }

  function seenByStrangers(): string[] {
    const others = [...subject.emulators.filter((emulator) => !subject.trusted.includes(emulator)), stranger];
    const headers = others.flatMap(({ requests }) => requests.map((request) => JSON.stringify(request.headers)));
    return headers.filter((text) => subject.credentials.some((secret) => text.includes(secret)));
  }

  const ofChannel = () => ({ provider: subject.channel.provider, channelId: CHANNEL_ID });

  it('opens the bytes, and says nothing that they are not', async () => {
    const { ref } = subject.receive(1);
    const stream = await opened(connect(), ref);
    expect(stream.range).toBeNull();
    expect([photo.bytes.length, null]).toContain(stream.sizeBytes);
    expect((await buffer(stream.body)).equals(photo.bytes)).toBe(true);
  });

  it('gives the part that was asked for, or all, and says which', async () => {
    const { ref } = subject.receive(1);
    const adapter = connect();
    for (const ignoresRanges of [false, true]) {
      subject.origin.ignoresRanges = ignoresRanges;
      const stream = await opened(adapter, ref, { range: { start: 100, end: 199 } });
      const { start, end } = stream.range ?? { start: 0, end: photo.bytes.length - 1 };
      expect((await buffer(stream.body)).equals(photo.bytes.subarray(start, end + 1))).toBe(true);
      expect(stream.range).toEqual(ignoresRanges ? null : { start: 100, end: 199 });
    }
  });

  it('tells a range behind the end from a fault', async () => {
    const { ref } = subject.receive(1);
    const range = { start: photo.bytes.length, end: null };
    expect(await refusal(opened(connect(), ref, { range }))).toBeInstanceOf(RangeNotSatisfiable);
  });

  it('hands on no more than the limit', async () => {
    const { ref } = subject.receive(1);
    const read = async () => {
      const { body } = await opened(connect({ maxBytes: photo.bytes.length - 1 }), ref);
      return buffer(body);
    };
    const thrown = await refusal(read());
    // Where no length is announced, the stream itself is cut.
    expect([(thrown instanceof MediagraphError && thrown.code) || thrown.name]).toEqual(['MEDIA_TOO_LARGE']);
  });

  it('finds nothing where there is nothing', async () => {
    const thrown = await refusal(opened(connect({ timeoutMs: WITHOUT_DOUBT_MS }), subject.absent()));
    expect(thrown).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: ofChannel() });
  });

  it('does not wait for a provider that is silent', async () => {
    const received = subject.receive(1);
    strike(received, { kind: 'hang' });
    const adapter = connect({ timeoutMs: SOON_MS });
    const unavailable = { code: 'PROVIDER_UNAVAILABLE', details: { ...ofChannel(), retryable: true } };
    const [thrown, [listed], [described]] = await Promise.all([
      refusal(opened(adapter, received.ref)),
      adapter.listMedia?.([received.ref.providerMessageId ?? ''], {}) ?? [unavailable],
      adapter.describeMedia?.([received.ref], {}) ?? [unavailable],
    ]);
    expect([thrown, listed, described]).toMatchObject([unavailable, unavailable, unavailable]);
  });

  it('ends with its caller', async () => {
    const received = subject.receive(1);
    strike(received, { kind: 'hang' });
    const { signal, abort } = abortable();
    const opening = refusal(opened(connect(), received.ref, { signal }));
    abort(new Error('the caller has left'));
    expect((await opening).message).toBe('the caller has left');
  });

  it('follows bytes to another origin without its credentials, or not at all', async () => {
    const received = subject.receive(1);
    const location = stranger.publicUrl('photo');
    subject.origin.faults.push({
      match: ({ path }) => path.includes(received.mark),
      fault: { kind: 'redirect', status: 302, location },
    });
    const outcome = await opened(connect(), received.ref).then(({ body }) => buffer(body), asError);
    // That nothing leaked is looked at after every test.
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(MediagraphError);
    else expect(outcome.equals(photo.bytes)).toBe(true);
  });

  it('lists in the order of the ids, and one that fails fails alone', async () => {
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    if (!adapter.listMedia) return;
    const all = [1, 2, 3].map((index) => subject.receive(index));
    const [first, second, third] = all;
    const ids = all.map(({ ref }) => ref.providerMessageId ?? '');
    if (!first || !second || !third) throw new Error('expected three media');
    strike(second, { kind: 'status', status: 503 });
    const answers = await adapter.listMedia([...ids, subject.absent().providerMessageId ?? ''], {});
    expect(answers).toMatchObject([
      [{ providerMessageId: ids[0] }],
      { code: 'PROVIDER_UNAVAILABLE', details: { ...ofChannel(), upstreamStatus: 503 } },
      [{ providerMessageId: ids[2] }],
      [],
    ]);
  });

  it('describes in the order of the media, and one that fails fails alone', async () => {
    const adapter = connect();
    if (!adapter.describeMedia) return;
    const all = [1, 2, 3].map((index) => subject.receive(index));
    const [, second] = all;
    if (!second) throw new Error('expected three media');
    strike(second, { kind: 'status', status: 503 });
    const answers = await adapter.describeMedia(
      all.map(({ ref }) => ref),
      {},
    );
    const tellsSizes = adapter.describes?.has('sizeBytes') ?? true;
    const described = { mimeType: 'image/jpeg', sizeBytes: tellsSizes ? photo.bytes.length : null };
    expect(answers).toMatchObject([described, { code: 'PROVIDER_UNAVAILABLE', details: ofChannel() }, described]);
  });

  it('describes without fetching the bytes, whether ranges are heeded or not', async () => {
    const { ref } = subject.receive(1);
    for (const ignoresRanges of [false, true]) {
      const adapter = connect();
      if (!adapter.describeMedia) return;
      subject.origin.ignoresRanges = ignoresRanges;
      for (const server of subject.emulators) server.clearRequests();
      const [described] = await adapter.describeMedia([ref], {});
      expect(described).toMatchObject({ mimeType: 'image/jpeg' });
      const asked = subject.emulators.flatMap(({ fileRequests }) => fileRequests);
      expect(asked.filter(({ headers: { range } }) => range !== 'bytes=0-0')).toEqual([]);
    }
  });

  it('is asked again by a job, whatever it told before', async () => {
    const received = subject.receive(7);
    const { ref } = received;
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    const away = [400, 404].map((status) => ({ kind: 'status', status, body: ABSENT_BODY }) as const);
    for (const fault of away) {
      strike(received, fault);
      await refusal(opened(adapter, ref));
      const asked = subject.emulators.reduce((sum, { requestCount }) => sum + requestCount, 0);
      await refusal(opened(adapter, ref, { job: true }));
      expect(subject.emulators.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBeGreaterThan(asked);
      for (const emulator of subject.emulators) emulator.faults.length = 0;
    }
    const stream = await opened(adapter, ref, { job: true });
    expect((await buffer(stream.body)).equals(photo.bytes)).toBe(true);
  });

  it('takes what may pass for no end, and what it is told to wait for as told', async () => {
    const received = subject.receive(8);
    for (const [status, code] of [
      [429, /^PROVIDER_(RATE_LIMITED|UNAVAILABLE)$/],
      [503, /^PROVIDER_UNAVAILABLE$/],
      [408, /^PROVIDER_UNAVAILABLE$/],
    ] as const) {
      strike(received, { kind: 'status', status, body: '{}', headers: { 'retry-after': '7' } });
      const thrown = await refusal(opened(connect(), received.ref, { job: true }));
      expect(thrown).toMatchObject({ details: { ...ofChannel(), retryable: true, retryAfterMs: 7_000 } });
      expect(thrown instanceof MediagraphError && thrown.code).toMatch(code);
      for (const emulator of subject.emulators) emulator.faults.length = 0;
    }
  });

  it("tells the operator the provider's words, and the caller none of them", async () => {
    const received = subject.receive(9);
    const words = { type: 'a_type', code: 'a_code', message: 'words of the provider', param: 'a_param' };
    const fault: Fault = { kind: 'status', status: 422, body: JSON.stringify({ error: words }) };
    const told: string[] = [];
    const adapter = connect({ log: (line) => told.push(line) });
    for (const server of subject.trusted)
      server.faults.push({ match: ({ path }) => path.includes(received.mark), fault });
    const thrown = await opened(adapter, received.ref).catch(asError);
    for (const server of subject.trusted) server.faults.length = 0;
    if (!(thrown instanceof Error)) {
      // Bytes that no API stands before.
      thrown.body.destroy();
      return;
    }
    expect(told.join()).toContain(words.message);
    expect(told.join()).toContain(words.param);
    expect(subject.credentials.filter((secret) => told.join().includes(secret))).toEqual([]);
    const caller = JSON.stringify([thrown.message, thrown instanceof MediagraphError && thrown.details]);
    expect(caller).not.toContain(words.message);
    expect(caller).not.toContain(words.param);
  });

  it('says that its credentials were refused, and says none of them', async () => {
    const received = subject.receive(1);
    for (const server of subject.trusted) server.fault = { kind: 'status', status: 401 };
    const thrown = await opened(connect(), received.ref).catch(asError);
    if (!(thrown instanceof Error)) {
      // Bytes that need no credentials.
      thrown.body.destroy();
      return;
    }
    expect(thrown).toMatchObject({ code: 'PROVIDER_CREDENTIALS', details: ofChannel() });
    const told = JSON.stringify([thrown.message, thrown instanceof MediagraphError ? thrown.details : null]);
    expect(subject.credentials.filter((secret) => told.includes(secret))).toEqual([]);
  });

  it('deletes what is there, and once more what is gone', async () => {
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    if (!adapter.deleteMedia) return;
    const { ref } = await deletable(adapter);
    await adapter.deleteMedia(ref, {});
    await adapter.deleteMedia(ref, {});
    // Whoever remembers nothing asks the provider, which says that there is none.
    await connect({ timeoutMs: WITHOUT_DOUBT_MS }).deleteMedia?.(ref, {});
  });

  it('changes nothing where the provider does not delete, and may be asked again', async () => {
    const adapter = connect();
    if (!adapter.deleteMedia) return;
    const received = await deletable(adapter);
    strike(received, { kind: 'status', status: 503 });
    const thrown = await refusal(adapter.deleteMedia(received.ref, {}));
    expect(thrown).toMatchObject({ details: { ...ofChannel(), retryable: true } });
    for (const emulator of subject.emulators) emulator.faults.length = 0;
    await adapter.deleteMedia(received.ref, {});
  });

  it('uploads what is within its limits once, and says what a send call takes', async () => {
    const adapter = connect();
    const before = subject.emulators.reduce((sum, { requestCount }) => sum + requestCount, 0);
    const uploaded =
      (await adapter.uploadMedia?.(uploadSource(), {})) ??
      (await adapter.uploadMediaFromUrl?.({ url: stranger.publicUrl('photo'), mimeType: 'image/jpeg' }, {}));
    expect(adapter.uploadLimits !== undefined).toBe(uploaded !== undefined);
    if (!uploaded) return;
    expect(adapter.uploadLimits?.get('image/jpeg')).toBeGreaterThan(photo.bytes.length);
    expect(uploaded.providerMediaId).toMatch(/./);
    expect(subject.emulators.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(before + 1);
  });

  it('repeats no upload that failed, and ends its source', async () => {
    const adapter = connect();
    if (!adapter.uploadMedia) return;
    for (const server of subject.trusted) server.fault = { kind: 'status', status: 503 };
    const source = uploadSource();
    expect(await refusal(adapter.uploadMedia(source, {}))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(source.body.destroyed).toBe(true);
    expect(subject.trusted.reduce((sum, { requestCount }) => sum + requestCount, 0)).toBe(1);
  });

  /** What a provider deletes may be what was uploaded alone. */
  async function deletable(adapter: ProviderAdapter): Promise<ReceivedMedia> {
    const link = { url: stranger.publicUrl('photo'), mimeType: 'image/jpeg' };
    const uploaded = await adapter.uploadMediaFromUrl?.(link, {});
    if (!uploaded) return subject.receive(1);
    const { providerMediaId } = uploaded;
    return { ref: { providerMessageId: null, providerMediaId, downloadUrl: null }, mark: providerMediaId };
  }
}

function uploadSource(): UploadSource {
  const { bytes, mimeType, filename } = photo;
  return { body: Readable.from([bytes]), sizeBytes: bytes.length, mimeType, filename };
}

function opened(adapter: ProviderAdapter, ref: MediaRef, options: Parameters<Opener>[1] = {}): ReturnType<Opener> {
  if (!adapter.openMedia) throw new Error('expected an adapter that opens media');
  return adapter.openMedia(ref, options);
}

type Opener = Exclude<ProviderAdapter['openMedia'], undefined>;

async function refusal(asked: Promise<unknown>): Promise<Error> {
  const outcome = await asked.catch(asError);
  if (outcome instanceof Error) return outcome;
  throw new Error('expected a refusal', { cause: outcome });
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('expected an Error to be thrown', { cause: thrown });
}

function abortable(): { signal: AbortSignal; abort: (reason: Error) => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}
