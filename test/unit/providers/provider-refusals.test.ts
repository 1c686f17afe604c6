import { buffer } from 'node:stream/consumers';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../../demo/src/emulators/emulator-server.js';
import { GupshupFilemanagerEmulator } from '../../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { GupshupPartnerEmulator } from '../../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { KirimEmulator } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { kirimMessageId } from '../../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { parseConfig } from '../../../src/config/config.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { MediaRef } from '../../../src/model/media.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { connectChannels } from '../../../src/providers/connect-channels.js';
import type { CallOptions, ProviderAdapter } from '../../../src/providers/provider-adapter.js';
import { RefusalLog } from '../../../src/providers/toolkit/refusal-log.js';
import { MemoryQuota } from '../../support/adapter-context.js';

const TOKEN = 'EAAJBrefusaltoken0123456789';
const NUMBER = '106540352242922';
const APP = '7c1a9f6e-2b64-4c53-9d51-0b8a4c1f2e3d';
const { photo } = loadMediaSamples();
const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

async function startEmulator<Emulator extends EmulatorServer>(emulator: Emulator): Promise<Emulator> {
  await emulator.start();
  cleanups.push(() => emulator.close());
  return emulator;
}

interface ConnectOptions {
  readonly channel: Readonly<Record<string, unknown>>;
  readonly quota?: MemoryQuota;
}

/** Connects a channel as one replica does. Returns its adapter and its log lines. */
function connect({ channel, quota = new MemoryQuota() }: ConnectOptions): {
  adapter: ProviderAdapter;
  lines: string[];
} {
  const config = parseConfig(
    {
      network: { allowPrivate: ['127.0.0.0/8'] },
      providers: { [`${channel.provider}`]: { retries: 0, timeout: '5s' } },
      channels: [{ id: 'line', credentials: { token: TOKEN }, ...channel }],
    },
    {},
  );
  const pools = new OriginPools();
  const lines: string[] = [];
  const logger = { info: (...entry: unknown[]) => void lines.push(JSON.stringify(entry)) };
  const { directory, close } = connectChannels(config, { pools, quota, logger });
  cleanups.push(close, () => pools.close());
  return { adapter: directory.get('default', 'line').adapter, lines };
}

async function meta(now?: () => number) {
  const account = { token: TOKEN, phoneNumberId: NUMBER, appSecret: 'a secret' };
  const api = await startEmulator(new WhatsAppEmulator({ ...account, ...(now && { now }) }));
  const options = { phoneNumberId: NUMBER, mediaOrigins: [api.lookaside.url] };
  return { api, channel: { provider: 'whatsapp-cloud', baseUrl: api.baseUrl, options } };
}

async function chakra() {
  const api = await startEmulator(new ChakraEmulator({ token: TOKEN }));
  return { api, channel: { provider: 'chakra', baseUrl: api.baseUrl } };
}

const refOf = (ref: Partial<MediaRef>): MediaRef => ({
  providerMessageId: 'wamid.1',
  providerMediaId: null,
  downloadUrl: null,
  ...ref,
});

async function open(adapter: ProviderAdapter, ref: Partial<MediaRef>, options: CallOptions = {}): Promise<Buffer> {
  if (!adapter.openMedia) throw new Error('expected an adapter that opens');
  return buffer((await adapter.openMedia(refOf(ref), options)).body);
}

/** Returns `OK`, or the error of the opening. */
async function outcomeOf(
  adapter: ProviderAdapter,
  ref: Partial<MediaRef>,
  options: CallOptions = {},
): Promise<'OK' | MediagraphError> {
  const outcome = await open(adapter, ref, options).catch((thrown: unknown) => thrown);
  if (outcome instanceof MediagraphError) return outcome;
  if (outcome instanceof Error) throw outcome;
  return 'OK';
}

function graphError(code: number, keys: object = {}): string {
  return JSON.stringify({ error: { message: 'x', type: 'OAuthException', code, fbtrace_id: 'AbC-1', ...keys } });
}

