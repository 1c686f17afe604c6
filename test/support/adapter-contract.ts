import { buffer } from 'node:stream/consumers';
import type { Fault } from '../../demo/src/emulators/faults.js';
import { MediagraphError } from '../../src/model/errors.js';
import { RangeNotSatisfiable } from '../../src/providers/provider-adapter.js';
import {
  type AdapterBed,
  type AdapterSubject,
  abortable,
  asError,
  opened,
  refusal,
  uploadSource,
  useAdapter,
} from './adapter-bed.js';
import { samples } from './sample-messages.js';

const { photo } = samples;
/** Below the first pause before a repeated look-up, so that an absence is reported at once. */
const WITHOUT_DOUBT_MS = 900;
const SOON_MS = 250;
/** Meta's body for a media that is gone or not permitted; no other adapter parses it. */
const ABSENT_BODY = JSON.stringify({ error: { code: 100, error_subcode: 33, message: 'x' } });
/**
 * What every adapter promises by its type, whatever its provider. A test passes when the adapter does not have the
 * capability in question; test/contract/provider-adapter.test.ts lists the capabilities that each must have.
 */
export function describeAdapterContract(start: () => Promise<AdapterSubject>): void {
  const bed = useAdapter(start);
  opening(bed);
  listing(bed);
  failures(bed);
  changes(bed);
  credentials(bed);
}

function opening(bed: AdapterBed): void {
  const { stranger, connect, strike, ofChannel } = bed;

  it('opens the bytes, and declares no wrong length or range', async () => {
    const { ref } = bed.subject.receive(1);
    const stream = await opened(connect(), ref);
    expect(stream.range).toBeNull();
    expect([photo.bytes.length, null]).toContain(stream.sizeBytes);
    expect((await buffer(stream.body)).equals(photo.bytes)).toBe(true);
  });

  it('gives the requested range, or everything, and declares which', async () => {
    const { ref } = bed.subject.receive(1);
    const adapter = connect();
    for (const ignoresRanges of [false, true]) {
      bed.subject.origin.ignoresRanges = ignoresRanges;
      const stream = await opened(adapter, ref, { range: { start: 100, end: 199 } });
      const { start, end } = stream.range ?? { start: 0, end: photo.bytes.length - 1 };
      expect((await buffer(stream.body)).equals(photo.bytes.subarray(start, end + 1))).toBe(true);
      expect(stream.range).toEqual(ignoresRanges ? null : { start: 100, end: 199 });
    }
  });

  it('distinguishes a range behind the end from a fault', async () => {
    const { ref } = bed.subject.receive(1);
    const range = { start: photo.bytes.length, end: null };
    expect(await refusal(opened(connect(), ref, { range }))).toBeInstanceOf(RangeNotSatisfiable);
  });

  it('passes on no more than the limit', async () => {
    const { ref } = bed.subject.receive(1);
    const read = async () => {
      const { body } = await opened(connect({ maxBytes: photo.bytes.length - 1 }), ref);
      return buffer(body);
    };
    const thrown = await refusal(read());
    // Where no length is announced, the stream itself is cut.
    expect([(thrown instanceof MediagraphError && thrown.code) || thrown.name]).toEqual(['MEDIA_TOO_LARGE']);
  });

  it('reports MEDIA_NOT_FOUND for an absent media', async () => {
    const thrown = await refusal(opened(connect({ timeoutMs: WITHOUT_DOUBT_MS }), bed.subject.absent()));
    expect(thrown).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: ofChannel() });
  });

  it('does not wait for a silent provider', async () => {
    const received = bed.subject.receive(1);
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
    const received = bed.subject.receive(1);
    strike(received, { kind: 'hang' });
    const { signal, abort } = abortable();
    const opening = refusal(opened(connect(), received.ref, { signal }));
    abort(new Error('the caller has left'));
    expect((await opening).message).toBe('the caller has left');
  });

  it('follows bytes to another origin without its credentials, or not at all', async () => {
    const received = bed.subject.receive(1);
    const location = stranger.publicUrl('photo');
    bed.subject.origin.faults.push({
      match: ({ path }) => path.includes(received.mark),
      fault: { kind: 'redirect', status: 302, location },
    });
    const outcome = await opened(connect(), received.ref).then(({ body }) => buffer(body), asError);
    // A hook checks after every test that no credentials leaked.
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(MediagraphError);
    else expect(outcome.equals(photo.bytes)).toBe(true);
  });
}

