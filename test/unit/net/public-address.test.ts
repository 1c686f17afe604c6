import { AddressPolicy } from '../../../src/net/guarded/public-address.js';

const strict = new AddressPolicy({ allowPrivate: [], allowedPorts: [80, 443] });

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '168.63.129.15',
  '168.63.129.17',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '191.255.255.255',
  '192.0.1.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2606:4700:4700::1111',
  '2606:4700:4700:0:0:0:0:1111',
  '2a00:1450:4001:82b::200e',
  '2c0f:fb50:4002::1',
  // These look like embedded IPv4 addresses but are not.
  '2606:4700::7f00:1',
  '2606:4700::1:5efe:7f00:1',
];

const NOT_PUBLIC_4 = [
  ['this network', '0.0.0.0'],
  ['this network', '0.255.255.255'],
  ['private', '10.0.0.0'],
  ['private', '10.255.255.255'],
  ['shared', '100.64.0.0'],
  ['shared, a cloud metadata service', '100.100.100.200'],
  ['shared', '100.127.255.255'],
  ['loopback', '127.0.0.0'],
  ['loopback', '127.0.0.1'],
  ['loopback', '127.127.127.127'],
  ['loopback', '127.255.255.255'],
  ['Azure platform', '168.63.129.16'],
  ['link local', '169.254.0.0'],
  ['link local, cloud metadata', '169.254.169.254'],
  ['link local, container credentials', '169.254.170.2'],
  ['link local', '169.254.255.255'],
  ['private', '172.16.0.0'],
  ['private', '172.31.255.255'],
  ['IETF protocol assignments', '192.0.0.0'],
  ['IETF protocol assignments, PCP anycast', '192.0.0.9'],
  ['IETF protocol assignments, a cloud metadata service', '192.0.0.192'],
  ['documentation', '192.0.2.1'],
  ['AS112-v4', '192.31.196.1'],
  ['AMT', '192.52.193.1'],
  ['6to4 relay', '192.88.99.1'],
  ['private', '192.168.0.0'],
  ['private', '192.168.255.255'],
  ['AS112', '192.175.48.1'],
  ['benchmarking', '198.18.0.0'],
  ['benchmarking', '198.19.255.255'],
  ['documentation', '198.51.100.1'],
  ['documentation', '203.0.113.1'],
  ['multicast', '224.0.0.1'],
  ['multicast', '239.255.255.250'],
  ['reserved', '240.0.0.0'],
  ['reserved', '255.255.255.254'],
  ['broadcast', '255.255.255.255'],
] as const;

