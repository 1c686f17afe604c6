import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import {
  bytesToSniff,
  isVerdictFinal,
  SNIFF_BYTES,
  sniffMimeType,
  UPLOAD_SNIFF_BYTES,
} from '../../../src/inspection/sniff/sniff.js';
import { Chance } from '../../support/chance.js';
import { officeFile, zipFile } from '../../support/media-files.js';

const samples = loadMediaSamples();
const head = (bytes: Buffer | string) => Buffer.from(bytes).subarray(0, SNIFF_BYTES);
/** The first bytes of an MP4 family file with this major brand. */
const ftyp = (brand: string) =>
  Buffer.concat([
    Buffer.from([0, 0, 0, 24]),
    Buffer.from(`ftyp${brand}`),
    Buffer.from([0, 0, 2, 0]),
    Buffer.from(`${brand}isom`),
  ]);

describe('the type of bytes', () => {
  it.each([
    ['photo', 'image/jpeg'],
    ['sticker', 'image/webp'],
    ['voiceNote', 'audio/ogg; codecs=opus'],
    ['video', 'video/mp4'],
    ['document', 'application/pdf'],
  ] as const)('of the sample %s is found without any claim', async (name, type) => {
    expect(await sniffMimeType(head(samples[name].bytes), null)).toBe(type);
    expect(await sniffMimeType(head(samples[name].bytes), 'application/octet-stream')).toBe(type);
    expect(await sniffMimeType(head(samples[name].bytes), 'text/html')).toBe(type);
  });

  it.each<[string, Buffer | string, string | null, string]>([
    ['a voice note called audio/opus', samples.voiceNote.bytes, 'audio/opus', 'audio/ogg; codecs=opus'],
    ['an M4A', ftyp('M4A '), null, 'audio/mp4'],
    ['audio in an MP4', ftyp('mp42'), 'audio/mp4', 'audio/mp4'],
    ['a 3GP', ftyp('3gp4'), null, 'video/3gpp'],
    ['audio in a 3GP', ftyp('3gp4'), 'audio/3gpp', 'audio/3gpp'],
    ['AMR', '#!AMR\nxxxxxxxxxx', 'audio/amr', 'audio/amr'],
    ['plain text', 'hello\nworld\n', null, 'text/plain; charset=utf-8'],
    ['text called a picture', 'hello', 'image/png', 'text/plain; charset=utf-8'],
    ['a vCard', 'BEGIN:VCARD\r\nVERSION:3.0\r\n', null, 'text/vcard; charset=utf-8'],
    ['a calendar', 'BEGIN:VCALENDAR\r\n', 'text/plain', 'text/calendar; charset=utf-8'],
    ['CSV', 'a,b\n1,2\n', 'text/csv', 'text/csv; charset=utf-8'],
    ['HTML', '  <!DOCTYPE html><html>', 'image/jpeg', 'text/html'],
    ['HTML after a comment', '<!-- x --><script>alert(1)</script>', 'text/plain', 'text/html'],
    ['HTML after a byte order mark', '\ufeff<html>', null, 'text/html'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg">', 'image/png', 'image/svg+xml'],
    ['SVG after a prologue', '<?xml version="1.0"?>\n<!-- c -->\n<svg xmlns="x">', null, 'image/svg+xml'],
    ['JSON', '{"a":1}', 'application/json', 'application/json'],
    ['JSON called a picture', '{"a":1}', 'image/webp', 'text/plain; charset=utf-8'],
    ['a page in UTF-16', Buffer.from('\ufeff<html>'.padEnd(1_000), 'utf16le'), 'text/plain', 'text/html'],
    ['nothing', '', 'image/png', 'application/octet-stream'],
    ['bytes that nobody knows', Buffer.from([1, 2, 3, 0, 255]), 'image/png', 'application/octet-stream'],
    [
      'text that ends within a character',
      Buffer.concat([Buffer.alloc(SNIFF_BYTES - 2, 'a'), Buffer.from('漢')]),
      null,
      'text/plain; charset=utf-8',
    ],
    [
      'an old Word file',
      Buffer.from('d0cf11e0a1b11ae1'.padEnd(1200, '0'), 'hex'),
      'application/msword',
      'application/msword',
    ],
    [
      'an old Office file of an unknown kind',
      Buffer.from('d0cf11e0a1b11ae1'.padEnd(1200, '0'), 'hex'),
      'image/png',
      'application/octet-stream',
    ],
  ])('of %s', async (_what, bytes, claim, type) => expect(await sniffMimeType(head(bytes), claim)).toBe(type));
});

/** A PNG's signature and header, and these chunks, whose content is of no matter. */
const png = (...chunks: ReadonlyArray<readonly [type: string, bytes: number]>) =>
  Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    ...[['IHDR', 13] as const, ...chunks].map(([type, bytes]) => {
      const chunk = Buffer.alloc(12 + bytes);
      chunk.writeUInt32BE(bytes);
      chunk.write(type, 4);
      return chunk;
    }),
  ]);