describe.each([
  ['whatsapp-cloud', meta],
  ['chakra', chakra],
] as const)("the body of Meta's errors decides (%s)", (_name, start) => {
  it.each([
    ...[1, 2, 131000, 131016].map((code) => [code, {}, 'PROVIDER_UNAVAILABLE', true] as const),
    ...[4, 17, 32, 341, 368, 613, 80007, 80008, 80014, 130429].map(
      (code) => [code, {}, 'PROVIDER_RATE_LIMITED', true] as const,
    ),
    [100, { is_transient: true }, 'PROVIDER_UNAVAILABLE', true] as const,
    [987_654, { is_transient: true }, 'PROVIDER_UNAVAILABLE', true] as const,
    ...[190, 10, 200, 255, 299, 102].map((code) => [code, {}, 'PROVIDER_CREDENTIALS', undefined] as const),
    [100, { error_subcode: 33 }, 'MEDIA_NOT_FOUND', true] as const,
    [100, {}, 'PROVIDER_REJECTED', undefined] as const,
    [300, { is_transient: false }, 'PROVIDER_REJECTED', undefined] as const,
  ])('code %i with %j is %s', async (code, keys, expected, retryable) => {
    const { api, channel } = await start();
    api.addMedia({ ...photo, id: '1' });
    for (const status of [400, 403, 404]) {
      if (expected === 'PROVIDER_REJECTED' && status !== 400) continue;
      const { adapter } = connect({ channel });
      api.faults.push({ match: /./, times: 1, fault: { kind: 'status', status, body: graphError(code, keys) } });
      const refused = await outcomeOf(adapter, { providerMediaId: '1' });
      expect(refused).toMatchObject({ code: expected, details: { upstreamStatus: status, upstreamCode: `${code}` } });
      expect(refused instanceof Error && refused.details.retryable).toBe(retryable);
      expect(await outcomeOf(adapter, { providerMediaId: '1' }, { job: true })).toBe('OK');
    }
  });

  it('even with status 200', async () => {
    const { api, channel } = await start();
    api.addMedia({ ...photo, id: '1' });
    const { adapter } = connect({ channel });
    api.faults.push({ match: /./, times: 1, fault: { kind: 'body', body: graphError(2) } });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
  });

  it('and its headers tell how long to wait, within a day', async () => {
    const { api, channel } = await start();
    const { adapter } = connect({ channel });
    const usage = JSON.stringify({ '1': [{ type: 'messaging', estimated_time_to_regain_access: 7 }] });
    const waits: Array<[Record<string, string>, number | undefined]> = [
      [{ 'x-business-use-case-usage': usage }, 420_000],
      [{ 'x-business-use-case-usage': usage, 'retry-after': '600' }, 600_000],
      [{ 'x-business-use-case-usage': '{"1":' }, undefined],
      [{ 'x-business-use-case-usage': '[1]', 'retry-after': '99999999999' }, 86_400_000],
    ];
    for (const [headers, retryAfterMs] of waits) {
      const fault = { kind: 'status', status: 400, body: graphError(80007), headers } as const;
      api.faults.push({ match: /./, times: 1, fault });
      const refused = await outcomeOf(adapter, { providerMediaId: '1' });
      expect(refused).toMatchObject({ code: 'PROVIDER_RATE_LIMITED' });
      expect(refused instanceof Error && refused.details.retryAfterMs).toBe(retryAfterMs);
    }
  });
});

it('errors of Meta that a partner forwards as a text, or in its own envelope, are recognized', async () => {
  const partner = await startEmulator(new GupshupPartnerEmulator({ appId: APP, token: TOKEN }));
  const { adapter } = connect({
    channel: { provider: 'gupshup', baseUrl: partner.baseUrl, options: { appId: APP } },
  });
  const upload = () => adapter.uploadMediaFromUrl?.({ url: 'https://x.test/1', mimeType: 'image/png' }, {});
  for (const [message, code] of [
    ['(#130429) Rate limit hit', 'PROVIDER_RATE_LIMITED'],
    ['(#131000) Something went wrong', 'PROVIDER_UNAVAILABLE'],
    ['(#10) Application does not have permission', 'PROVIDER_CREDENTIALS'],
  ] as const) {
    partner.fault = { kind: 'status', status: 400, body: JSON.stringify({ status: 'error', message }) };
    await expect(upload()).rejects.toMatchObject({ code });
  }
  const cdn = await startEmulator(new CdnEmulator());
  const kirim = await startEmulator(new KirimEmulator({ token: TOKEN, cdn }));
  const own = connect({ channel: { provider: 'kirim', baseUrl: kirim.baseUrl } });
  kirim.fault = { kind: 'status', status: 400, body: graphError(613) };
  expect(await outcomeOf(own.adapter, { providerMessageId: kirimMessageId(1) })).toMatchObject({
    code: 'PROVIDER_RATE_LIMITED',
  });
});

