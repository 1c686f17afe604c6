import { SNIFF_BYTES, sniffMimeType, UPLOAD_SNIFF_BYTES } from '../../../src/inspection/sniff/sniff.js';

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();
const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('a text', () => {
  const table = 'Name;Straße;Größe\r\nJürgen Müller;Königsallee 5;1,85 m\r\n';
  it.each<[string, Buffer, string | null, string]>([
    ['in Windows-1252', latin1(table), null, 'text/plain; charset=windows-1252'],
    ['in Windows-1252, as CSV', latin1(table), 'text/csv', 'text/csv; charset=windows-1252'],
    ['in Windows-1252, called Excel', latin1(table), 'application/vnd.ms-excel', 'text/plain; charset=windows-1252'],
    [
      'in Windows-1252 with its own signs',
      Buffer.from('5 \u0080 \u0096 \u0093a\u0094\n', 'latin1'),
      null,
      'text/plain; charset=windows-1252',
    ],
    [
      'of French',
      latin1('Déjà vu: à côté de l’été où ça plaît\n'.replace('’', "'")),
      null,
      'text/plain; charset=windows-1252',
    ],
    ['of a few letters', latin1('ä;ö;ü\n'), 'text/csv', 'text/csv; charset=windows-1252'],
    ['in UTF-16, little-endian', Buffer.from(`\ufeff${table}`, 'utf16le'), 'text/csv', 'text/csv; charset=utf-16le'],
    ['in UTF-16, big-endian', utf16be(`\ufeff${table}`), null, 'text/plain; charset=utf-16be'],
    ['in UTF-16 without a mark', Buffer.from(table, 'utf16le'), 'text/csv', 'text/csv; charset=utf-16le'],
    ['in UTF-16 without a mark, big-endian', utf16be(table), null, 'text/plain; charset=utf-16be'],
    [
      'of Cyrillic in UTF-16 without a mark',
      Buffer.from('Имя;Город\r\nИван;Москва\r\n', 'utf16le'),
      null,
      'text/plain; charset=utf-16le',
    ],
    ['of emoji in UTF-16', Buffer.from('\ufeffhi 👨‍👩‍👧', 'utf16le'), null, 'text/plain; charset=utf-16le'],
    [
      'in UTF-16 that is cut within a character',
      Buffer.from(`\ufeffab${'🙂'.repeat(3_000)}`, 'utf16le').subarray(0, SNIFF_BYTES),
      null,
      'text/plain; charset=utf-16le',
    ],
    [
      'in the charset that is claimed',
      Buffer.from('c8ece03be3eef0eee40aceebfce3e03b310a', 'hex'),
      'text/csv; charset=windows-1251',
      'text/csv; charset=windows-1251',
    ],
    [
      'in Shift_JIS, as claimed',
      Buffer.from('93fa967b8cea2c310a', 'hex'),
      'text/csv; charset="Shift_JIS"',
      'text/csv; charset=shift_jis',
    ],
    [
      'in a charset that is claimed falsely',
      Buffer.from('héllo'),
      'text/plain; charset=windows-1251',
      'text/plain; charset=utf-8',
    ],
    [
      'in a charset that hides markup',
      latin1('+ADw-script+AD4-'),
      'text/plain; charset=utf-7',
      'text/plain; charset=utf-8',
    ],
    [
      'of UTF-8 with a broken character',
      Buffer.concat([Buffer.from('héllo wörld ✓ '), Buffer.from([0xf0, 0x9f]), Buffer.from(' end')]),
      null,
      'text/plain; charset=utf-8',
    ],
    ['of JSON in UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le'), 'application/json', 'text/plain; charset=utf-16le'],
    ['of a contact in Windows-1252', latin1('BEGIN:VCARD\r\nFN:Jürgen\r\n'), null, 'text/vcard; charset=windows-1252'],
    ['that begins like a bitmap', Buffer.from('BMW;320d;2019\nAudi;A4;2020\n'), 'text/csv', 'text/csv; charset=utf-8'],
    ['that begins like a program', Buffer.from('MZ-12;spare part\n'), null, 'text/plain; charset=utf-8'],
    ['that begins like a GIF', Buffer.from('GIFT VOUCHER\nfor you\n'), null, 'text/plain; charset=utf-8'],
    [
      'that begins like a tag',
      Buffer.from('ID3 tags are text, too, and long ones\n'),
      null,
      'text/plain; charset=utf-8',
    ],
    ['of subtitles', Buffer.from('1\n00:00:01,000 --> 00:00:02,000\nHi\n'), null, 'text/plain; charset=utf-8'],
  ])('%s is recognised with its charset', async (_what, bytes, claim, type) =>
    expect(await sniffMimeType(bytes, claim)).toBe(type),
  );

  it.each<[string, Buffer]>([
    ['bytes of every value', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ['what UTF-16 has no character for', Buffer.from('fffe00d861006200', 'hex')],
    ['half a unit of UTF-16', Buffer.from('fffe610062', 'hex')],
    ['zeros', Buffer.alloc(64)],
    [
      'samples of 16 bits',
      Buffer.from(Int16Array.from({ length: 512 }, (_, at) => Math.round(Math.sin(at / 9) * 9_000)).buffer),
    ],
    [
      'samples of 8 bits without control characters',
      Buffer.from(Array.from({ length: 300 }, (_, at) => 0x80 + Math.round(Math.sin(at / 9) * 60))),
    ],
    ['what Windows-1252 has no character for', latin1('Gr\u0081\u008d\u009d text')],
  ])('is not %s', async (_what, bytes) =>
    expect(await sniffMimeType(bytes, 'text/csv')).toBe('application/octet-stream'),
  );
});

