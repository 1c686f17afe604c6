import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import { GupshupPartnerEmulator } from '../../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { KirimEmulator } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { APP, chakra, connect, graphError, meta, outcomeOf, photo, startEmulator, TOKEN } from './refusals-setup.js';

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

  it('and its headers contain the time to wait, within a day', async () => {
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
