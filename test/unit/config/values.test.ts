import { PROVIDER_NAMES } from '../../../src/model/channel.js';
import { DIGEST, kirim, loadText, parse } from './configurations.js';

describe('defaults', () => {
  test('every key but channels has the documented default', () => {
    const policy = { timeoutMs: 10_000, retries: 2, maxConcurrency: 32 };
    expect(parse({})).toEqual({
      server: {
        host: '127.0.0.1',
        port: 4000,
        publicUrl: null,
        explorer: 'sandbox',
        trustProxy: false,
        routerSecret: null,
        requestTimeoutMs: 30_000,
        allowedOrigins: [],
      },
      log: { level: 'info' },
      metrics: { enabled: true, operations: [], port: null, token: null },
      auth: { mode: 'none', allowOpen: false, apiKeys: [], jwt: null },
      database: { url: 'pglite:./data/catalog' },
      storage: { driver: 'fs', root: './data/blobs', fileMode: 0o600, folderMode: 0o700, s3: null },
      delivery: {
        baseUrl: null,
        signingKeys: [],
        urlTtlMs: 3_600_000,
        visibility: 'private',
        allowedOrigins: ['*'],
        bindToOrigins: false,
        purge: null,
        purgeHeaders: {},
        offload: null,
        offloadPrefix: '/blobs/',
        memoryCacheBytes: 64_000_000,
      },
      rendering: { placeholders: true, concurrency: 2, timeoutMs: 20_000, maxPixels: 50_000_000 },
      mirror: { mode: 'eager', listed: false, concurrency: 8 },
      upload: { maxBytes: 100_000_000, timeoutMs: 60_000, respondWithinMs: 20_000 },
      network: { allowPrivate: [], allowedPorts: [80, 443] },
      retention: { defaultMs: null, sweepIntervalMs: 600_000 },
      tenants: {},
      limits: {
        maxDepth: 8,
        maxAliases: 30,
        maxTokens: 2000,
        maxNodes: 500_000,
        maxProviderCalls: 1_000,
        maxAnswerBytes: 64_000_000,
        bodyBytes: 4_000_000,
        eventLoopDelay: 1_000,
        requestsPerMinute: null,
        subscriptionsPerConnection: 100,
      },
      tracing: { propagateToProviders: false },
      federation: { messageIds: 'transparent', authDirectives: false, costDirectives: false },
      providers: Object.fromEntries(PROVIDER_NAMES.map((name) => [name, policy])),
      channels: [],
      withoutEffect: [],
      production: false,
      toolsPath: '',
    });
  });

  test('a section whose lines are all commented out keeps its defaults', async () => {
    const config = await loadText('server:\nproviders:\n  kirim:\nchannels: []\n');
    expect(config.server.port).toBe(4000);
    expect(config.providers.kirim.retries).toBe(2);
  });

  test("a channel's defaults are filled in", () => {
    expect(parse({ channels: [kirim({ webhook: { secret: 'hook' } })] }).channels).toEqual([
      {
        ...kirim(),
        tenant: 'default',
        options: { allowPrivate: [] },
        webhook: { secret: 'hook', signatureHeader: 'X-Kirim-Signature' },
      },
    ]);
  });

  test('a provider that overrides one value keeps the others', () => {
    const { providers } = parse({ providers: { kirim: { timeout: '500ms' } } });
    expect(providers.kirim).toEqual({ timeoutMs: 500, retries: 2, maxConcurrency: 32 });
  });
});

describe('values', () => {
  test('numbers and booleans may be given as strings', () => {
    const config = parse({
      server: { port: '0', trustProxy: 'true' },
      upload: { maxBytes: '4096' },
      network: { allowedPorts: ['8080', 443] },
      providers: { twilio: { retries: '0' } },
    });
    expect(config.server).toMatchObject({ port: 0, trustProxy: true });
    expect(config.upload.maxBytes).toBe(4096);
    expect(config.network.allowedPorts).toEqual([8080, 443]);
    expect(config.providers.twilio.retries).toBe(0);
  });

  test('a text that looks like a number stays unchanged', async () => {
    const [channel] = (
      await loadText(
        `channels:
          - { id: a, provider: twilio, baseUrl: "https://t.example.com",
              credentials: { accountSid: AC1, username: 0123, password: 1.10 } }`,
      )
    ).channels;
    expect(channel?.credentials).toEqual({ accountSid: 'AC1', username: '0123', password: '1.10' });
  });

  test('digests are kept in lower case, URLs without a trailing slash', () => {
    const config = parse({
      server: { publicUrl: 'https://Media.example.com/' },
      auth: { mode: 'apiKey', apiKeys: [{ sha256: DIGEST.toUpperCase(), scopes: ['media:read'] }] },
      delivery: { baseUrl: 'https://cdn.example.com/media/' },
    });
    expect(config.auth.apiKeys).toEqual([{ sha256: DIGEST, tenant: 'default', scopes: ['media:read'] }]);
    expect(config.server.publicUrl).toBe('https://media.example.com');
    expect(config.delivery.baseUrl).toBe('https://cdn.example.com/media');
  });

  test('the URL that a webhook signature covers is kept unchanged', () => {
    const url = 'https://Media.example.com:443/webhooks/sms/?a=b';
    const channel = kirim({
      provider: 'twilio',
      credentials: { accountSid: 'AC1', username: 'u', password: 'p' },
      webhook: { secret: 's', url },
    });
    expect(parse({ channels: [channel] }).channels[0]?.webhook).toMatchObject({ url });
  });

  test('origins may be listed for all or per tenant', () => {
    const listed = parse({ delivery: { allowedOrigins: ['https://app.example.com/'] } });
    expect(listed.delivery.allowedOrigins).toEqual(['https://app.example.com']);
    const map = { acme: ['*'], other: [] };
    expect(parse({ delivery: { allowedOrigins: map } }).delivery.allowedOrigins).toEqual(map);
  });

  test.each([['127.0.0.1'], ['127.9.9.9'], ['::1'], ['localhost']])('auth.mode none can listen on %s', (host) =>
    expect(parse({ server: { host } }).server.host).toBe(host),
  );

  test('auth.mode none can listen anywhere with auth.allowOpen', () => {
    expect(parse({ server: { host: '0.0.0.0' }, auth: { allowOpen: 'true' } }).auth.allowOpen).toBe(true);
  });
});
