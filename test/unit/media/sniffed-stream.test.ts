import { contradicts } from '../../../src/media/sniffed-stream.js';

describe('what a provider declares', () => {
  it.each([
    ['image/jpeg', 'text/html'],
    ['image/jpeg', 'text/plain; charset=utf-16le'],
    ['image/jpeg', 'text/csv; charset=windows-1252'],
    ['audio/ogg; codecs=opus', 'application/json'],
    ['Video/MP4', 'application/xml'],
    ['application/pdf', 'text/html'],
    ['image/svg+xml', 'text/html'],
  ])('%s is contradicted by %s', (declared, found) => expect(contradicts(declared, found)).toBe(true));

  it.each<[string | null, string]>([
    [null, 'text/html'],
    ['image/jpeg', 'image/png'],
    ['image/jpeg', 'application/octet-stream'],
    ['image/svg+xml; charset=utf-8', 'image/svg+xml'],
    ['image/svg+xml', 'application/xml'],
    ['image/vnd.dxf', 'text/plain; charset=windows-1252'],
    ['audio/x-mpegurl', 'text/plain; charset=utf-8'],
    ['application/vnd.ms-excel', 'text/plain; charset=windows-1252'],
    ['application/xhtml+xml', 'text/html'],
    ['text/plain', 'text/html'],
  ])('%s is not contradicted by %s', (declared, found) => expect(contradicts(declared, found)).toBe(false));
});
