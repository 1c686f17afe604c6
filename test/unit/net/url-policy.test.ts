import { AddressPolicy } from '../../../src/net/guarded/public-address.js';
import { judgeUrl, MAX_URL_LENGTH } from '../../../src/net/guarded/url-policy.js';
import { refusalOf, strict } from './url-policy-setup.js';

const development = new AddressPolicy({ allowPrivate: ['127.0.0.0/8', '::1/128'], allowedPorts: [80, 443] });

const ALLOWED = [
  ['http://example.com', 'http://example.com/'],
  ['https://example.com/a/b.jpg?x=1&y=%20#part', 'https://example.com/a/b.jpg?x=1&y=%20#part'],
  ['HTTPS://Example.COM/Case', 'https://example.com/Case'],
  ['http://example.com:80/', 'http://example.com/'],
  ['https://example.com:80/', 'https://example.com:80/'],
  ['http://example.com:443/', 'http://example.com:443/'],
  ['https://example.com./', 'https://example.com./'],
  ['https://a_b.example.com/', 'https://a_b.example.com/'],
  ['https://example.com?q=a@b', 'https://example.com/?q=a@b'],
  ['https://example.com/@user', 'https://example.com/@user'],
  ['https://example.com/http://127.0.0.1/', 'https://example.com/http://127.0.0.1/'],
  ['https://bücher.example/ä.jpg', 'https://xn--bcher-kva.example/%C3%A4.jpg'],
  ['https://BÜCHER.example/', 'https://xn--bcher-kva.example/'],
  ['https://xn--bcher-kva.example/', 'https://xn--bcher-kva.example/'],
  ['https://faß.example/', 'https://xn--fa-hia.example/'],
  ['https://中国.example/', 'https://xn--fiqs8s.example/'],
  ['http://8.8.8.8/', 'http://8.8.8.8/'],
  ['https://[2606:4700:4700::1111]/', 'https://[2606:4700:4700::1111]/'],
  ['https://[2606:4700:4700:0:0:0:0:1111]:443/', 'https://[2606:4700:4700::1111]/'],
  ['https://127.0.0.1.nip.io/', 'https://127.0.0.1.nip.io/'],
  ['https://1.2.3.4.example/', 'https://1.2.3.4.example/'],
  ['https://metadata/', 'https://metadata/'],
  ['https://localhost.example.com/', 'https://localhost.example.com/'],
  [`https://${'a.'.repeat(127)}/`, `https://${'a.'.repeat(127)}/`],
  ['https://notlocalhost/', 'https://notlocalhost/'],
];