const mp3Frames = Buffer.alloc(8_000, Buffer.concat([Buffer.from('fffb9064', 'hex'), Buffer.alloc(413, 0x55)]));
const adtsFrames = Buffer.alloc(8_000, Buffer.concat([Buffer.from('fff15080', 'hex'), Buffer.alloc(413, 0x55)]));
/** An ID3 tag of this many bytes, and what it is a tag of. */
const tagged = (bytes: number, audio: Buffer) =>
  Buffer.concat([Buffer.from(`494433040000${sevenBits(bytes)}`, 'hex'), Buffer.alloc(bytes), audio]);
const sevenBits = (value: number) =>
  Buffer.from([21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f)).toString('hex');
const long = (start: Buffer | string) => Buffer.concat([Buffer.from(start), Buffer.alloc(SNIFF_BYTES, 0x20)]);
const riff = (form: string) => long(`RIFF\u0001\u0002\u0003\u0004${form}fmt `);

describe('a verdict', () => {
  /** How many bytes it takes until nobody need wait for more. */
  function finalAfter(bytes: Buffer): number {
    let length = 0;
    while (!isVerdictFinal(bytes.subarray(0, length))) length += 1;
    return length;
  }

  const early: ReadonlyArray<readonly [string, Buffer, number]> = [
    ['a JPEG', samples.photo.bytes, 36],
    ['a WebP', samples.sticker.bytes, 36],
    ['a voice note', samples.voiceNote.bytes, 36],
    ['an MP4', samples.video.bytes, 36],
    ['a PDF', samples.document.bytes, 36],
    ['a GIF', long('GIF89a'), 36],
    ['a WAV', riff('WAVE'), 36],
    ['an AVI', riff('AVI '), 36],
    ['a FLAC', long('fLaC'), 36],
    ['an AMR', long('#!AMR\n'), 36],
    ['an M4A', long(ftyp('M4A ')), 36],
    ['a QuickTime', long(Buffer.from('00000008776964650000000c6d646174', 'hex')), 36],
    // Its pixels may come after chunks of any length, and what says that it moves just before them.
    ['a PNG', png(['pHYs', 9], ['IDAT', 9_000]), 8 + 25 + 21 + 8 + 1],
    ['a PNG of much to tell', png(['iCCP', 2_000], ['IDAT', 9_000]), 8 + 25 + 2_012 + 8 + 1],
    ['an animated PNG', png(['pHYs', 9], ['acTL', 8], ['IDAT', 9_000]), 8 + 25 + 21 + 8 + 1],
    ['an MP3', mp3Frames, 512],
    ['an MP3 after a short tag', tagged(100, mp3Frames), 10 + 100 + 512],
    // What sound it is, its first frame tells.
    ['an MP3 with a cover', tagged(50_000, mp3Frames), 10 + 50_000 + 512],
    ['an AAC with a cover', tagged(50_000, adtsFrames), 10 + 50_000 + 512],
    ['sound with more covers than are looked behind', tagged(2_000_000, Buffer.alloc(0)), 36],
    ['an AAC', long(Buffer.from('fff15080', 'hex')), 512],
  ];

  it.each(early)('on %s is final at its byte', (_what, bytes, length) => expect(finalAfter(bytes)).toBe(length));

  it.each(early)('on %s that is final is the one that any other bytes would have led to', async (_what, bytes) => {
    const chance = new Chance(process.env.TEST_SEED ?? 'sniff');
    const first = finalAfter(bytes);
    const others = [
      bytes,
      Buffer.alloc(SNIFF_BYTES),
      Buffer.alloc(SNIFF_BYTES, 0xff),
      Buffer.alloc(SNIFF_BYTES, 'G'),
      Buffer.alloc(SNIFF_BYTES, '<script>alert(1)</script>'),
      png(['acTL', 8], ['IDAT', 9_000]),
      officeFile('docx'),
      ...Array.from({ length: 5 }, () => Buffer.from(Array.from({ length: SNIFF_BYTES }, () => chance.below(256)))),
    ];
    const rest = Math.max(SNIFF_BYTES - first, 1_000);
    for (const length of [first, first + 1, first + 100, first + 1 + chance.below(rest)]) {
      const here = bytes.subarray(0, length);
      expect(isVerdictFinal(here)).toBe(true);
      for (const claim of [null, 'audio/mp4', 'text/html', 'application/zip']) {
        const verdict = await sniffMimeType(here, claim);
        for (const other of others) {
          const whole = other === bytes ? bytes : Buffer.concat([here, other.subarray(0, SNIFF_BYTES)]);
          expect(await sniffMimeType(whole.subarray(0, bytesToSniff(whole)), claim)).toBe(verdict);
        }
      }
    }
  });

  it.each<[string, Buffer | string]>([
    ['plain text', 'hello, '.repeat(1_000)],
    ['HTML', `<!DOCTYPE html>${' '.repeat(5_000)}`],
    ['SVG', `<svg>${' '.repeat(5_000)}`],
    ['text after a byte order mark', `\ufeff${'x'.repeat(5_000)}`],
    ['an archive', zipFile({ 'a.txt': Buffer.alloc(9_000, 'x') }, { deflated: false })],
    ['an office document', Buffer.concat([officeFile('docx'), Buffer.alloc(5_000)])],
    ['an old office document', Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(9_000)])],
    ['a PNG whose pixels are far away', png(['iCCP', 9_000], ['IDAT', 9_000])],
    ['a PNG of a broken chunk', png(['iCCP', 0]).fill(0xff, 33, 37)],
    ['a tag of a length that cannot be', Buffer.from(`494433040000ffffffff${'00'.repeat(5_000)}`, 'hex')],
    ['bytes that nobody knows', Buffer.alloc(9_000, 1)],
    ['a box that is none', Buffer.concat([Buffer.from('504b0304'), Buffer.from('ftypisom'), Buffer.alloc(9_000)])],
  ])('on %s waits for a whole sample', (_what, bytes) =>
    expect(finalAfter(Buffer.concat([Buffer.from(bytes), Buffer.alloc(SNIFF_BYTES)]))).toBe(SNIFF_BYTES),
  );

  it('on something tagged that is no sound waits for a sample of what is behind the tag', () => {
    const bytes = tagged(100, Buffer.alloc(9_000));
    expect([finalAfter(bytes), bytesToSniff(bytes)]).toEqual([110 + 4_096, 110 + 4_096]);
  });

  it('on a file that ends early is nobody’s to wait for', () => {
    for (const bytes of [Buffer.alloc(0), samples.photo.bytes.subarray(0, 3)])
      expect(isVerdictFinal(bytes)).toBe(false);
  });
});

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
  ])('%s is told with its charset', async (_what, bytes, claim, type) =>
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

  it.each(BEFORE)('is told %s', async (_what, before) => {
    for (const [root, type] of ROOTS)
      for (const [encoding, encode] of ENCODED) {
        const bytes = encode(before + root).subarray(0, UPLOAD_SNIFF_BYTES);
        expect([root, encoding, await sniffMimeType(bytes, 'text/plain')]).toEqual([root, encoding, type]);
      }
  });

  it('may hide behind a comment that does not end within the sample', async () => {
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

  // Each of these took an exponential or a quadratic time by a pattern that tried all ways; it would not end.
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
  ])('is looked for in no time behind %j, many times', async (unit) => {
    for (const bytes of [4_100, 65_536, 1_048_576])
      for (const end of ['', 'hello', '<svg', '<script>']) {
        const text = unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes - end.length) + end;
        expect(await sniffMimeType(Buffer.from(text), 'text/plain')).toMatch(/^(text|image|application)\//);
      }
  });
});

