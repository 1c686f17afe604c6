import { parseUrl } from '../../../src/model/text/parse-url.js';

it('parses a host in Latin letters after any number of calls', () => {
  // Enough calls for V8 to optimize the function; from then on `URL.canParse` of Node 20 fails.
  for (let call = 0; call < 200_000; call++) parseUrl(`https://a.example/${call % 8}`);
  expect(parseUrl('https://bücher.example/')?.hostname).toBe('xn--bcher-kva.example');
  expect(parseUrl('/ä', 'https://bücher.example/')?.pathname).toBe('/%C3%A4');
  expect(parseUrl('no URL')).toBeNull();
});
