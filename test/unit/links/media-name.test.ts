import { supportedMimeTypes } from 'file-type';
import { safeFilename, withExtension } from '../../../src/links/media-name.js';
import { extensionOf, normalizeMimeType } from '../../../src/model/text/mime-type.js';

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
  ])('%j becomes %j', (original, safe) => expect(safeFilename(original)).toBe(safe));

  it.each<[string, string, string | null]>([
    ['100 characters', `${'a'.repeat(300)}.docx`, `${'a'.repeat(95)}.docx`],
    ['200 bytes', `${'漢'.repeat(300)}.docx`, `${'漢'.repeat(65)}.docx`],
    ['whole characters of four bytes', `${'🙂'.repeat(300)}.docx`, `${'🙂'.repeat(48)}.docx`],
    ['whole families', `${'👨‍👩‍👧'.repeat(20)}.png`, `${'👨‍👩‍👧'.repeat(10)}.png`],
    ['whole letters with their marks', `${'e\u0301'.repeat(80)}.png`, `${'e\u0301'.repeat(48)}.png`],
    ['what comes before a letter of too many marks', `a${'e'.padEnd(300, '\u0301')}.png`, 'a.png'],
    ['nothing of a letter of too many marks', `${'e'.padEnd(300, '\u0301')}.png`, null],
    ['no space before what is cut', `${'a'.repeat(94)} bcdef.docx`, `${'a'.repeat(94)}.docx`],
  ])('is cut to %s, and keeps its extension', (_limit, original, safe) => expect(safeFilename(original)).toBe(safe));

  it('is cleaned in linear time', () => {
    expect(safeFilename(`a${'.'.repeat(1e6)}b`)).toBe('a.b');
    expect(safeFilename(`a${' .'.repeat(1e6)}b.pdf`)).toBe('a.pdf');
  });

  it('stays within its length after an extension was added', () => {
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
    ['page.htm', 'text/html', 'page.htm'],
    ['photo.jpg.exe', 'image/jpeg', 'photo.jpg'],
    ['photo.jpg.png.scr', 'image/jpeg', 'photo.jpg'],
    ['invoice.pdf .html', 'application/pdf', 'invoice.pdf'],
    ['invoice .html', 'application/pdf', 'invoice.pdf'],
    ['setup.exe.jpg', 'image/jpeg', 'setup.exe.jpg'],
    ['.exe', 'application/pdf', 'media.pdf'],
    ['example.com', 'application/pdf', 'example.com.pdf'],
    ['setup.msi', 'application/pdf', 'setup.pdf'],
    ['film.mp4', 'video/x-m4v', 'film.mp4'],
    ['film.m4v', 'video/mp4', 'film.m4v'],
    ['clip.mp4', 'video/3gpp2', 'clip.3g2'],
    ['moving.png', 'image/apng', 'moving.png'],
    ['moving.apng', 'image/apng', 'moving.apng'],
    ['photo.pef', 'image/tiff', 'photo.pef'],
    ['archive', 'application/x-7z-compressed', 'archive.7z'],
    ['archive.bin', 'application/x-rar-compressed', 'archive.rar'],
    ['letter', 'application/vnd.oasis.opendocument.text', 'letter.odt'],
    ['book', 'application/epub+zip', 'book.epub'],
    ['song', 'audio/flac', 'song.flac'],
    ['note', 'audio/webm; codecs=opus', 'note.weba'],
    ['app', 'application/vnd.android.package-archive', 'app.apk'],
    ['film', 'video/matroska', 'film.mkv'],
    ['places.db', 'application/x-sqlite3', 'places.db'],
    ['photo.jpg', 'application/x-msdownload', 'photo.jpg'],
  ])('%j of %s is served as %j', (name, mimeType, expected) => expect(withExtension(name, mimeType)).toBe(expected));

  const TEXT = 'text/plain; charset=windows-1252';
  const KEPT_EXTENSIONS: ReadonlyArray<readonly [type: string, extensions: string]> = [
    [
      TEXT,
      'csv tsv json geojson srt vtt sub gpx kml py js html sh bat pem crt key ofx qif yaml yml toml ini md log sql eml ldif xls tex lua dxf svg sta mt940',
    ],
    ['text/csv; charset=utf-16le', 'csv txt tsv tab'],
    ['application/json', 'json geojson ipynb har txt'],
    ['application/xml', 'xml gpx kml tcx xsd musicxml xls svg html rss'],
    ['application/zip', 'zip kmz pages numbers key cbz docx xlsx odt epub jar apk usdz whl sketch'],
    ['application/pdf', 'pdf ai'],
    ['application/gzip', 'gz tgz svgz'],
    ['text/html', 'html htm xhtml php md xls'],
    ['application/octet-stream', 'bin dat exe jpg ai xyz'],
  ];
  it.each(KEPT_EXTENSIONS)('of %s keeps an extension at least as specific as the type', (mimeType, extensions) => {
    const names = extensions
      .split(' ')
      .flatMap((extension) => [`Name 1.${extension}`, `NAME.${extension.toUpperCase()}`]);
    expect(names.map((name) => withExtension(name, mimeType))).toEqual(names);
  });

  it.each([
    ['photo.jpg', TEXT, 'photo.txt'],
    ['invoice.pdf', TEXT, 'invoice.txt'],
    ['invoice.exe', TEXT, 'invoice.txt'],
    ['table.csv.exe', TEXT, 'table.csv'],
    ['file.bin', TEXT, 'file.txt'],
    ['file.bin', 'text/csv; charset=utf-8', 'file.csv'],
    ['film.mp4', 'application/json', 'film.json'],
    ['photo.heic', 'application/xml', 'photo.xml'],
    ['photo.png', 'application/zip', 'photo.zip'],
    ['table.csv', 'application/zip', 'table.zip'],
    ['song.mp3', 'application/pdf', 'song.pdf'],
    ['table.csv', 'application/pdf', 'table.pdf'],
    ['Report 2026.11', TEXT, 'Report 2026.11.txt'],
    ['Terms v2', TEXT, 'Terms v2.txt'],
    ['Terms.v2', TEXT, 'Terms.v2.txt'],
    ['example.com', TEXT, 'example.com.txt'],
    ['table.csv', 'image/jpeg', 'table.jpg'],
    ['page.jpg', 'text/html', 'page.html'],
    ['contact.txt', 'text/vcard; charset=utf-8', 'contact.vcf'],
  ])('%j of %s loses its wrong extension: %j', (name, mimeType, expected) =>
    expect(withExtension(name, mimeType)).toBe(expected),
  );

  it('has an extension for every type that file-type detects, except those that Windows executes', () => {
    const executable = [
      'application/x-msdownload',
      'application/x.ms.shortcut',
      'application/x.apple.alias',
      'application/x-ms-regedit',
    ];
    const withoutExtension = [...supportedMimeTypes].filter((type) => extensionOf(normalizeMimeType(type)) === null);
    expect(withoutExtension.sort()).toEqual(executable.sort());
  });
});
