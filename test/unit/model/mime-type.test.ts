import { isInlineSafe, kindOfMimeType, normalizeMimeType } from '../../../src/model/text/mime-type.js';

describe('a claimed media type', () => {
  it.each<[string | null | undefined, string | null]>([
    ['image/jpeg', 'image/jpeg'],
    ['IMAGE/JPEG', 'image/jpeg'],
    ['image/jpg', 'image/jpeg'],
    ['audio/ogg; codecs=opus', 'audio/ogg; codecs=opus'],
    ['audio/ogg;codecs=opus', 'audio/ogg; codecs=opus'],
    ['audio/ogg ; codecs="opus"', 'audio/ogg; codecs="opus"'],
    ['audio/opus', 'audio/ogg; codecs=opus'],
    ['video/3gp', 'video/3gpp'],
    ['audio/x-m4a', 'audio/mp4'],
    ['text/x-vcard; charset=utf-8', 'text/vcard; charset=utf-8'],
    ['application/octet-stream', null],
    ['', null],
    [null, null],
    [undefined, null],
    ['image', null],
    ['image/', null],
    ['*/*', null],
    ['image/jpeg\r\nX-Evil: 1', null],
    ['image/jpeg; x=\u0000', null],
    ['image/jpeg; x="a\r\nb"', null],
    ['text/html<script>', null],
    [`image/${'x'.repeat(200)}`, null],
  ])('%j is normalized to %j', (claim, normalized) => expect(normalizeMimeType(claim)).toBe(normalized));

  it('has a kind', () => {
    expect(
      ['image/png', 'video/mp4', 'audio/ogg; codecs=opus', 'application/pdf', 'text/vcard', null].map(kindOfMimeType),
    ).toEqual(['IMAGE', 'VIDEO', 'AUDIO', 'DOCUMENT', 'DOCUMENT', null]);
  });

  it('is served inline only if browsers execute nothing in it', () => {
    expect(
      ['image/png', 'video/mp4', 'audio/ogg; codecs=opus', 'application/pdf', 'text/plain; charset=utf-8'].every(
        isInlineSafe,
      ),
    ).toBe(true);
    const risky = [
      'text/html',
      'image/svg+xml',
      'application/xml',
      'application/json',
      'application/octet-stream',
      'text/css',
      'application/xhtml+xml',
    ];
    expect(risky.some(isInlineSafe)).toBe(false);
  });
});