function listing(bed: AdapterBed): void {
  const { connect, strike, ofChannel } = bed;

  it('lists in the order of the ids, and a failing one fails alone', async () => {
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    if (!adapter.listMedia) return;
    const all = [1, 2, 3].map((index) => bed.subject.receive(index));
    const [first, second, third] = all;
    const ids = all.map(({ ref }) => ref.providerMessageId ?? '');
    if (!first || !second || !third) throw new Error('expected three media');
    strike(second, { kind: 'status', status: 503 });
    const answers = await adapter.listMedia([...ids, bed.subject.absent().providerMessageId ?? ''], {});
    expect(answers).toMatchObject([
      [{ providerMessageId: ids[0] }],
      { code: 'PROVIDER_UNAVAILABLE', details: { ...ofChannel(), upstreamStatus: 503 } },
      [{ providerMessageId: ids[2] }],
      [],
    ]);
  });

  it('describes in the order of the media, and a failing one fails alone', async () => {
    const adapter = connect();
    if (!adapter.describeMedia) return;
    const all = [1, 2, 3].map((index) => bed.subject.receive(index));
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
    const { ref } = bed.subject.receive(1);
    for (const ignoresRanges of [false, true]) {
      const adapter = connect();
      if (!adapter.describeMedia) return;
      bed.subject.origin.ignoresRanges = ignoresRanges;
      for (const server of bed.subject.emulators) server.clearRequests();
      const [described] = await adapter.describeMedia([ref], {});
      expect(described).toMatchObject({ mimeType: 'image/jpeg' });
      const requests = bed.subject.emulators.flatMap(({ fileRequests }) => fileRequests);
      expect(requests.filter(({ headers: { range } }) => range !== 'bytes=0-0')).toEqual([]);
    }
  });
}

function failures(bed: AdapterBed): void {
  const { connect, strike, heal, requestCount, ofChannel } = bed;

  it('is called again by a job, whatever it answered before', async () => {
    const received = bed.subject.receive(7);
    const { ref } = received;
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    const away = [400, 404].map((status) => ({ kind: 'status', status, body: ABSENT_BODY }) as const);
    for (const fault of away) {
      strike(received, fault);
      await refusal(opened(adapter, ref));
      const before = requestCount();
      await refusal(opened(adapter, ref, { job: true }));
      expect(requestCount()).toBeGreaterThan(before);
      heal();
    }
    const stream = await opened(adapter, ref, { job: true });
    expect((await buffer(stream.body)).equals(photo.bytes)).toBe(true);
  });

  it('reports temporary failures as retryable, with the announced time to wait', async () => {
    const received = bed.subject.receive(8);
    for (const [status, code] of [
      [429, /^PROVIDER_(RATE_LIMITED|UNAVAILABLE)$/],
      [503, /^PROVIDER_UNAVAILABLE$/],
      [408, /^PROVIDER_UNAVAILABLE$/],
    ] as const) {
      strike(received, { kind: 'status', status, body: '{}', headers: { 'retry-after': '7' } });
      const thrown = await refusal(opened(connect(), received.ref, { job: true }));
      expect(thrown).toMatchObject({ details: { ...ofChannel(), retryable: true, retryAfterMs: 7_000 } });
      expect(thrown instanceof MediagraphError && thrown.code).toMatch(code);
      heal();
    }
  });

  it("logs the provider's error message for the operator, and shows the caller none of it", async () => {
    const received = bed.subject.receive(9);
    const words = { type: 'a_type', code: 'a_code', message: 'words of the provider', param: 'a_param' };
    const fault: Fault = { kind: 'status', status: 422, body: JSON.stringify({ error: words }) };
    const logged: string[] = [];
    const adapter = connect({ log: (line) => logged.push(line) });
    for (const server of bed.subject.trusted)
      server.faults.push({ match: ({ path }) => path.includes(received.mark), fault });
    const thrown = await opened(adapter, received.ref).catch(asError);
    for (const server of bed.subject.trusted) server.faults.length = 0;
    if (!(thrown instanceof Error)) {
      // Bytes that no API stands before.
      thrown.body.destroy();
      return;
    }
    expect(logged.join()).toContain(words.message);
    expect(logged.join()).toContain(words.param);
    expect(bed.subject.credentials.filter((secret) => logged.join().includes(secret))).toEqual([]);
    const caller = JSON.stringify([thrown.message, thrown instanceof MediagraphError && thrown.details]);
    expect(caller).not.toContain(words.message);
    expect(caller).not.toContain(words.param);
  });

  it('reports refused credentials without showing them', async () => {
    const received = bed.subject.receive(1);
    for (const server of bed.subject.trusted) server.fault = { kind: 'status', status: 401 };
    const thrown = await opened(connect(), received.ref).catch(asError);
    if (!(thrown instanceof Error)) {
      // Bytes that need no credentials.
      thrown.body.destroy();
      return;
    }
    expect(thrown).toMatchObject({ code: 'PROVIDER_CREDENTIALS', details: ofChannel() });
    const shown = JSON.stringify([thrown.message, thrown instanceof MediagraphError ? thrown.details : null]);
    expect(bed.subject.credentials.filter((secret) => shown.includes(secret))).toEqual([]);
  });
}