it('the error codes of other providers decide for any status', async () => {
  const cdn = await startEmulator(new CdnEmulator());
  const kirim = await startEmulator(new KirimEmulator({ token: TOKEN, cdn }));
  const gateway = await startEmulator(new WaGatewayEmulator({ appId: APP, token: TOKEN, webhookSecret: 'a secret' }));
  const ofKirim = (type: string) => JSON.stringify({ error: { type, code: 'a_code', request_id: 'req_1' } });
  const ofGateway = (code: string) => JSON.stringify({ error: { code } });
  const kirimLine = connect({ channel: { provider: 'kirim', baseUrl: kirim.baseUrl } }).adapter;
  const gatewayLine = connect({ channel: { provider: 'wa-gateway', baseUrl: gateway.baseUrl } }).adapter;
  const message = { providerMessageId: kirimMessageId(1) };
  const media = { providerMediaId: `media/${APP}/1.bin` };
  const throttled = { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true } };
  const failed = { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } };
  const refused = { code: 'PROVIDER_CREDENTIALS' };
  for (const status of [400, 404]) {
    for (const [body, expected] of [
      [ofKirim('rate_limit_error'), throttled],
      [ofKirim('api_error'), failed],
      [ofKirim('permission_error'), refused],
    ] as const) {
      kirim.fault = { kind: 'status', status, body };
      expect(await outcomeOf(kirimLine, message)).toMatchObject(expected);
    }
    for (const [body, expected] of [
      [ofGateway('rate_limit_exceeded'), throttled],
      [ofGateway('internal_error'), failed],
      [ofGateway('forbidden'), refused],
    ] as const) {
      gateway.fault = { kind: 'status', status, body };
      expect(await outcomeOf(gatewayLine, media)).toMatchObject(expected);
    }
  }
  gateway.fault = { kind: 'status', status: 409, body: ofGateway('device_not_connected') };
  expect(await outcomeOf(gatewayLine, media)).toMatchObject({
    code: 'PROVIDER_REJECTED',
    details: { retryable: true },
  });
});

describe('phone_number_id', () => {
  it('that Meta refuses is omitted in a second request, then for an hour', async () => {
    const { api, channel } = await meta();
    api.phoneNumberParameter = 'refused';
    api.addMedia({ ...photo, id: '1' });
    const { adapter } = connect({ channel });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
    expect(api.requests.map(({ path }) => path)).toEqual([
      `/v23.0/1?phone_number_id=${NUMBER}`,
      '/v23.0/1',
      '/v23.0/1',
    ]);
    await adapter.deleteMedia?.(refOf({ providerMediaId: '1' }), {});
    expect(api.media).toEqual([]);
  });

  it('is sent again where the request without it is refused too', async () => {
    const { api, channel } = await meta();
    api.phoneNumberParameter = 'refused';
    const { adapter } = connect({ channel });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    api.phoneNumberParameter = 'heeded';
    api.addMedia({ ...photo, id: '2' });
    expect(await outcomeOf(adapter, { providerMediaId: '2' })).toBe('OK');
    expect(api.requests.at(-1)?.path).toBe(`/v23.0/2?phone_number_id=${NUMBER}`);
  });

  it('is not omitted for a media of another number', async () => {
    const { api, channel } = await meta();
    api.addMedia({ ...photo, id: '1' });
    const { adapter } = connect({ channel: { ...channel, options: { ...channel.options, phoneNumberId: '77' } } });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(api.requestCount).toBe(1);
  });
});

