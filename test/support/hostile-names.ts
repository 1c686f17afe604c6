/** A file name as a sender may choose it, and the name under which a JPEG is delivered. */
export interface HostileName {
  readonly what: string;
  readonly given: string;
  /** null: no name is left, so that it is called after what it is. */
  readonly delivered: string | null;
}

const DEVICES = ['CON', 'PRN', 'AUX', 'NUL', 'COM1', 'COM9', 'LPT1', 'LPT9', 'com\u00b2', 'CONIN$'];

export const HOSTILE_NAMES: readonly HostileName[] = [
  ...names({
    'plain ASCII': ['photo.jpg', 'photo.jpg'],
    'a letter in one piece (NFC)': ['Gr\u00fc\u00dfe.jpg', 'Gr\u00fc\u00dfe.jpg'],
    'a letter in two pieces (NFD)': ['Gru\u0308\u00dfe.jpg', 'Gru\u0308\u00dfe.jpg'],
    'Chinese, Cyrillic, Devanagari': [
      '\u7167\u7247 \u0444\u043e\u0442\u043e \u092b\u094b\u091f\u094b.jpg',
      '\u7167\u7247 \u0444\u043e\u0442\u043e \u092b\u094b\u091f\u094b.jpg',
    ],
    'right-to-left text': [
      '\u05ea\u05de\u05d5\u05e0\u05d4 \u0635\u0648\u0631\u0629.jpg',
      '\u05ea\u05de\u05d5\u05e0\u05d4 \u0635\u0648\u0631\u0629.jpg',
    ],
    'a non-joiner that Persian needs': [
      '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.jpg',
      '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.jpg',
    ],
    'a family of joined emoji': [
      '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u2764\ufe0f.jpg',
      '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u2764\ufe0f.jpg',
    ],
    'a right-to-left override before the extension': ['photo\u202egpj.exe', 'photogpj.jpg'],
    'embeddings, isolates and marks of direction': ['\u202a\u2066\u200fphoto\u2069\u202c\u061c.jpg', 'photo.jpg'],
    'a byte order mark and a zero-width space': ['\ufeffpho\u200bto.jpg', 'photo.jpg'],
    quotes: [`"photo" 'of' me.jpg`, `_photo_ 'of' me.jpg`],
    'an end of the quoted string and another parameter': ['a"; filename="evil.exe', 'a_; filename=_evil.jpg'],
    'semicolons, commas, equals signs': ['a;b,c=d.jpg', 'a;b,c=d.jpg'],
    'percent signs that encode something': ['100%25 %2e%2e%2f.jpg', '100%25 %2e%2e%2f.jpg'],
    'an ext-value of its own': [`UTF-8''%41.jpg`, `UTF-8''%41.jpg`],
    'backslashes before quotes': ['a\\"b.jpg', '_b.jpg'],
    'CR, LF and a header': ['a\r\nSet-Cookie: x=1\r\n\r\n<html>.jpg', 'aSet-Cookie_ x=1_html_.jpg'],
    'NUL and other control characters': ['pho\0to\x01\x1b\x7f\x85\u2028.jpg', 'photo.jpg'],
    'NUL before another extension': ['photo.jpg\0.exe', 'photo.jpg'],
    'leading dots': ['...photo.jpg', 'photo.jpg'],
    'a hidden file': ['.bashrc', 'bashrc.jpg'],
    'a way up': ['../../etc/passwd', 'passwd.jpg'],
    'a way up of Windows': ['..\\..\\Windows\\win.ini', 'win.ini.jpg'],
    'a drive': ['C:\\x\\y.jpg', 'y.jpg'],
    'a drive without a folder': ['C:y.jpg', 'C_y.jpg'],
    'a stream of NTFS': ['photo.jpg:evil.exe', 'photo.jpg_evil.jpg'],
    'slashes of another width': ['\uff0e\uff0e\uff0fetc\uff3cpasswd.jpg', '\uff0e\uff0e\uff0fetc\uff3cpasswd.jpg'],
    'a device of another width': ['\uff23\uff2f\uff2e.jpg', '\uff23\uff2f\uff2e.jpg'],
    'trailing dots and spaces': ['photo.jpg. . .', 'photo.jpg'],
    'wildcards and pipes': ['a<b>c|d?e*f.jpg', 'a_b_c_d_e_f.jpg'],
    'a home folder': ['~root.jpg', '~root.jpg'],
    'an option': ['-rf.jpg', '-rf.jpg'],
    'markup and script': ['<img src=x onerror=alert(1)>.jpg', '_img src=x onerror=alert(1)_.jpg'],
    'no extension': ['photo', 'photo.jpg'],
    'a program': ['photo.exe', 'photo.jpg'],
    'a program behind a picture': ['photo.jpg.exe', 'photo.jpg'],
    'a page behind a document and a gap': [`invoice.pdf${' '.repeat(80)}.html`, 'invoice.jpg'],
    'a page': ['photo.html', 'photo.jpg'],
    'an extension in upper case': ['PHOTO.JPEG', 'PHOTO.JPEG'],
    'a number that looks like an extension': ['Report 2026.11', 'Report 2026.11.jpg'],
    nothing: ['', null],
    spaces: ['   ', null],
    dots: ['....', null],
    'nothing but what is removed': ['\u202e\u200b\0', null],
    'folders without a file': ['a/b/', null],
    'a lone high surrogate': ['a\ud83db.jpg', 'a\ufffdb.jpg'],
    'a lone low surrogate at the end': ['photo.jpg\ude00', 'photo.jpg\ufffd.jpg'],
    'very many characters': [`${'a'.repeat(900)}.jpg`, `${'a'.repeat(96)}.jpg`],
    'very many characters of three bytes': [`${'\u7167'.repeat(900)}.jpg`, `${'\u7167'.repeat(65)}.jpg`],
    'very many joined emoji': [
      `${'\u{1f468}\u200d\u{1f469}'.repeat(90)}.jpg`,
      `${'\u{1f468}\u200d\u{1f469}'.repeat(17)}.jpg`,
    ],
    'more marks than a letter can bear': [`x${'e'.padEnd(900, '\u0301')}.jpg`, 'x.jpg'],
  }),
  ...DEVICES.map((device) => ({
    what: `a device of Windows, ${device}`,
    given: `${device}.jpg`,
    delivered: `_${device}.jpg`,
  })),
  ...names({
    'a device without an extension': ['AUX', '_AUX.jpg'],
    'a device with two extensions': ['nul.tar.jpg', '_nul.tar.jpg'],
    'a device before a space': ['con .jpg', '_con .jpg'],
    'a device before a dot at the end': ['PRN.', '_PRN.jpg'],
    'a device behind dots': ['..CON.jpg', '_CON.jpg'],
    'no device': ['contract.jpg', 'contract.jpg'],
  }),
];

function names(table: Readonly<Record<string, readonly [given: string, delivered: string | null]>>): HostileName[] {
  return Object.entries(table).map(([what, [given, delivered]]) => ({ what, given, delivered }));
}