function changes(bed: AdapterBed): void {
  const { stranger, connect, strike, heal, requestCount, ofChannel, deletable } = bed;

  it('deletes a media, and succeeds again when it is gone', async () => {
    const adapter = connect({ timeoutMs: WITHOUT_DOUBT_MS });
    if (!adapter.deleteMedia) return;
    const { ref } = await deletable(adapter);
    await adapter.deleteMedia(ref, {});
    await adapter.deleteMedia(ref, {});
    // A new adapter remembers nothing and calls the provider, which answers that there is none.
    await connect({ timeoutMs: WITHOUT_DOUBT_MS }).deleteMedia?.(ref, {});
  });

  it('reports a failed deletion as retryable, and can be called again', async () => {
    const adapter = connect();
    if (!adapter.deleteMedia) return;
    const received = await deletable(adapter);
    strike(received, { kind: 'status', status: 503 });
    const thrown = await refusal(adapter.deleteMedia(received.ref, {}));
    expect(thrown).toMatchObject({ details: { ...ofChannel(), retryable: true } });
    heal();
    await adapter.deleteMedia(received.ref, {});
  });

  it('uploads within its limits with one request, and returns the id for a send call', async () => {
    const adapter = connect();
    const before = requestCount();
    const uploaded =
      (await adapter.uploadMedia?.(uploadSource(), {})) ??
      (await adapter.uploadMediaFromUrl?.({ url: stranger.publicUrl('photo'), mimeType: 'image/jpeg' }, {}));
    expect(adapter.uploadLimits !== undefined).toBe(uploaded !== undefined);
    if (!uploaded) return;
    expect(adapter.uploadLimits?.get('image/jpeg')).toBeGreaterThan(photo.bytes.length);
    expect(uploaded.providerMediaId).toMatch(/./);
    expect(requestCount()).toBe(before + 1);
  });

  it('does not repeat a failed upload, and ends its source', async () => {
    const adapter = connect();
    if (!adapter.uploadMedia) return;
    for (const server of bed.subject.trusted) server.fault = { kind: 'status', status: 503 };
    const source = uploadSource();
    expect(await refusal(adapter.uploadMedia(source, {}))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(source.body.destroyed).toBe(true);
    expect(requestCount(bed.subject.trusted)).toBe(1);
  });
}

function credentials(bed: AdapterBed): void {
  const { connect, ofChannel } = bed;

  /** Checks the credentials, which must take one GET whatever comes of it. */
  async function check(fault: Fault | null): Promise<Error | null> {
    for (const emulator of bed.subject.emulators) {
      emulator.clearRequests();
      emulator.fault = fault;
    }
    const outcome = await connect({ timeoutMs: SOON_MS, retries: 2 })
      .checkCredentials?.({})
      .then(() => null, asError);
    const requests = bed.subject.emulators.flatMap((emulator) => emulator.requests);
    expect(requests.map(({ method }) => method)).toEqual(['GET']);
    return outcome ?? null;
  }

  it('checks its credentials, if it can', async () => {
    expect(await check(null)).toBeNull();
  });

  it.each<[string, Fault]>([
    ['PROVIDER_CREDENTIALS', { kind: 'status', status: 401 }],
    ['PROVIDER_CREDENTIALS', { kind: 'status', status: 403 }],
    ['PROVIDER_RATE_LIMITED', { kind: 'status', status: 429, headers: { 'retry-after': '0' } }],
    ['PROVIDER_UNAVAILABLE', { kind: 'status', status: 503 }],
    ['PROVIDER_UNAVAILABLE', { kind: 'hang' }],
    ['PROVIDER_UNAVAILABLE', { kind: 'reset' }],
    ['PROVIDER_PROTOCOL', { kind: 'body', body: '<html></html>', contentType: 'text/html' }],
    ['PROVIDER_PROTOCOL', { kind: 'status', status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' }],
    ['PROVIDER_PROTOCOL', { kind: 'redirect', status: 302, location: 'https://example.com/' }],
  ])('reports %s for its credentials, without a second call: %j', async (code, fault) => {
    expect(await check(fault)).toMatchObject({ code, details: ofChannel() });
  });
}
