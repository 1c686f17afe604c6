import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import { GupshupFilemanagerEmulator } from '../../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { GupshupPartnerEmulator } from '../../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { KirimEmulator } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { MediagraphError } from '../../../src/model/errors.js';
import { RefusalLog } from '../../../src/providers/toolkit/refusal-log.js';
import { APP, connect, graphError, meta, outcomeOf, startEmulator, TOKEN } from './refusals-setup.js';

describe('an upload that Gupshup refuses', () => {
  it('because the app is not on the Cloud API has a log line with what the operator must do', async () => {
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

  it('because it could not fetch the URL has a log line with what to check, and may be retried', async () => {
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

  it('has the error message of every provider, and none of its secrets', async () => {
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
