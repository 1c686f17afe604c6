import { safeFilename, withExtension } from '../../src/media/media-name.js';

describe('a file name', () => {
  it.each<[string | null, string | null]>([
    [null, null],
    ['', null],
    ['photo.jpg', 'photo.jpg'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\report.pdf', 'report.pdf'],
    ['..', null],
    ['.htaccess', 'htaccess'],
    ['a\r\nSet-Cookie: x.pdf', 'aSet-Cookie_ x.pdf'],
    ['a\0b.pdf', 'ab.pdf'],
    ['invoice\u202egpj.exe', 'invoicegpj.exe'],
    ['family 👨‍👩‍👧.png', 'family 👨‍👩‍👧.png'],
    ['می‌خواهم.pdf', 'می‌خواهم.pdf'],
    ['a"b<c>d|e*f?.pdf', 'a_b_c_d_e_f_.pdf'],
    ['name. . .', 'name'],
    ['bad\ud800.pdf', 'bad\ufffd.pdf'],
    ['invoice.pdf          .html', 'invoice.pdf .html'],
    ['\u200dphoto\u200d', 'photo'],
    ['con', '_con'],
    ['AUX.tar.gz', '_AUX.tar.gz'],
    ['com\u00b9 .jpg', '_com\u00b9 .jpg'],
    ['NUL. ', '_NUL'],
    ['LPT0.jpg', '_LPT0.jpg'],
    ['conference.jpg', 'conference.jpg'],
    ['com10.jpg', 'com10.jpg'],
  ])('%j becomes %j', (given, safe) => expect(safeFilename(given)).toBe(safe));

  it.each<[string, string, string | null]>([
    ['100 characters', `${'a'.repeat(300)}.docx`, `${'a'.repeat(95)}.docx`],
    ['200 bytes', `${'漢'.repeat(300)}.docx`, `${'漢'.repeat(65)}.docx`],
    ['whole characters of four bytes', `${'🙂'.repeat(300)}.docx`, `${'🙂'.repeat(48)}.docx`],
    ['whole families', `${'👨‍👩‍👧'.repeat(20)}.png`, `${'👨‍👩‍👧'.repeat(10)}.png`],
    ['whole letters with their marks', `${'e\u0301'.repeat(80)}.png`, `${'e\u0301'.repeat(48)}.png`],
    ['what comes before a letter of too many marks', `a${'e'.padEnd(300, '\u0301')}.png`, 'a.png'],
    ['nothing of a letter of too many marks', `${'e'.padEnd(300, '\u0301')}.png`, null],
    ['no space before what is cut', `${'a'.repeat(94)} bcdef.docx`, `${'a'.repeat(94)}.docx`],
  ])('is cut to %s, and keeps its extension', (_what, given, safe) => expect(safeFilename(given)).toBe(safe));

  it('is read in no time, however long and odd it is', () => {
    expect(safeFilename(`a${'.'.repeat(1e6)}b`)).toBe('a.b');
    expect(safeFilename(`a${' .'.repeat(1e6)}b.pdf`)).toBe('a.pdf');
  });

  it('keeps to its length with the extension that it lacked', () => {
    expect(withExtension('a'.repeat(100), 'image/jpeg')).toBe(`${'a'.repeat(96)}.jpg`);
    expect(withExtension(`${'漢'.repeat(66)}.v`, 'image/webp')).toBe(`${'漢'.repeat(65)}.webp`);
  });

  it.each([
    ['image', 'image/jpeg', 'image.jpg'],
    ['image.jpg', 'image/jpeg', 'image.jpg'],
    ['image.JPEG', 'image/jpeg', 'image.JPEG'],
    ['image.png', 'image/jpeg', 'image.jpg'],
    ['voice.opus', 'audio/ogg; codecs=opus', 'voice.opus'],
    ['voice.bin', 'audio/ogg; codecs=opus', 'voice.ogg'],
    ['report.v2', 'application/pdf', 'report.v2.pdf'],
    ['Report 2026.11.21', 'application/pdf', 'Report 2026.11.21.pdf'],
    ['evil.exe', 'image/png', 'evil.png'],
    ['.png', 'image/jpeg', 'media.jpg'],
    ['unknown', 'application/octet-stream', 'unknown'],
    ['x.html', 'text/plain; charset=utf-8', 'x.txt'],
    ['page.htm', 'text/html', 'page.htm'],
    ['photo.jpg.exe', 'image/jpeg', 'photo.jpg'],
    ['photo.jpg.png.scr', 'image/jpeg', 'photo.jpg'],
    ['invoice.pdf .html', 'application/pdf', 'invoice.pdf'],
    ['invoice .html', 'application/pdf', 'invoice.pdf'],
    ['setup.exe.jpg', 'image/jpeg', 'setup.exe.jpg'],
    ['.exe', 'application/pdf', 'media.pdf'],
    ['example.com', 'application/pdf', 'example.com.pdf'],
    ['script.js', 'text/plain; charset=utf-8', 'script.js.txt'],
  ])('%j of %s is handed out as %j', (name, mimeType, expected) =>
    expect(withExtension(name, mimeType)).toBe(expected),
  );
});