describe('a lock-out after twenty failures in an hour', () => {
  const gone = (index: number) => ({ providerMediaId: `9${index}` });

  describe.each([
    ['whatsapp-cloud', meta],
    ['chakra', chakra],
  ] as const)('(%s)', (_name, start) => {
    it('is not reached by two replicas together', async () => {
      const { api, channel } = await start();
      api.lockOut.isOn = true;
      const quota = new MemoryQuota();
      const replicas = [connect({ channel, quota }), connect({ channel, quota })];
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          outcomeOf(replicas[index % 2]?.adapter ?? missingAdapter(), gone(index)),
        ),
      );
      const codes = outcomes.map((outcome) => outcome instanceof Error && outcome.code);
      expect(codes.filter((code) => code === 'MEDIA_NOT_FOUND')).toHaveLength(15);
      expect(codes.filter((code) => code === 'PROVIDER_RATE_LIMITED')).toHaveLength(45);
      const limited = outcomes.filter(
        (outcome) => outcome instanceof Error && outcome.code === 'PROVIDER_RATE_LIMITED',
      );
      for (const outcome of limited) expect(outcome).toMatchObject({ details: { retryable: true } });
      expect(api.lockOut.failures).toBe(15);
      expect(api.lockOut.isBlocked).toBe(false);
    });

    it('is not approached by existing media, network failures and failures of the provider', async () => {
      const { api, channel } = await start();
      const { adapter } = connect({ channel });
      for (const fault of [
        { kind: 'reset' },
        { kind: 'status', status: 503, body: '' },
        { kind: 'status', status: 400, body: graphError(2) },
        { kind: 'status', status: 401 },
      ] as const) {
        // Ten consecutive failures would open the circuit.
        api.faults.push({ match: /./, times: 4, fault });
        for (let count = 0; count < 4; count++)
          expect(await outcomeOf(adapter, gone(0), { job: true })).not.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
      }
      for (let index = 0; index < 40; index++) api.addMedia({ ...photo, id: `${index}` });
      const good = await Promise.all(
        Array.from({ length: 40 }, (_, index) => outcomeOf(adapter, { providerMediaId: `${index}` })),
      );
      expect(new Set(good)).toEqual(new Set(['OK']));
    });

    it('is not used up by repeated requests for one missing media', async () => {
      const { api, channel } = await start();
      api.lockOut.isOn = true;
      const quota = new MemoryQuota();
      const { adapter } = connect({ channel, quota });
      for (let count = 0; count < 50; count++) await outcomeOf(adapter, gone(1), { job: true });
      expect(api.lockOut.failures).toBe(12);
      api.addMedia({ ...photo, id: '1' });
      expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
      expect(await outcomeOf(adapter, gone(2))).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    });
  });

  it('reserves a share for jobs against repeated queries for one media', async () => {
    const { api, channel } = await meta();
    api.lockOut.isOn = true;
    const quota = new MemoryQuota();
    // Each replica remembers absences on its own.
    for (let count = 0; count < 30; count++) {
      const { adapter } = connect({ channel, quota });
      await outcomeOf(adapter, gone(1), { job: true });
      await outcomeOf(adapter, gone(1));
    }
    expect(api.lockOut.failures).toBe(15);
  });

  it('counts one failure for simultaneous requests for the same media', async () => {
    const { api, channel } = await meta();
    const { adapter } = connect({ channel });
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcomeOf(adapter, gone(1))));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(api.requestCount).toBe(1);
  });

  it('does not block requests while the shared counter is unavailable', async () => {
    const { api, channel } = await meta();
    api.addMedia({ ...photo, id: '1' });
    const quota = new MemoryQuota();
    quota.hold = () => Promise.reject(new Error('the catalogue is away'));
    const { adapter } = connect({ channel, quota });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, index) => outcomeOf(adapter, gone(index))));
    expect(outcomes.filter((outcome) => outcome instanceof Error && outcome.code === 'MEDIA_NOT_FOUND')).toHaveLength(
      15,
    );
  });
});