const NOT_PUBLIC_6 = [
  ['unspecified', '::'],
  ['loopback', '::1'],
  ['loopback, written out', '0:0:0:0:0:0:0:1'],
  ['loopback, zero padded', '0000::0001'],
  ['IPv4-compatible', '::7f00:1'],
  ['IPv4-compatible, dotted', '::127.0.0.1'],
  ['IPv4-compatible, public inside', '::8.8.8.8'],
  ['IPv4-compatible, just above loopback', '::2'],
  ['IPv4-mapped', '::ffff:127.0.0.1'],
  ['IPv4-mapped, hex', '::ffff:7f00:1'],
  ['IPv4-mapped, written out', '0:0:0:0:0:ffff:169.254.169.254'],
  ['IPv4-mapped, public inside', '::ffff:8.8.8.8'],
  ['IPv4-mapped, upper case', '::FFFF:A9FE:A9FE'],
  ['IPv4-translated', '::ffff:0:7f00:1'],
  ['IPv4-translated, public inside', '::ffff:0:808:808'],
  ['NAT64', '64:ff9b::7f00:1'],
  ['NAT64, public inside', '64:ff9b::808:808'],
  ['NAT64, dotted', '64:ff9b::10.0.0.1'],
  ['NAT64, local use', '64:ff9b:1::1'],
  ['NAT64, local use', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
  ['not assigned, next to NAT64', '64:ff9c::1'],
  ['discard only', '100::1'],
  ['dummy prefix', '100:0:0:1::1'],
  ['not assigned', '1::1'],
  ['not assigned', '1fff:ffff::1'],
  ['Teredo', '2001::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['IETF protocol assignments', '2001:1::1'],
  ['benchmarking', '2001:2::1'],
  ['AMT', '2001:3::1'],
  ['AS112-v6', '2001:4:112::1'],
  ['ORCHID', '2001:10::1'],
  ['ORCHIDv2', '2001:20::1'],
  ['drone remote ids', '2001:30::1'],
  ['IETF protocol assignments, last', '2001:1ff:ffff::1'],
  ['documentation', '2001:db8::1'],
  ['6to4', '2002:7f00:1::1'],
  ['6to4, public inside', '2002:808:808::1'],
  ['AS112', '2620:4f:8000::1'],
  ['6bone', '3ffe::1'],
  ['documentation', '3fff::1'],
  ['documentation, last', '3fff:fff:ffff::1'],
  ['not assigned', '4000::1'],
  ['segment routing', '5f00::1'],
  ['not assigned', '8000::1'],
  ['unique local', 'fc00::1'],
  ['unique local, cloud metadata', 'fd00:ec2::254'],
  ['unique local, cloud metadata', 'fd20:ce::254'],
  ['link local', 'fe80::1'],
  ['link local, end', 'febf:ffff::1'],
  ['site local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['multicast, global scope', 'ff0e::1'],
  ['ISATAP', '2606:4700::5efe:127.0.0.1'],
  ['ISATAP, hex', '2606:4700::5efe:7f00:1'],
  ['ISATAP, universal bit', '2606:4700::200:5efe:a00:1'],
  ['ISATAP, group bit', '2606:4700::300:5efe:a00:1'],
  ['ISATAP, public inside', '2606:4700::200:5efe:808:808'],
  ['a dotted quad in a public prefix', '2606:4700::127.0.0.1'],
] as const;

const NOT_ADDRESSES = [
  '',
  ' ',
  'localhost',
  'example.com',
  '127.1',
  '127.0.1',
  '0',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '127.0.0.01',
  '008.8.8.8',
  '8.8.8.8.',
  ' 8.8.8.8',
  '8.8.8.8 ',
  '8.8.8.8/32',
  '8.8.8.256',
  '8.8.8',
  '8.8.8.8.8',
  '８.8.8.8',
  '[2606:4700:4700::1111]',
  '2606:4700:4700::1111%1',
  '2606:4700:4700::1111%eth0',
  'fe80::1%lo',
  '2606:4700:4700:::1111',
  '2606:4700:4700::11111',
];

describe('AddressPolicy', () => {
  test.each(PUBLIC)('allows %s at an allowed port', (address) => {
    expect(strict.refusal(address, 80)).toBeNull();
    expect(strict.refusal(address, 443)).toBeNull();
  });

  test.each(PUBLIC)('refuses %s at any other port', (address) => {
    for (const port of [0, 22, 6379, 8080, 65_535]) expect(strict.refusal(address, port)).toBe('not an allowed port');
  });

  test.each([...NOT_PUBLIC_4, ...NOT_PUBLIC_6])('refuses %s: %s', (_class, address) => {
    expect(strict.refusal(address, 80)).toBe('not a public address');
  });

  test.each(NOT_ADDRESSES)('refuses "%s", which is no canonical address', (text) => {
    expect(strict.refusal(text, 80)).toBe('not an address');
  });
});

describe('allowPrivate', () => {
  const policy = new AddressPolicy({
    allowPrivate: ['127.0.0.0/8', '10.1.0.0/16', 'fd12::/16', '::1/128'],
    allowedPorts: [443],
  });

  test.each(['127.0.0.1', '127.255.255.255', '10.1.2.3', 'fd12::1', '::1', '0:0:0:0:0:0:0:1'])(
    'opens %s on any port',
    (address) => {
      for (const port of [1, 443, 4010, 65_535]) expect(policy.refusal(address, port)).toBeNull();
    },
  );

  test.each(['10.0.255.255', '10.2.0.0', '192.168.0.1', '169.254.169.254', 'fd13::1', 'fe80::1', '::'])(
    'leaves %s closed',
    (address) => {
      expect(policy.refusal(address, 443)).toBe('not a public address');
    },
  );

  test.each([
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '::ffff:0:a01:203',
    'fd12::5efe:a01:203',
  ])('opens no IPv4 address written as %s', (address) => {
    expect(policy.refusal(address, 443)).toBe('not a public address');
  });

  test('opens no embedded IPv4 address by an IPv6 range either', () => {
    const wide = new AddressPolicy({ allowPrivate: ['::/0'], allowedPorts: [] });
    expect(wide.refusal('fe80::1', 1)).toBeNull();
    expect(wide.refusal('::ffff:127.0.0.1', 1)).toBe('not a public address');
    expect(wide.refusal('127.0.0.1', 1)).toBe('not a public address');
  });

  test('opens public addresses on unusual ports where a range names them', () => {
    const policy = new AddressPolicy({ allowPrivate: ['8.8.8.0/24'], allowedPorts: [443] });
    expect(policy.refusal('8.8.8.8', 5000)).toBeNull();
    expect(policy.refusal('8.8.4.4', 5000)).toBe('not an allowed port');
  });

  test.each(['127.0.0.1', '127.0.0.0/33', 'localhost/8', '', 'fd12::/129'])('refuses "%s" as a CIDR', (cidr) => {
    expect(() => new AddressPolicy({ allowPrivate: [cidr], allowedPorts: [] })).toThrow(RangeError);
  });
});