const REFUSED = {
  'a host name that no resolver takes': [
    `https://${'a.'.repeat(126)}ab/`,
    `https://${'a'.repeat(63)}.${'a.'.repeat(100)}/`,
  ],
  'another scheme': [
    'ftp://example.com/',
    'file:///etc/passwd',
    'gopher://example.com:80/',
    'dict://example.com:80/',
    'ldap://example.com/',
    'jar:http://example.com!/',
    'data:image/png;base64,AAAA',
    'javascript:alert(1)',
    'blob:https://example.com/uuid',
    'ws://example.com/',
    'unix:/var/run/docker.sock',
    'view-source:http://example.com/',
    'xhttp://example.com/',
    'http+unix://example.com/',
  ],
  'no absolute http URL': [
    '',
    'example.com',
    '//example.com/',
    '/path',
    'http',
    'http:',
    'http:/',
    'http://',
    'http:///',
    'http:example.com',
    'http:/example.com',
    'http:///example.com',
    'http:////127.0.0.1/',
    'http:127.0.0.1/',
    'http://?q',
    'http://#f',
    'http://:80/',
    'http://[]/',
    'http://[]:123',
    'http://[::1',
    'http://[::1]x/',
    'http://a:b:c/',
  ],
  'user information': [
    'http://user@example.com/',
    'http://user:password@example.com/',
    'http://:@example.com/',
    'http://@example.com/',
    'http://example.com@127.0.0.1/',
    'http://127.0.0.1@example.com/',
    'http://a@b@example.com/',
    'http://example.com:80@127.0.0.1:80/',
    'http://127.1.1.1:80:@@127.2.2.2:80/',
  ],
  'spaces, controls and backslashes': [
    ' http://example.com/',
    'http://example.com/ ',
    'http://exa mple.com/',
    'http://example.com/a b',
    'ht\ttp://example.com/',
    'http://exa\nmple.com/',
    'http://example.com/\r\nX-Injected: 1',
    'http://example.com/\0',
    'http://example.com/\x7f',
    'http://example.com/\u0085',
    'http://example.com/\u00a0',
    'http://example.com/\u3000',
    '\ufeffhttp://example.com/',
    'http:\\\\example.com\\',
    'http://example.com\\@127.0.0.1/',
    'http://127.1.1.1:80\\@127.2.2.2:80/',
    'http://127.1.1.1:80#\\@127.2.2.2:80/',
    'http://example.com/a\\b',
  ],
  'a percent-encoded host': [
    'http://%31%32%37.0.0.1/',
    'http://example%2ecom/',
    'http://127.0.0.1%00.example.com/',
    'http://%5b::1%5d/',
  ],
  'IPv4 in another spelling': [
    'http://0/',
    'http://1/',
    'http://127.1/',
    'http://127.0.1/',
    'http://8.8.2056/',
    'http://134744072/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x8080808/',
    'http://0X7F000001/',
    'http://0x7f.0.0.1/',
    'http://0x7f.1/',
    'http://0xa9.0xfe.0xa9.0xfe/',
    'http://017700000001/',
    'http://0177.0.0.1/',
    'http://0177.01/',
    'http://0177.0x0.0x0.0x1/',
    'http://0251.00376.000251.0000376/',
    'http://0x0000007f.0x00000000.0x00000000.0x00000001/',
    'http://127.0.0.01/',
    'http://008.8.8.8/',
    'http://8.8.8.010/',
    'http://127.000.000.001/',
    'http://8.8.8.8./',
    'http://127.0.0.1./',
    'http://8.8.8.0x8/',
    'http://1.2.3.4.5/',
    'http://256.256.256.256/',
    'http://425.510.425.510/',
    'http://7147006462/',
    'http://0x41414141A9FEA9FE/',
    'http://4294967296/',
    'http://0x/',
    'http://example.0x7f/',
    'http://0o177.0.0.1/',
    'http://１２７.0.0.1/',
    'http://８.８.８.８/',
    'http://①②⑦.⓪.⓪.①/',
    'http://127。0。0。1/',
    'http://８。８。８。８/',
    'http://8.8.8.8\u200b/',
    'http://8.8.8.\u00ad8/',
    'http://𝟖.𝟖.𝟖.𝟖/',
    'http://²130706433/',
  ],
  'a host in disguise, or none that IDNA knows': [
    'http://ⓔⓧⓐⓜⓟⓛⓔ.ⓒⓞⓜ/',
    'http://ｅｘａｍｐｌｅ.com/',
    'http://example。com/',
    'http://exam\u00adple.com/',
    'http://exam\u200bple.com/',
    'http://example.com\u2060/',
    'http://xn--a/',
    'http://xn--/',
    'http://xn--abc-/',
    'http://xn--1ug.com/',
    'http://xn--mnchen-3ya.xn--a/',
    'http://a<b/',
    'http://a|b/',
    'http://a^b/',
  ],
  'a private IPv4 address': [
    'http://0.0.0.0/',
    'http://10.0.0.1/',
    'http://100.100.100.200/',
    'http://127.0.0.1/',
    'http://127.0.0.1:443/',
    'https://127.127.127.127/',
    'http://168.63.129.16/',
    'http://169.254.169.254/latest/meta-data/',
    'http://172.16.0.1/',
    'http://192.0.0.192/',
    'http://192.168.1.1/',
    'http://198.18.0.1/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
  ],
  'a private IPv6 address, or IPv4 inside one': [
    'http://[::]/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[0000::1]:80/',
    'http://[::127.0.0.1]/',
    'http://[::7f00:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::FFFF:A9FE:A9FE]/',
    'http://[0:0:0:0:0:ffff:169.254.169.254]/',
    'http://[::ffff:8.8.8.8]/',
    'http://[::ffff:0:127.0.0.1]/',
    'http://[64:ff9b::8.8.8.8]/',
    'http://[64:ff9b::a00:1]/',
    'http://[64:ff9b:1::1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/',
    'http://[2606:4700::5efe:7f00:1]/',
    'http://[2606:4700::8.8.8.8]/',
    'http://[100:0:0:1::1]/',
    'http://[2001:db8::1]/',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://[fe80::1%25eth0]/',
    'http://[fe80::1%eth0]/',
    'http://[fec0::1]/',
    'http://[ff02::1]/',
  ],
  'a name of this host or network': [
    'http://localhost/',
    'http://LOCALHOST/',
    'http://localhost./',
    'http://a.localhost/',
    'http://localhost.localdomain/',
    'http://ip6-localhost/',
    'http://ip6-loopback/',
    'http://printer.local/',
    'http://metadata.google.internal/',
    'http://router.home.arpa/',
  ],
  'a port that is not allowed': [
    'http://example.com:22/',
    'http://example.com:8080/',
    'https://example.com:8443/',
    'http://8.8.8.8:6379/',
    'http://[2606:4700:4700::1111]:11211/',
    'http://example.com:0/',
    'http://example.com:/',
    'http://example.com:080/',
    'http://example.com:+80/',
    'http://example.com:80a/',
    'http://example.com:８０/',
    'http://example.com:65616/',
    'http://example.com:99999/',
  ],
};