describe('"missing permissions"', () => {
  it('is remembered for queries but not for jobs, which always call', async () => {
    const { api, channel } = await meta();
    api.addMedia({ ...photo, id: '1' });
    const { adapter } = connect({ channel });
    const fault = { kind: 'status', status: 400, body: graphError(100, { error_subcode: 33 }) } as const;
    api.faults.push({ match: /./, times: 2, fault });
    const doubtful = { code: 'MEDIA_NOT_FOUND', details: { retryable: true, retryAfterMs: 2_000 } };
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject(doubtful);
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject({ details: { retryable: true } });
    expect(api.requestCount).toBe(1);
    expect(await outcomeOf(adapter, { providerMediaId: '1' }, { job: true })).toMatchObject({
      details: { retryable: true, retryAfterMs: 6_000 },
    });
    expect(await outcomeOf(adapter, { providerMediaId: '1' }, { job: true })).toBe('OK');
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toBe('OK');
  });
});

describe('an address of Chakra that fails', () => {
  it.each([
    ['a refusal', { kind: 'status', status: 400, body: 'no' }],
    ['a page', { kind: 'body', body: '<html></html>', contentType: 'text/html' }],
    ['a failure', { kind: 'status', status: 502 }],
    ['a lost connection', { kind: 'reset' }],
    ['404 at every address', { kind: 'status', status: 404 }],
    ['a redirect to nothing', { kind: 'redirect', status: 302, location: '' }],
  ] as const)('by %s is replaced by the one-step download', async (_what, fault) => {
    const { api, channel } = await chakra();
    api.addMedia({ ...photo, id: '1' });
    api.faults.push({ match: /attachments/, fault });
    const { adapter } = connect({ channel });
    expect(await open(adapter, { providerMediaId: '1' })).toEqual(photo.bytes);
    expect(api.requests.at(-1)?.path).toBe('/v1/whatsapp/v19.0/media/1/show');
  });

  it('or is missing is replaced by the one-step download', async () => {
    const { api, channel } = await chakra();
    api.addMedia({ ...photo, id: '1' });
    api.faults.push({ match: /media\/1$/, fault: { kind: 'body', body: '{"_data":{}}' } });
    const { adapter } = connect({ channel });
    expect(await open(adapter, { providerMediaId: '1' })).toEqual(photo.bytes);
  });

  it('is the reported error where the one-step download fails too', async () => {
    const { api, channel } = await chakra();
    api.addMedia({ ...photo, id: '1' });
    api.faults.push({ match: /attachments/, fault: { kind: 'status', status: 502 } });
    api.faults.push({ match: /show$/, fault: { kind: 'status', status: 404 } });
    const { adapter } = connect({ channel });
    expect(await outcomeOf(adapter, { providerMediaId: '1' })).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      details: { upstreamStatus: 502 },
    });
  });
});

describe('an upload that Gupshup refuses', () => {
  it('because the app is not on the Cloud API says what the operator must do', async () => {
    const partner = await startEmulator(new GupshupPartnerEmulator({ appId: APP, token: TOKEN }));
    partner.isCloudApiApp = false;
    const { adapter, lines } = connect({
      channel: { provider: 'gupshup', baseUrl: partner.baseUrl, options: { appId: APP } },
    });
    const upload = adapter.uploadMediaFromUrl?.({ url: 'https://x.test/1', mimeType: 'image/png' }, {});
    await expect(upload).rejects.toMatchObject({
      code: 'PROVIDER_REJECTED',
      message: expect.stringMatching(/have Gupshup move the app to the Cloud API/),
      details: { retryable: false, upstreamStatus: 400 },
    });
    expect(lines.join()).toContain('Only CAPI apps allowed to generate media ID');
  });

  it('because it could not fetch the URL says what to check, and may be retried', async () => {
    const partner = await startEmulator(new GupshupPartnerEmulator({ appId: APP, token: TOKEN }));
    const { adapter } = connect({
      channel: { provider: 'gupshup', baseUrl: partner.baseUrl, options: { appId: APP } },
    });
    const upload = adapter.uploadMediaFromUrl?.({ url: 'http://127.0.0.1:1/', mimeType: 'image/png' }, {});
    await expect(upload).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      message: expect.stringMatching(/delivery URLs can be reached from the internet/),
      details: { retryable: true, upstreamStatus: 500 },
    });
  });
});

