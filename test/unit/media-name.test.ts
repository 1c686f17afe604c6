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
  ])('%j becomes %j', (given, safe) => expect(safeFilename(given)).toBe(safe));

  it('keeps its extension when it is cut', () => {
    const cut = safeFilename(`${'🙂'.repeat(300)}.docx`) ?? '';
    expect([...cut]).toHaveLength(100);
    expect(cut).toMatch(/🙂\.docx$/u);
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
  ])('%j of %s is handed out as %j', (name, mimeType, expected) =>
    expect(withExtension(name, mimeType)).toBe(expected),
  );
});
