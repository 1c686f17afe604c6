import { Canary } from '../support/canary.js';
import { leaksIn } from '../support/leaks.js';
import { type TestBed, useBeds } from '../support/test-bed.js';
import { type Attempt, attempt, watchUploads } from '../support/upload-attempts.js';

const TABLE_MS = 60_000;

// Nothing private is open; the canary's port is allowed, so that only its addresses can be what is refused.
const allowedPorts = [80, 443];
const beds = useBeds({ config: { network: { allowPrivate: [], allowedPorts } } });
let bed: TestBed;
let canary: Canary;

beforeAll(async () => {
  canary = await Canary.start();
  allowedPorts.push(canary.port);
});
afterAll(() => canary.close());
beforeEach(async () => {
  bed = await beds.shared();
});

const HOSTS = {
  'an IPv4 address that is not public': [
    '127.0.0.1',
    '127.0.0.53',
    '127.255.255.254',
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '169.254.169.254',
    '169.254.170.2',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '192.168.255.255',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  'an IPv4 address as only a parser reads it': [
    '127.1',
    '127.0.1',
    '2130706433',
    '6425673729',
    '0x7f000001',
    '0x7f.0.0.1',
    '0X7F.1',
    '0x7f.0x0.0x0.0x1',
    '017700000001',
    '0177.0.0.1',
    '0177.1',
    '0000177.0.0.1',
    '127.0.0.01',
    '127.000.000.001',
    '127.0x0.0.1',
    '127.0.0.1.',
    '383.0.0.1',
    '0',
    '00',
    '0x',
    '0x0',
    '10.1',
    '0xa9fea9fe',
    '2852039166',
    '0251.0376.0251.0376',
    '169.16689662',
    '3232235521',
    '172.016.000.001',
  ],
  'an IPv4 address in other letters': [
    '１２７.０.０.１',
    '①②⑦.⓪.⓪.①',
    '⑯⑨。②⑤④。⑯⑨。②⑤④',
    '127。0。0。1',
    '127．0．0．1',
    '127｡0｡0｡1',
    '𝟏𝟐𝟕.𝟎.𝟎.𝟏',
    '²⁷.0.0.1',
    '127.0.0.1\u200b',
    '12\u00ad7.0.0.1',
    '127.0.0.1\ufeff',
    '127.0.0.%31',
    '%31%32%37.0.0.1',
    '127%2e0%2e0%2e1',
    '127.0.0.1%00',
    '127.0.0.1%00.example.com',
    '127.0.0.1%2523',
  ],
  'an IPv6 address that is not public': [
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[0000:0000:0000:0000:0000:0000:0000:0001]',
    '[::]',
    '[::127.0.0.1]',
    '[::7f00:1]',
    '[::ffff:127.0.0.1]',
    '[::FFFF:7F00:1]',
    '[0:0:0:0:0:ffff:a9fe:a9fe]',
    '[::ffff:8.8.8.8]',
    '[::ffff:0:127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b::808:808]',
    '[64:ff9b:1::7f00:1]',
    '[100::1]',
    '[100:0:0:1::1]',
    '[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
    '[2001:db8::1]',
    '[2002:7f00:1::]',
    '[2002:808:808::]',
    '[2606:4700::5efe:7f00:1]',
    '[3fff::1]',
    '[5f00::1]',
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[fe80::1%25lo]',
    '[fe80::1%lo]',
    '[fec0::1]',
    '[ff02::1]',
    '[::1',
    '[v1.127]',
    '::1',
    '[127.0.0.1]',
  ],
  'a name of this host or network': [
    'localhost',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
    'localhost.localdomain',
    'ip6-localhost',
    'ⓛocalhost',
    'ｌocalhost',
    'local\u00adhost',
    'localhos%74',
    'printer.local',
    'metadata.google.internal',
    'router.home.arpa',
  ],
  'user information, or what looks like it': [
    'example.com@127.0.0.1',
    'user:password@example.com',
    'user@127.0.0.1',
    '@127.0.0.1',
    ':@127.0.0.1',
    'example.com%40127.0.0.1',
    'example.com\\@127.0.0.1',
    '127.0.0.1\\@example.com',
    '127.0.0.1&@example.com',
    '127.0.0.1 @example.com',
    '127.0.0.1\t.example.com',
    '127.0.0.1\0.example.com',
  ],
};

const TEXTS = {
  'no http or https URL': [
    '',
    ' ',
    'photo.jpg',
    '/photo.jpg',
    '//127.0.0.1/photo.jpg',
    'file:///etc/passwd',
    'ftp://example.com/photo.jpg',
    'gopher://127.0.0.1:6379/_INFO',
    'dict://127.0.0.1:11211/stats',
    'ldap://127.0.0.1/',
    'data:image/gif;base64,R0lGODlhAQABAAAAACw=',
    'javascript:alert(1)',
    'blob:https://example.com/uuid',
    'jar:http://127.0.0.1!/photo.jpg',
    'http+unix://%2fvar%2frun%2fdocker.sock/info',
    'http:127.0.0.1',
    'http:/127.0.0.1',
    'http:///127.0.0.1',
    'http:\\\\127.0.0.1',
    ' http://127.0.0.1/',
    '\0http://127.0.0.1/',
    'ht\ntp://127.0.0.1/',
    'http://',
    'http://?x',
    'http://#x',
  ],
  'a private address by TLS': ['https://127.0.0.1/', 'https://[::1]/', 'https://0x7f.1/', 'https://localhost/'],
  'a port that is not allowed': [
    'http://example.com:22/',
    'http://example.com:8080/',
    'http://8.8.8.8:6379/',
    'https://[2606:4700:4700::1111]:8443/',
    'http://example.com:0/',
    'http://example.com:080/',
    'http://example.com:/',
    'http://example.com:65616/',
    'http://example.com:４４３/',
  ],
};

/** The uploads whose error has another code, or says anything about our network. */
function strays(tried: ReadonlyArray<readonly [string, Attempt]>): string[] {
  return tried
    .filter(([, { code, text }]) => code !== 'URL_NOT_ALLOWED' || leaksIn(text, bed).length > 0)
    .map(([url, { text }]) => `${JSON.stringify(url)}: ${text}`);
}

async function tryAll(urls: readonly string[]): Promise<ReadonlyArray<readonly [string, Attempt]>> {
  return Promise.all(urls.map(async (url) => [url, await attempt(bed, { url })] as const));
}

describe('uploadMediaFromUrl reaches nothing by', () => {
  it.each(Object.entries(HOSTS))(
    '%s',
    async (_rule, hosts) => {
      const watch = await watchUploads(bed);
      const urls = hosts.map((host) => `http://${host}:${canary.port}/photo.jpg`);
      expect(strays(await tryAll(urls))).toEqual([]);
      expect(canary.connectionCount).toBe(0);
      // Refused before anything was noted.
      expect([watch.failed(), await watch.leftBehind()]).toEqual([[], []]);
    },
    TABLE_MS,
  );

  it.each(Object.entries(TEXTS))(
    '%s',
    async (_rule, urls) => {
      expect(strays(await tryAll(urls))).toEqual([]);
      expect(canary.connectionCount).toBe(0);
    },
    TABLE_MS,
  );

  it('a URL that stands in the operation itself', async () => {
    const url = `http://0177.0.0.1:${canary.port}/photo.jpg`;
    const { errors } = await bed.query(
      `mutation { uploadMediaFromUrl(input: { channelId: "wa", url: ${JSON.stringify(url)} }) { media { id } } }`,
    );
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['URL_NOT_ALLOWED']);
    expect(canary.connectionCount).toBe(0);
  });

  it.each([
    [null],
    [7],
    [['http://127.0.0.1/']],
    [{ href: 'http://127.0.0.1/' }],
    [`http://127.0.0.1/${'a'.repeat(9_000)}`],
  ])('a value that is not the text of a URL: %j', async (url) => {
    const { code, media } = await attempt(bed, { url });
    expect([code, media]).toEqual(['BAD_USER_INPUT', null]);
  });

  it('a private address, unless the operator allows it', async () => {
    bed = await beds.own({ config: { network: { allowPrivate: ['127.0.0.0/8'] } } });
    const { code } = await attempt(bed, { url: `http://127.0.0.1:${canary.port}/photo.jpg` });
    // It hangs up, twice; that it was reached shows that it would have noticed all the others.
    expect([code, canary.connectionCount]).toEqual(['SOURCE_FAILED', 2]);
  });
});
