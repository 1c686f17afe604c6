import { judgeRedirect, MAX_URL_LENGTH } from '../../../src/net/guarded/url-policy.js';
import { refusalOf, strict } from './url-policy-setup.js';

describe('judgeRedirect', () => {
  const base = new URL('https://example.com/a/b?c#d');

  test.each([
    ['/x', 'https://example.com/x'],
    ['x', 'https://example.com/a/x'],
    ['../x?y=1', 'https://example.com/x?y=1'],
    ['?y=1', 'https://example.com/a/b?y=1'],
    ['#e', 'https://example.com/a/b?c#e'],
    ['/a:b@c', 'https://example.com/a:b@c'],
    ['/%09/127.0.0.1/', 'https://example.com/%09/127.0.0.1/'],
    ['/http://127.0.0.1/', 'https://example.com/http://127.0.0.1/'],
    ['//cdn.example.net/x', 'https://cdn.example.net/x'],
    ['http://cdn.example.net/x', 'http://cdn.example.net/x'],
    ['HTTPS://cdn.example.net:443/x', 'https://cdn.example.net/x'],
  ])('follows %s', (location, href) => {
    expect(judgeRedirect(location, base, strict).href).toBe(href);
  });

  // Node reads a header as one character per byte.
  test.each([
    ['/größe.jpg', 'https://example.com/gr%C3%B6%C3%9Fe.jpg'],
    ['/a%20ö.jpg?n=é', 'https://example.com/a%20%C3%B6.jpg?n=%C3%A9'],
    ['https://cdn.example.net/照片/1.jpg', 'https://cdn.example.net/%E7%85%A7%E7%89%87/1.jpg'],
    ['/全角\u3000空白.jpg', 'https://example.com/%E5%85%A8%E8%A7%92%E3%80%80%E7%A9%BA%E7%99%BD.jpg'],
    ['//münchen.example/ü', 'https://xn--mnchen-3ya.example/%C3%BC'],
  ])('follows %s in raw UTF-8, encoded once', (location, href) => {
    expect(judgeRedirect(Buffer.from(location).toString('latin1'), base, strict).href).toBe(href);
  });

  test('follows bytes that are not UTF-8 as they are', () => {
    expect(judgeRedirect('/gr\u00f6\u00dfe.jpg', base, strict).href).toBe('https://example.com/gr%F6%DFe.jpg');
  });

  test.each([
    '//127.0.0.1/',
    '//user@cdn.example.net/',
    '//0177.0.0.1/',
    '//localhost/',
    '///127.0.0.1/',
    '////127.0.0.1/',
    '/\\127.0.0.1/',
    '\\\\127.0.0.1/',
    '/\t/127.0.0.1/',
    '\t//127.0.0.1/',
    '/\n/127.0.0.1/',
    '/a\tb',
    'a b',
    'a\\b',
    '/\0',
    ' http://127.0.0.1/',
    'http:127.0.0.1',
    'http:/127.0.0.1',
    'http:///127.0.0.1',
    'https:x',
    'https:/x',
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/',
    'http://user:password@cdn.example.net/',
    'http://cdn.example.net:8080/',
    'ftp://cdn.example.net/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'gopher://127.0.0.1:6379/_x',
    'data:text/plain,x',
    'http://[::1',
    `/${'a'.repeat(MAX_URL_LENGTH)}`,
  ])('refuses %j', (location) => {
    expect(refusalOf(() => judgeRedirect(location, base, strict)).code).toBe('URL_NOT_ALLOWED');
  });
});