describe('judgeUrl', () => {
  test.each(ALLOWED)('allows %s', (text, href) => {
    expect(judgeUrl(text, strict).href).toBe(href);
  });

  describe.each(Object.entries(REFUSED))('refuses %s', (_rule, texts) => {
    test.each(texts)('%j', (text) => {
      expect(refusalOf(() => judgeUrl(text, strict)).code).toBe('URL_NOT_ALLOWED');
    });
  });

  test('refuses what is longer than a server would read', () => {
    const longest = `https://example.com/${'a'.repeat(MAX_URL_LENGTH - 'https://example.com/'.length)}`;
    expect(judgeUrl(longest, strict).href).toHaveLength(MAX_URL_LENGTH);
    expect(refusalOf(() => judgeUrl(`${longest}a`, strict)).code).toBe('URL_NOT_ALLOWED');
  });

  test('never repeats the URL to the caller', () => {
    const texts = [
      'http://user:hunter2@secret-host.example/',
      'http://10.20.30.40/secret-path',
      'http://secret-host.example:4711/',
      'http://secret-host.internal/',
      'secret-host://example.com/',
      'http://0251.0376.0251.0376/',
      'http://[fd00:ec2::254]/',
      'http://secret-host\u00ad.example/',
    ];
    for (const text of texts) {
      const { message, cause } = refusalOf(() => judgeUrl(text, strict));
      expect(message).toMatch(/^the URL is not allowed: expected /);
      expect(message).not.toMatch(/secret|hunter2|4711|10\.20|0251|fd00|254|internal/);
      expect(cause).toBeUndefined();
    }
  });
});

describe('judgeUrl with private networks open', () => {
  test.each(['http://127.0.0.1:4010/', 'http://[::1]:9/', 'http://localhost:4010/', 'http://media.example:4010/'])(
    'allows %s, or leaves it to the connection',
    (text) => {
      expect(judgeUrl(text, development).href).toBe(text);
    },
  );

  test.each([
    'http://8.8.8.8:4010/',
    'http://10.0.0.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://127.0.0.1./',
    'http://user@127.0.0.1/',
    'ftp://127.0.0.1/',
  ])('still refuses %s', (text) => {
    expect(refusalOf(() => judgeUrl(text, development)).code).toBe('URL_NOT_ALLOWED');
  });
});