describe('markup', () => {
  const BEFORE: ReadonlyArray<readonly [string, string]> = [
    ['at once', ''],
    ['behind a byte order mark and spaces', '\ufeff \t\r\n'],
    ['behind comments', '<!---->'.repeat(500)],
    ['behind comments of HTML that end early', '<!--><!--->'],
    ['behind a comment that ends with an exclamation mark', '<!-- a --!>'],
    ['behind a comment full of dashes', `<!--${'-'.repeat(3_000)}-->`],
    ['behind a comment of tags', '<!-- <p> > </p> -->\n'],
    ['behind three thousand spaces', ' '.repeat(3_000)],
  ];
  const ROOTS: ReadonlyArray<readonly [string, string]> = [
    ['<script>alert(1)</script>', 'text/html'],
    ['<HTML>', 'text/html'],
    ['<!DOCTYPE html><p>', 'text/html'],
    ['<img src=x onerror=alert(1)>', 'text/html'],
    ['<svg/onload=alert(1)>', 'image/svg+xml'],
    ['<svg xmlns="http://www.w3.org/2000/svg">', 'image/svg+xml'],
    ['<?xml version="1.0"?><gpx>', 'application/xml'],
    ['<?xml version="1.0"?>\n<?xml-stylesheet href="a.xsl"?>\n<!-- c -->\n<svg>', 'image/svg+xml'],
    [
      '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x>y" [ <!ENTITY ns "http://a/>"> <!-- ]> --> ]>\n<svg>',
      'image/svg+xml',
    ],
    ['<!DOCTYPE note SYSTEM "note.dtd"><note>', 'application/xml'],
    ['<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">', 'application/xml'],
    ['<s:svg xmlns:s="http://www.w3.org/2000/svg">', 'image/svg+xml'],
  ];
  const ENCODED: ReadonlyArray<readonly [string, (text: string) => Buffer]> = [
    ['UTF-8', (text) => Buffer.from(text)],
    ['Latin-1', (text) => latin1(`${text.replace('\ufeff', '')} \u00e9t\u00e9`)],
    ['UTF-16', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 without a mark', (text) => utf16be(`${text.replace('\ufeff', '')}      `)],
  ];

  it.each(BEFORE)('is recognised %s', async (_what, before) => {
    for (const [root, type] of ROOTS)
      for (const [encoding, encode] of ENCODED) {
        const bytes = encode(before + root).subarray(0, UPLOAD_SNIFF_BYTES);
        expect([root, encoding, await sniffMimeType(bytes, 'text/plain')]).toEqual([root, encoding, type]);
      }
  });

  it('can hide behind a comment that does not end within the sample', async () => {
    const bytes = Buffer.from(`<!--${'x'.repeat(SNIFF_BYTES)}`).subarray(0, SNIFF_BYTES);
    expect(await sniffMimeType(bytes, 'text/plain')).toBe('text/html');
  });

  it.each([
    ['comments alone', `${'<!---->'.repeat(60)}hello`],
    ['an unfinished comment that is all', '<!-- hello'],
    ['a heading of Markdown behind a comment', '<!-- toc -->\n# Title\n'],
    ['an address in brackets', '<ana@example.com> wrote:'],
    ['arrows', '<- left -> right'],
    ['a less-than sign', 'a < b'],
    ['a placeholder', '<name>, <place>'],
  ])('is not %s', async (_what, text) =>
    expect(await sniffMimeType(Buffer.from(text), null)).toBe('text/plain; charset=utf-8'),
  );

  // A backtracking pattern would take exponential or quadratic time on each of these texts, and not end.
  it.each([
    '<!---->',
    '<!-- -->\n',
    '<!--',
    '<?xml?>',
    '<?xml ',
    '<!doctype svg>',
    '<!doctype svg [',
    '<!DOCTYPE a ["',
    '-->',
    '--',
    '<',
    ' ',
    '\u00e9',
  ])('is searched in linear time behind many repetitions of %j', async (unit) => {
    for (const bytes of [4_100, 65_536, 1_048_576])
      for (const end of ['', 'hello', '<svg', '<script>']) {
        const text = unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes - end.length) + end;
        expect(await sniffMimeType(Buffer.from(text), 'text/plain')).toMatch(/^(text|image|application)\//);
      }
  });
});
