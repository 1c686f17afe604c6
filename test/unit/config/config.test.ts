// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration file look like this.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Fault, loadConfig, parseConfig, withoutEffectYet } from '../../../src/config/config.js';
import { PROVIDER_NAMES } from '../../../src/model/channel.js';
import { parseBytes, parseDuration } from '../../../src/settings/units.js';

type Given = Record<string, unknown>;

const DIGEST = 'ab'.repeat(32);

const kirim = (extra: Given = {}): Given => ({
  id: 'support',
  provider: 'kirim',
  baseUrl: 'https://api.example.com/v1',
  credentials: { token: 'kirim-token' },
  ...extra,
});

const parse = (given: Given, env: NodeJS.ProcessEnv = {}) => parseConfig({ channels: [], ...given }, env);

function errorOf(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error;
    }
    throw error;
  }
  throw new Error('expected a ConfigError, but the configuration was accepted');
}

const linesOf = (faults: readonly Fault[]) => faults.map(({ path, message }) => `${path}: ${message}`);
const faultsOf = (given: Given, env: NodeJS.ProcessEnv = {}) => linesOf(errorOf(() => parse(given, env)).faults);

async function withFile<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-config-'));
  const file = join(folder, 'config.yaml');
  try {
    await writeFile(file, text);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const loadText = (text: string, env: NodeJS.ProcessEnv = {}) => withFile(text, (file) => loadConfig({ file, env }));

async function fileFaultsOf(text: string): Promise<string[]> {
  const error = await loadText(text).then(
    () => new Error('accepted'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  return linesOf(error.faults);
}

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
      metrics: { port: null, token: null },
      auth: { mode: 'none', allowOpen: false, apiKeys: [], jwt: null },
      database: { url: 'pglite:./data/catalog' },
      storage: { driver: 'fs', root: './data/blobs', s3: null },
      delivery: {
        baseUrl: null,
        signingKeys: [],
        urlTtlMs: 3_600_000,
        visibility: 'private',
        allowedOrigins: ['*'],
        bindToOrigins: false,
        purge: null,
        purgeHeaders: {},
        memoryCacheBytes: 64_000_000,
      },
      rendering: { placeholders: true, concurrency: 2, timeoutMs: 20_000, maxPixels: 50_000_000 },
      mirror: { mode: 'eager', concurrency: 8 },
      upload: { maxBytes: 100_000_000, timeoutMs: 60_000, respondWithinMs: 20_000 },
      network: { allowPrivate: [], allowedPorts: [80, 443] },
      retention: { defaultMs: null, sweepIntervalMs: 600_000 },
      limits: {
        maxDepth: 8,
        maxAliases: 30,
        maxTokens: 2000,
        maxNodes: 500_000,
        maxProviderCalls: 1_000,
        maxAnswerBytes: 64_000_000,
        bodyBytes: 4_000_000,
        requestsPerMinute: null,
        subscriptionsPerConnection: 100,
      },
      tracing: { propagateToProviders: false },
      federation: { messageIds: 'transparent', authDirectives: false },
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
  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5h', 5_400_000],
    ['30d', 2_592_000_000],
    ['10', undefined],
    ['10 parsecs', undefined],
    ['-1s', undefined],
    ['', undefined],
  ])('the duration %j is %p ms', (given, expected) => expect(parseDuration(given)).toBe(expected));

  test.each([
    ['4096', 4096],
    ['100MB', 100_000_000],
    ['100 mb', 100_000_000],
    ['64MiB', 67_108_864],
    ['1.5GB', 1_500_000_000],
    ['10B', 10],
    ['10 bananas', undefined],
    ['-1', undefined],
    ['', undefined],
  ])('the size %j is %p bytes', (given, expected) => expect(parseBytes(given)).toBe(expected));

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

  test('a text that looks like a number stays as it was written', async () => {
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

  test('the URL that a webhook signature covers is kept to the letter', () => {
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

  test.each([['127.0.0.1'], ['127.9.9.9'], ['::1'], ['localhost']])('auth.mode none may listen on %s', (host) =>
    expect(parse({ server: { host } }).server.host).toBe(host),
  );

  test('auth.mode none may listen anywhere when auth.allowOpen says so', () => {
    expect(parse({ server: { host: '0.0.0.0' }, auth: { allowOpen: 'true' } }).auth.allowOpen).toBe(true);
  });
});

const HEX_FAULT = 'expected the SHA-256 digest of a key: 64 hexadecimal digits';
const key = (extra: Given = {}) => ({ sha256: DIGEST, scopes: ['media:read'], ...extra });
const jwt = (jwksUrl: string) => ({ auth: { jwt: { jwksUrl, issuer: 'i', audience: 'a' } } });
const signing = (...signingKeys: Given[]) => ({ delivery: { signingKeys } });
const LONG = 'long enough a secret';

const FAULTS: Array<[Given, string[]]> = [
  [{ channels: undefined }, ['channels: missing; expected a list']],
  [{ channels: null }, ['channels: expected a list, got null']],
  [{ channels: {} }, ['channels: expected a list, got a mapping']],
  [{ server: { prot: 1 } }, ['server.prot: unknown key; did you mean port?']],
  [{ metrics: { colour: 1 } }, ['metrics.colour: unknown key; expected port, token']],
  [{ 'a.b\n': 1 }, [expect.stringMatching(/^\["a\.b\\n"\]: unknown key; expected server, log/)]],
  [{ server: [] }, ['server: expected a mapping, got a list']],
  [{ server: { port: null } }, ['server.port: expected a port from 0 to 65535, got null']],
  [{ server: { port: 65536 } }, ['server.port: expected a port from 0 to 65535, got 65536']],
  [{ server: { port: '' } }, ['server.port: expected a port from 0 to 65535, got ""']],
  [{ server: { host: '[::1]' } }, [expect.stringMatching(/^server\.host: expected an address .* got "\[::1\]"$/)]],
  [{ server: { trustProxy: 'yes' } }, ['server.trustProxy: expected true or false, got "yes"']],
  [{ server: { explorer: 'x' } }, ['server.explorer: expected sandbox or graphiql or off, got "x"']],
  [{ server: { publicUrl: 'ftp://h' } }, ['server.publicUrl: expected an http or https URL']],
  [
    { server: { publicUrl: 'http://u:p@h' } },
    ['server.publicUrl: expected a URL without user information and fragment'],
  ],
  [{ server: { publicUrl: 'http://h/?' } }, ['server.publicUrl: expected a URL without a query']],
  [{ server: { routerSecret: '' } }, ['server.routerSecret: expected a non-empty text']],
  [
    { server: { host: '0.0.0.0' } },
    [expect.stringMatching(/^auth\.mode: none lets everybody in, .* auth\.allowOpen: true$/)],
  ],
  [{ server: { host: '::' }, auth: null }, [expect.stringContaining('auth.mode: none lets everybody in')]],
  [{ log: { level: 'loud' } }, [expect.stringMatching(/^log\.level: expected fatal or .* or silent, got "loud"$/)]],
  [{ metrics: { port: -1 } }, ['metrics.port: expected a port from 0 to 65535, got -1']],
  [{ metrics: { token: 2 ** 60 } }, ['metrics.token: expected a text; a number of this length needs quotes']],
  [{ auth: { mode: 'jwt' } }, ['auth.mode: jwt is not available in this version; expected none or apiKey']],
  [{ auth: { mode: 'basic' } }, ['auth.mode: expected none or apiKey, got "basic"']],
  [{ auth: { mode: 'apiKey' } }, ['auth.apiKeys: auth.mode apiKey needs at least one key']],
  [{ auth: { apiKeys: [key({ sha256: 'abc' })] } }, [`auth.apiKeys[0].sha256: ${HEX_FAULT}`]],
  [
    { auth: { apiKeys: [key(), key({ sha256: DIGEST.toUpperCase() })] } },
    ['auth.apiKeys[1].sha256: the same as auth.apiKeys[0].sha256'],
  ],
  [{ auth: { apiKeys: [key({ scopes: [] })] } }, ['auth.apiKeys[0].scopes: expected at least one scope, got a list']],
  [
    { auth: { apiKeys: [key({ scopes: ['media:all'] })] } },
    ['auth.apiKeys[0].scopes[0]: expected media:read or media:write or media:delete, got "media:all"'],
  ],
  [jwt('http://login.example.com/jwks'), ['auth.jwt.jwksUrl: expected https; http is allowed on loopback only']],
  [{ database: { url: 'mysql://root:hunter2@db' } }, ['database.url: expected pglite:<folder> or postgres://…']],
  [{ storage: { driver: 's3' } }, ['storage.s3: storage.driver s3 needs at least a bucket']],
  [signing({ id: 'k 1', secret: LONG }), [expect.stringContaining('delivery.signingKeys[0].id: expected 1 to 32')]],
  [
    signing({ id: 'k', secret: LONG }, { id: 'k', secret: LONG }),
    ['delivery.signingKeys[1].id: the same as delivery.signingKeys[0].id'],
  ],
  [
    { delivery: { urlTtl: '59s' } },
    ['delivery.urlTtl: expected a duration with its unit, from 1m to 7d, such as 1h, got "59s"'],
  ],
  [{ delivery: { urlTtl: '8d' } }, [expect.stringContaining('delivery.urlTtl: expected')]],
  [{ delivery: { urlTtl: 3600 } }, [expect.stringMatching(/^delivery\.urlTtl: .*with its unit.* got 3600$/)]],
  [
    { delivery: { allowedOrigins: ['*', 'https://a.example.com/path'] } },
    ['delivery.allowedOrigins[1]: expected an origin without a path'],
  ],
  [
    { delivery: { allowedOrigins: { 'acme.co': ['app.example.com'] } } },
    ['delivery.allowedOrigins["acme.co"][0]: expected "*" or an origin such as https://app.example.com'],
  ],
  [
    { server: { port: 9090 }, metrics: { port: '9090' } },
    ["metrics.port: expected another port than the server's, or null to share it"],
  ],
  [{ delivery: { allowedOrigins: '*' } }, ['delivery.allowedOrigins: expected a list of origins, or one per tenant']],
  [
    { channels: [kirim({ tenant: 'ü'.repeat(176) })] },
    ['channels[0].tenant: expected a tenant of at most 350 bytes of well-formed text'],
  ],
  [{ mirror: { concurrency: 0 } }, ['mirror.concurrency: expected a whole number from 1 to 1000, got 0']],
  [{ upload: { maxBytes: 'lots' } }, [expect.stringMatching(/^upload\.maxBytes: expected a size .* got "lots"$/)]],
  [{ upload: { timeout: '60d' } }, [expect.stringContaining('upload.timeout: expected a duration')]],
  [
    { network: { allowPrivate: ['10/8'] } },
    ['network.allowPrivate[0]: expected a CIDR such as 127.0.0.0/8, got "10/8"'],
  ],
  [{ network: { allowedPorts: [0] } }, ['network.allowedPorts[0]: expected a port from 1 to 65535, got 0']],
  [{ retention: { default: 30 } }, [expect.stringContaining('retention.default: expected a duration')]],
  [{ limits: { maxDepth: 0 } }, [expect.stringContaining('limits.maxDepth: expected a whole number from 1')]],
  [{ limits: { maxTokens: 1.5 } }, [expect.stringMatching(/^limits\.maxTokens: expected a whole number .* got 1\.5$/)]],
  [{ federation: { messageIds: 'x' } }, [expect.stringContaining('federation.messageIds: expected transparent')]],
  [{ providers: { kirrim: {} } }, ['providers.kirrim: unknown key; did you mean kirim?']],
  [
    { providers: { kirim: { timeout: '0s' } } },
    [expect.stringContaining('providers.kirim.timeout: expected a duration')],
  ],
  [
    { providers: { kirim: { retries: 11 } } },
    ['providers.kirim.retries: expected a whole number from 0 to 10, got 11'],
  ],
  [
    { providers: { 'wa-gateway': { maxConcurrency: 0 } } },
    [expect.stringContaining('providers.wa-gateway.maxConcurrency:')],
  ],
  [{ channels: ['support'] }, ['channels[0]: expected a mapping']],
  [
    { channels: [kirim({ provider: undefined })] },
    [expect.stringMatching(/^channels\[0\]\.provider: missing; expected one of kirim, .*gupshup/)],
  ],
  [
    { channels: [kirim({ provider: 'telegram' })] },
    [expect.stringMatching(/^channels\[0\]\.provider: expected one of kirim, .*gupshup.*, got "telegram"$/)],
  ],
  [{ channels: [kirim({ provider: 'whatsapp-cloud' })] }, [expect.stringMatching(/^channels\[0\]\.options: missing/)]],
  [{ channels: [kirim({ provider: 'gupshup' })] }, [expect.stringMatching(/^channels\[0\]\.options: missing/)]],
  [
    { channels: [kirim({ provider: 'telegram', baseUrl: 'x', id: 'A' })] },
    [
      expect.stringContaining('channels[0].baseUrl: expected an http'),
      expect.stringContaining('channels[0].id: expected lower-case'),
      expect.stringContaining('channels[0].provider: expected one of kirim'),
    ],
  ],
  [{ channels: [kirim({ baseUrl: undefined })] }, ['channels[0].baseUrl: missing; expected a text']],
  [
    { channels: [kirim({ id: 'No' })] },
    [expect.stringMatching(/^channels\[0\]\.id: expected lower-case .* got "No"$/)],
  ],
  [
    { channels: [kirim({ credentials: { token: 2 ** 60 } })] },
    ['channels[0].credentials.token: expected a text; a number of this length needs quotes'],
  ],
  [{ channels: [kirim(), kirim()] }, ['channels[1].id: the same as channels[0].id']],
  [
    { channels: [kirim({ credentials: { tokn: 'x' } })] },
    [
      'channels[0].credentials.token: missing; expected a text',
      'channels[0].credentials.tokn: unknown key; did you mean token?',
    ],
  ],
  [{ channels: [kirim({ credentials: { token: 'x\n' } })] }, [expect.stringContaining('expected visible ASCII')]],
];

describe('faults', () => {
  test.each(FAULTS)('%j', (given, expected) => expect(faultsOf(given)).toEqual(expected));

  test('all of them are told at once, by path, whatever their kind', () => {
    const faults = faultsOf({
      server: { prot: 1, host: '0.0.0.0', port: 'x' },
      delivery: {
        urlTtl: 5,
        signingKeys: [
          { id: 'k', secret: '${NOWHERE}' },
          { id: 'k', secret: 'short' },
        ],
      },
      channels: [kirim(), kirim({ baseUrl: 'x' }), kirim({ id: 'third', provider: 'gupshup' })],
    });
    expect(faults.map((line) => line.split(':')[0])).toEqual([
      'auth.mode',
      'channels[1].baseUrl',
      'channels[1].id',
      'channels[2].options',
      'delivery.signingKeys[0].secret',
      'delivery.signingKeys[1].id',
      'delivery.urlTtl',
      'server.port',
      'server.prot',
    ]);
  });
});

describe('variables', () => {
  const env = { TOKEN: 'a: b #c "\n- d', PORT: '4001', EMPTY: '', NESTED: '${TOKEN}', ONE: '80' };

  test('a value with the special characters of YAML changes no structure', async () => {
    const text =
      'channels:\n  - { id: a, provider: kirim, baseUrl: "https://h", credentials: { token: t }, webhook: { secret: "${TOKEN}" } }';
    const { channels } = await loadText(text, env);
    expect(channels[0]?.webhook?.secret).toBe(env.TOKEN);
  });

  test.each([
    ['${PORT}', env.PORT],
    ['${MISSING:-fallback}', 'fallback'],
    ['${MISSING:-}', ''],
    ['${EMPTY:-fallback}', 'fallback'],
    ['a${EMPTY}b', 'ab'],
    ['${PORT}-${PORT:-x}', '4001-4001'],
    ['${NESTED}', '${TOKEN}'],
    ['$PORT ${my-var} ${', '$PORT ${my-var} ${'],
  ])('%j becomes %j', (given, expected) => {
    expect(parse({ storage: { root: `x${given}` } }, env).storage.root).toBe(`x${expected}`);
  });

  test('they are replaced in lists and before types are read', () => {
    const config = parse({ network: { allowedPorts: ['${ONE}'] }, server: { port: '${PORT}' } }, env);
    expect(config.network.allowedPorts).toEqual([80]);
    expect(config.server.port).toBe(4001);
  });

  test('keys are left alone', () => {
    expect(faultsOf({ '${PORT}': 1 }, env)).toEqual([expect.stringContaining('["${PORT}"]: unknown key')]);
  });

  test('a missing one is one fault, with its name and the path of the value', () => {
    const given = {
      server: { host: '${HOST}', port: '${A}${B}' },
      auth: { mode: '${MODE}' },
      channels: '${constructor}',
    };
    expect(faultsOf(given)).toEqual([
      'auth.mode: the environment variable MODE is not set and has no default',
      'channels: the environment variable constructor is not set and has no default',
      'server.host: the environment variable HOST is not set and has no default',
      'server.port: the environment variable A is not set and has no default',
      'server.port: the environment variable B is not set and has no default',
    ]);
  });

  test('a missing one does not hide that its key is unknown', () => {
    expect(faultsOf({ server: { prot: '${PORT}' } })).toEqual([
      'server.prot: the environment variable PORT is not set and has no default',
      'server.prot: unknown key; did you mean port?',
    ]);
  });

  test('a default that holds a variable is a fault, not a surprise', () => {
    expect(faultsOf({ storage: { root: '${A:-${B}}' } })).toEqual([
      'storage.root: the default of A must not contain another variable',
    ]);
  });

  test('a value from the environment is not shown even where a value of the file would be', () => {
    const line = 'server.port: expected a port from 0 to 65535';
    expect(faultsOf({ server: { port: '${PORT}' } }, { PORT: 'hunter2' })).toEqual([line]);
    expect(faultsOf({ server: { port: 'x' } })).toEqual([`${line}, got "x"`]);
  });
});

describe('secrets', () => {
  const MARKER = 'S3CR3T';

  test('no fault shows one, wherever it stands', () => {
    const bad = [MARKER];
    const hook = { secret: bad, [MARKER]: null, url: `ftp://${MARKER}`, signatureHeader: `${MARKER} ${MARKER}` };
    const laml = { accountSid: `${MARKER}/..`, username: bad, password: { [MARKER]: MARKER }, [MARKER]: 1 };
    const error = errorOf(() =>
      parse(
        {
          server: { routerSecret: bad, publicUrl: `http://u:${MARKER}@h`, port: '${PORT}', host: '0.0.0.0' },
          auth: { apiKeys: [{ sha256: MARKER, scopes: [], [MARKER]: null }], jwt: { jwksUrl: `http://${MARKER}` } },
          database: { url: `mysql://u:${MARKER}@h` },
          storage: { s3: { accessKeyId: bad, secretAccessKey: bad, endpoint: `http://${MARKER}@h` } },
          delivery: {
            baseUrl: MARKER,
            purge: `https://${MARKER}@cdn`,
            signingKeys: [
              { id: `${MARKER}!`, secret: MARKER },
              { id: 'k', secret: '${KEY}', [MARKER]: null },
            ],
            allowedOrigins: [`https://${MARKER}@h`],
          },
          channels: [
            kirim({
              baseUrl: `https://${MARKER}@h`,
              credentials: { token: `${MARKER} \n`, [MARKER]: null },
              webhook: hook,
            }),
            kirim({ provider: 'twilio', credentials: laml, webhook: hook }),
            kirim({ provider: 'chakra', credentials: laml, baseUrl: MARKER }),
            MARKER,
          ],
        },
        { PORT: MARKER, KEY: MARKER },
      ),
    );
    expect(error.faults.length).toBeGreaterThan(25);
    expect(`${error.message} ${error.stack} ${JSON.stringify(error.faults)}`).not.toContain(MARKER);
  });

  test.each([
    ['token: "S3CR3T\\q"'],
    ['password: *S3CR3T'],
    ['a: S3CR3T: b'],
    ['a: "S3CR3T'],
    ['a: !S3CR3T b'],
    ['S3CR3T: 1\nS3CR3T: 2'],
    ['a: [S3CR3T\nb: }'],
    ['%S3CR3T\n---\na: 1'],
  ])('a file that is not valid is not quoted: %j', async (text) => {
    const faults = await fileFaultsOf(text);
    expect(faults.join()).toMatch(/\(file\): line \d+, column \d+: /);
    expect(faults.join()).not.toContain('S3CR3T');
  });
});

/** A phone number id is a number. */
function valueFor(name: string): string {
  return name.endsWith('PHONE_NUMBER_ID') ? '106540352242922' : `value-of-${name}`.replaceAll('_', '-');
}

describe('files', () => {
  test('the example of the repository is valid, given its variables', async () => {
    const example = await readFile('config.example.yaml', 'utf8');
    const names = [...example.matchAll(/^(?!\s*#).*?\$\{(\w+)\}/gm)].map(([, name]) => name ?? '');
    const env = Object.fromEntries(names.map((name) => [name, valueFor(name)]));
    const { withoutEffect, channels, delivery, ...rest } = await loadText(example, env);
    const { channels: _, delivery: defaultDelivery, withoutEffect: __, ...defaults } = parse({});
    expect(rest).toEqual(defaults);
    expect(delivery).toEqual({ ...defaultDelivery, signingKeys: [{ id: 'k1', secret: 'value-of-MEDIA-SIGNING-KEY' }] });
    expect(channels.map(({ provider }) => provider).sort()).toEqual([...PROVIDER_NAMES].sort());
    expect(withoutEffect).toEqual([]);
  });

  test('JSON is read too, indented with tabs', async () => {
    const config = await loadText(JSON.stringify({ server: { port: 1 }, channels: [kirim()] }, null, '\t'));
    expect(config.server.port).toBe(1);
  });

  test.each([
    ['a: 1\nb: 2\na: 3', '(file): line 3, column 1: this key stands twice in the same mapping'],
    ['a: *b', '(file): line 1, column 4: an alias without an anchor before it; a text that starts with * needs quotes'],
    ['a: !vault b', '(file): line 1, column 4: unknown tag'],
    ['--- {}\n--- {}', '(file): line 2, column 1: more than one document in the file'],
    ['- a', '(file): expected a mapping of keys to values'],
    ['', 'channels: missing; expected a list'],
  ])('%j gives one fault', async (text, fault) => expect(await fileFaultsOf(text)).toEqual([fault]));

  test('aliases that unfold without end are refused', async () => {
    const bomb = `a: &a [${'1,'.repeat(10)}]\nb: &b [${'*a,'.repeat(10)}]\nc: &c [${'*b,'.repeat(10)}]\nd: [${'*c,'.repeat(10)}]`;
    expect(await fileFaultsOf(bomb)).toEqual(['(file): too many aliases']);
    expect((await fileFaultsOf('channels: &a [*a]')).join()).toContain('nested too deeply');
  });

  test('a file that cannot be read, or none at all, is a fault', async () => {
    await expect(loadConfig({ file: '/nowhere/config.yaml', env: {} })).rejects.toMatchObject({
      faults: [{ path: '(file)', message: 'cannot be read (ENOENT)' }],
      source: '/nowhere/config.yaml',
    });
    await expect(loadConfig({ env: { MEDIA_CONFIG: '' } })).rejects.toThrow('--config FILE');
  });

  test('MEDIA_CONFIG names the file unless --config does', async () => {
    const load = (file: string) => loadConfig({ env: { MEDIA_CONFIG: file } });
    expect((await withFile('server: { port: 7 }\nchannels: []', load)).server.port).toBe(7);
    const env = { MEDIA_CONFIG: '/nowhere/config.yaml' };
    expect((await loadText('channels: []', env)).channels).toEqual([]);
  });
});

test('keys without effect yet are told where they are set, and only there', () => {
  const given = {
    metrics: { port: null },
    mirror: { mode: 'lazy' },
    federation: { authDirectives: false, messageIds: 'bare' },
    upload: { maxBytes: 1, timeout: '1s' },
    limits: { requestsPerMinute: 60 },
    storage: { s3: { bucket: 'b' } },
  };
  expect(withoutEffectYet(given)).toEqual(['limits.requestsPerMinute']);
  expect(parse({ ...given, limits: { requestsPerMinute: '${LIMIT}' } }, { LIMIT: '60' }).withoutEffect).toContain(
    'limits.requestsPerMinute',
  );
  expect(withoutEffectYet(null)).toEqual([]);
});