describe('pictures and sound', () => {
  const tiff = (signature: string, directoryAt: number) => {
    const bytes = Buffer.alloc(12_000, 0x7f);
    bytes.write(signature, 0, 'latin1');
    if (signature.startsWith('II')) bytes.writeUInt32LE(directoryAt, 4);
    else bytes.writeUInt32BE(directoryAt, 4);
    return bytes;
  };

  it.each([
    ['little-endian', 'II*\0'],
    ['big-endian', 'MM\0*'],
    ['little-endian and of 64 bits', 'II+\0'],
    ['big-endian and of 64 bits', 'MM\0+'],
  ])('a TIFF is one wherever its directory is, %s', async (_what, signature) => {
    for (const at of [8, 4_000, 11_000, 0x7fffffff])
      expect(await sniffMimeType(head(tiff(signature, at)), null)).toBe('image/tiff');
  });

  it('a raw picture that is known keeps its type', async () => {
    expect(
      await sniffMimeType(Buffer.concat([Buffer.from('49492a0010000000435202', 'hex'), Buffer.alloc(8_000)]), null),
    ).toBe('image/x-canon-cr2');
  });

  it.each<[string, Buffer, string | null, string]>([
    ['AAC behind a short tag', tagged(100, adtsFrames), null, 'audio/aac'],
    ['AAC behind a cover', tagged(300_000, adtsFrames), 'audio/mpeg', 'audio/aac'],
    ['AAC behind two tags', tagged(70_000, tagged(9_000, adtsFrames)), null, 'audio/aac'],
    ['AAC behind a tag and zeros', tagged(5_000, Buffer.concat([Buffer.alloc(2_000), adtsFrames])), null, 'audio/aac'],
    [
      'FLAC behind a cover',
      tagged(90_000, Buffer.concat([Buffer.from('fLaC'), Buffer.alloc(900)])),
      null,
      'audio/flac',
    ],
    ['MP3 behind a cover', tagged(300_000, mp3Frames), 'audio/aac', 'audio/mpeg'],
    ['what is behind too much, as claimed', tagged(3_000_000, adtsFrames), 'audio/aac', 'audio/aac'],
    ['what is behind too much', tagged(3_000_000, adtsFrames), null, 'audio/mpeg'],
    ['M4V', ftyp('M4V '), null, 'video/x-m4v'],
    ['3G2', ftyp('3g2a'), null, 'video/3gpp2'],
    ['APNG', png(['acTL', 8], ['IDAT', 900]), null, 'image/apng'],
    ['FLAC', Buffer.concat([Buffer.from('fLaC'), Buffer.alloc(900)]), 'audio/x-flac', 'audio/flac'],
  ])('are told by what they hold: %s', async (_what, bytes, claim, type) =>
    expect(await sniffMimeType(bytes.subarray(0, bytesToSniff(bytes)), claim)).toBe(type),
  );
});
