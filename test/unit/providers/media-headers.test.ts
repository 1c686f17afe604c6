import { readMediaHeaders } from '../../../src/providers/toolkit/media-headers.js';

/** Encodes a text as Node reads a header whose bytes are UTF-8. */
const raw = (text: string) => Buffer.from(text).toString('latin1');
const nameIn = (header: string) => readMediaHeaders({ 'content-disposition': header }).filename;

describe('the name in a Content-Disposition', () => {
  it.each([
    ['plain', 'attachment; filename=photo.jpg', 'photo.jpg'],
    ['quoted', 'attachment; filename="a;b.jpg"; x=y', 'a;b.jpg'],
    ['quoted with escapes', String.raw`attachment; filename="a \"b\" c.jpg"`, 'a "b" c.jpg'],
    ['a path of Windows', String.raw`attachment; filename="C:\temp\new.jpg"`, String.raw`C:\temp\new.jpg`],
    [
      'without quotes and with spaces',
      'attachment; filename=My holiday photo (1).jpg; size=5',
      'My holiday photo (1).jpg',
    ],
    ['without a type', 'filename="photo.jpg"', 'photo.jpg'],
    ['in capitals and spaces', 'ATTACHMENT ;\tFileName = photo.jpg ', 'photo.jpg'],
    ['quotes that do not end', 'attachment; filename="photo.jpg', 'photo.jpg'],
    ['raw UTF-8', raw('attachment; filename="Größe 照片.jpg"'), 'Größe 照片.jpg'],
    ['raw UTF-8 without quotes', raw('attachment; filename=Größe 照片.jpg'), 'Größe 照片.jpg'],
    ['Latin-1', 'attachment; filename="Gr\u00f6\u00dfe.jpg"', 'Größe.jpg'],
    ['Windows-1252', 'attachment; filename="5 \u0080 \u0096 x.jpg"', '5 € – x.jpg'],
    ['extended', `attachment; filename="plain.jpg"; filename*=UTF-8''%e2%82%ac%20rates.jpg`, '€ rates.jpg'],
    ['extended, in ISO 8859-1', `attachment; filename*=iso-8859-1'en'%A3%20rates.jpg`, '£ rates.jpg'],
    ['extended, in Shift_JIS', `attachment; filename*=Shift_JIS''%8e%ca%90%5e.jpg`, '写真.jpg'],
    ['extended, in quotes', `attachment; filename*="UTF-8''%e2%82%ac.jpg"`, '€.jpg'],
    ['extended, in raw UTF-8', raw(`attachment; filename*=UTF-8''Größe.jpg`), 'Größe.jpg'],
    ['extended and broken beside a plain one', `attachment; filename*=UTF-8''%FF.jpg; filename=plain.jpg`, 'plain.jpg'],
    ['extended and broken alone', `attachment; filename*=UTF-8''Gr%F6%DFe.jpg`, 'Größe.jpg'],
    ['of an unknown charset', `attachment; filename*=klingon''a%20b.jpg; filename=plain.jpg`, 'plain.jpg'],
    ['in parts', `attachment; filename*0*=UTF-8''%e2%82; filename*1*=%ac%20; filename*2="rates.jpg"`, '€ rates.jpg'],
    ['in parts that are plain', 'attachment; filename*0="very "; filename*1="long.jpg"', 'very long.jpg'],
    ['an encoded word', 'attachment; filename="=?UTF-8?B?R3LDtsOfZS5qcGc=?="', 'Größe.jpg'],
    ['an encoded word of the other kind', 'attachment; filename==?iso-8859-1?q?Gr=F6=DFe_1.jpg?=', 'Größe 1.jpg'],
    [
      'encoded words',
      'attachment; filename="=?UTF-8?Q?Gr=C3?= =?UTF-8?Q?=B6=C3=9Fe?= =?utf-8*de?B?LmpwZw==?="',
      'Größe.jpg',
    ],
    ['an encoded word among others', 'attachment; filename="a =?UTF-8?Q?=C3=B6?= b.jpg"', 'a ö b.jpg'],
    ['no encoded word', 'attachment; filename="what=?.jpg"', 'what=?.jpg'],
    ['an encoded word without an end', 'attachment; filename="=?UTF-8?B?R3LD"', '=?UTF-8?B?R3LD'],
    ['percent escapes', 'attachment; filename="%E7%85%A7%E7%89%87%20a.jpg"', '照片 a.jpg'],
    ['percent signs', 'attachment; filename="100% cotton.pdf"', '100% cotton.pdf'],
    ['a percent sign beside an escape', 'attachment; filename="50%20% off.pdf"', '50%20% off.pdf'],
    ['escapes that are no UTF-8', 'attachment; filename="Gr%F6%DFe.pdf"', 'Gr%F6%DFe.pdf'],
    ['escaped control characters', `attachment; filename*=UTF-8''a%00b%0D%0Ac.jpg`, 'abc.jpg'],
    ['a parameter whose name only ends so', 'attachment; xfilename="b.jpg"', null],
    ['nothing', 'attachment; filename=""', null],
    ['no parameter', 'attachment', null],
  ])('is read: %s', (_what, header, name) => expect(nameIn(header)).toBe(name));

  it('is read in linear time', () => {
    for (const unit of [
      ';',
      '"',
      '\\',
      '\\"',
      "'",
      '%',
      '%41',
      '=?',
      '=?a?q?',
      '=?a?q?=41?= ',
      'filename=',
      'filename*0*=',
      ' ',
      '\u00ff',
    ])
      for (const start of ['', 'attachment; filename=', 'attachment; filename="', "attachment; filename*=utf-8''"])
        expect((nameIn(start + unit.repeat(300_000)) ?? '').length).toBeLessThanOrEqual(1_024);
  });

  it('has no size while the bytes are content-coded', () => {
    expect(readMediaHeaders({ 'content-length': '5', 'content-encoding': 'gzip' }).sizeBytes).toBeNull();
    expect(readMediaHeaders({ 'content-length': '5' }).sizeBytes).toBe(5);
  });
});
