// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration file look like this.
import { DIGEST, errorOf, faultsOf, fileFaultsOf, kirim, parse, type Settings } from './configurations.js';

const HEX_FAULT = 'expected the SHA-256 digest of a key: 64 hexadecimal digits';
const key = (extra: Settings = {}) => ({ sha256: DIGEST, scopes: ['media:read'], ...extra });
const jwt = (jwksUrl: string) => ({ auth: { jwt: { jwksUrl, issuer: 'i', audience: 'a' } } });
const signing = (...signingKeys: Settings[]) => ({ delivery: { signingKeys } });
const LONG = 'long enough a secret';

const FAULTS: Array<[Settings, string[]]> = [
  [{ channels: undefined }, ['channels: missing; expected a list']],
  [{ channels: null }, ['channels: expected a list, got null']],
  [{ channels: {} }, ['channels: expected a list, got a mapping']],
  [{ server: { prot: 1 } }, ['server.prot: unknown key; did you mean port?']],
  [{ metrics: { colour: 1 } }, ['metrics.colour: unknown key; expected enabled, operations, port, token']],
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
    [expect.stringMatching(/^auth\.mode: none gives every client access, .* auth\.allowOpen: true$/)],
  ],
  [{ server: { host: '::' }, auth: null }, [expect.stringContaining('auth.mode: none gives every client access')]],
  [{ log: { level: 'loud' } }, [expect.stringMatching(/^log\.level: expected fatal or .* or silent, got "loud"$/)]],
  [{ metrics: { port: -1 } }, ['metrics.port: expected a port from 0 to 65535, got -1']],
  [{ metrics: { token: 2 ** 60 } }, ['metrics.token: expected a text; a number of this length needs quotes']],
  [{ auth: { mode: 'jwt' } }, ['auth.jwt: auth.mode jwt needs the key set, the issuer and the audience of tokens']],
  [{ auth: { mode: 'basic' } }, ['auth.mode: expected none or apiKey or jwt, got "basic"']],
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
  test.each(FAULTS)('%j', (settings, expected) => expect(faultsOf(settings)).toEqual(expected));

  test('all of them are reported at once, by path, whatever their kind', () => {
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

describe('secrets', () => {
  const MARKER = 'S3CR3T';

  test('no fault shows one, at any place', () => {
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