describe("the operator's log", () => {
  it('has the type, message and param of Kirim’s envelope, the caller the code and the request id', async () => {
    const cdn = await startEmulator(new CdnEmulator());
    const api = await startEmulator(new KirimEmulator({ token: TOKEN, cdn }));
    const error = {
      type: 'invalid_request_error',
      code: 'invalid_phone_number',
      message: 'The phone number is not yours',
      param: 'phone_number_id',
      request_id: 'req_01HXYZ',
    };
    api.fault = { kind: 'status', status: 400, body: JSON.stringify({ error }) };
    const { adapter, lines } = connect({ channel: { provider: 'kirim', baseUrl: api.baseUrl } });
    const [listed] = (await adapter.listMedia?.([kirimMessageId(1)], {})) ?? [];
    expect(listed).toMatchObject({
      code: 'PROVIDER_REJECTED',
      details: { upstreamCode: 'invalid_phone_number', upstreamRequestId: 'req_01HXYZ' },
    });
    const disclosed = JSON.stringify(listed instanceof MediagraphError && [listed.message, listed.details]);
    for (const words of ['is not yours', 'phone_number_id', 'invalid_request_error'])
      expect(disclosed).not.toContain(words);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject([
      { provider: 'kirim', channelId: 'line', upstream: { httpStatus: 400, ...error } },
      'a provider refused a call',
    ]);
  });

  it('has the words of every provider, and none of its secrets', async () => {
    const gateway = await startEmulator(new WaGatewayEmulator({ appId: APP, token: TOKEN, webhookSecret: 'a secret' }));
    const files = await startEmulator(new GupshupFilemanagerEmulator({ appId: APP }));
    const { api, channel } = await meta();
    const words = `Session of ${TOKEN} has expired, see https://x.test/a?access_token=${TOKEN}&x=1`;
    api.fault = { kind: 'status', status: 401, body: graphError(190, { message: words }) };
    gateway.fault = {
      kind: 'status',
      status: 403,
      body: JSON.stringify({ error: { code: 'forbidden', message: words } }),
    };
    files.fault = { kind: 'status', status: 400, body: JSON.stringify({ status: 'error', message: words }) };
    const connections = [
      connect({ channel }),
      connect({ channel: { provider: 'wa-gateway', baseUrl: gateway.baseUrl } }),
      connect({ channel: { provider: 'gupshup', baseUrl: files.url, options: { appId: APP } } }),
    ];
    const ref = { providerMediaId: '1', downloadUrl: `${files.url}/wa/1` };
    for (const [index, { adapter, lines }] of connections.entries()) {
      const outcome = await outcomeOf(adapter, index === 1 ? { providerMediaId: `media/${APP}/1.bin` } : ref);
      expect(outcome).toBeInstanceOf(MediagraphError);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('has expired');
      expect(lines[0]).not.toContain(TOKEN);
    }
  });

  it('is neither flooded nor broken by hostile bodies', () => {
    const lines: object[] = [];
    let now = 0;
    const log = new RefusalLog({
      channel: { id: 'line', tenant: 'default', provider: 'kirim' },
      secrets: [TOKEN],
      logger: { info: (entry: object) => void lines.push(entry) },
      now: () => now,
    });
    const record = (body: string | Buffer) =>
      log.record({ subject: 'a media', response: { statusCode: 400, headers: {}, body: Buffer.from(body) } });
    for (const body of [
      '',
      '[]',
      'null',
      '{"error":{"message":["x"]}}',
      `{"error":"${'x'.repeat(100_000)}"}`,
      Buffer.from([0xff, 0xfe, 0, 1]),
      JSON.stringify({ message: `line\nbreak ${'\u2028'.repeat(1_000)}` }),
      `${'('.repeat(1_000_000)}`,
      `Bearer ${TOKEN}${TOKEN}`,
    ])
      record(body);
    expect(lines).toHaveLength(9);
    for (const line of lines) {
      expect(JSON.stringify(line).length).toBeLessThan(1_500);
      expect(JSON.stringify(line)).not.toMatch(/\\n|\u2028|\\u0000/);
      expect(JSON.stringify(line)).not.toContain(TOKEN);
    }
    for (let count = 0; count < 100; count++) record('{}');
    expect(lines).toHaveLength(20);
    now = 60_000;
    record('{}');
    expect(lines.at(-1)).toMatchObject({ untold: 89 });
  });
});

function missingAdapter(): never {
  throw new Error('expected an adapter');
}
