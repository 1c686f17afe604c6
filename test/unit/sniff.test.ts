import { loadMediaSamples } from '../../src/emulators/media-samples.js';
import { SNIFF_BYTES, sniffMimeType } from '../../src/media/sniff.js';

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
