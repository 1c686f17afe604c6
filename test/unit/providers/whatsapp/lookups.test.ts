import { MemoryQuota } from '../../../support/adapter-context.js';
import { chakra, connect, graphError, meta, NUMBER, open, outcomeOf, photo, refOf } from '../refusals-setup.js';

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

function missingAdapter(): never {
  throw new Error('expected an adapter');
}
