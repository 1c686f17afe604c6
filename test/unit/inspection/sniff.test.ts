import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { bytesToSniff, isVerdictFinal, SNIFF_BYTES, sniffMimeType } from '../../../src/inspection/sniff/sniff.js';
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
    ['bytes of no known type', Buffer.from([1, 2, 3, 0, 255]), 'image/png', 'application/octet-stream'],
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

/** A PNG's signature and header, followed by chunks of zeros. */
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
/** Sound behind an ID3 tag of that many bytes. */
const tagged = (bytes: number, audio: Buffer) =>
  Buffer.concat([Buffer.from(`494433040000${sevenBits(bytes)}`, 'hex'), Buffer.alloc(bytes), audio]);
const sevenBits = (value: number) =>
  Buffer.from([21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f)).toString('hex');
const long = (start: Buffer | string) => Buffer.concat([Buffer.from(start), Buffer.alloc(SNIFF_BYTES, 0x20)]);
const riff = (form: string) => long(`RIFF\u0001\u0002\u0003\u0004${form}fmt `);

describe('a verdict', () => {
  /** The number of bytes after which the verdict is final. */
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
    // The pixels may follow chunks of any length. The chunk of an animation comes before them.
    ['a PNG', png(['pHYs', 9], ['IDAT', 9_000]), 8 + 25 + 21 + 8 + 1],
    ['a PNG of much to tell', png(['iCCP', 2_000], ['IDAT', 9_000]), 8 + 25 + 2_012 + 8 + 1],
    ['an animated PNG', png(['pHYs', 9], ['acTL', 8], ['IDAT', 9_000]), 8 + 25 + 21 + 8 + 1],
    ['an MP3', mp3Frames, 512],
    ['an MP3 after a short tag', tagged(100, mp3Frames), 10 + 100 + 512],
    // The first frame tells the type of sound.
    ['an MP3 with a cover', tagged(50_000, mp3Frames), 10 + 50_000 + 512],
    ['an AAC with a cover', tagged(50_000, adtsFrames), 10 + 50_000 + 512],
    ['sound with more covers than are looked behind', tagged(2_000_000, Buffer.alloc(0)), 36],
    ['an AAC', long(Buffer.from('fff15080', 'hex')), 512],
  ];

  it.each(early)('on %s is final at its byte', (_what, bytes, length) => expect(finalAfter(bytes)).toBe(length));

  it.each(early)('on %s that is final does not depend on later bytes', async (_what, bytes) => {
    const chance = new Chance(process.env.TEST_SEED ?? 'sniff');
    const first = finalAfter(bytes);
    const continuations = [
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
        for (const continuation of continuations) {
          const whole = continuation === bytes ? bytes : Buffer.concat([here, continuation.subarray(0, SNIFF_BYTES)]);
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
    ['bytes of no known type', Buffer.alloc(9_000, 1)],
    ['a box that is none', Buffer.concat([Buffer.from('504b0304'), Buffer.from('ftypisom'), Buffer.alloc(9_000)])],
  ])('on %s waits for a whole sample', (_what, bytes) =>
    expect(finalAfter(Buffer.concat([Buffer.from(bytes), Buffer.alloc(SNIFF_BYTES)]))).toBe(SNIFF_BYTES),
  );

  it('on tagged bytes without sound waits for a sample behind the tag', () => {
    const bytes = tagged(100, Buffer.alloc(9_000));
    expect([finalAfter(bytes), bytesToSniff(bytes)]).toEqual([110 + 4_096, 110 + 4_096]);
  });

  it('on a file that ends early is not final', () => {
    for (const bytes of [Buffer.alloc(0), samples.photo.bytes.subarray(0, 3)])
      expect(isVerdictFinal(bytes)).toBe(false);
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
  ])('a TIFF is recognised at any place of its directory, %s', async (_what, signature) => {
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
  ])('are recognised by their content: %s', async (_what, bytes, claim, type) =>
    expect(await sniffMimeType(bytes.subarray(0, bytesToSniff(bytes)), claim)).toBe(type),
  );
});
