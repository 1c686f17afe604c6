import { parseBytes, parseDuration } from '../../../src/settings/units.js';

describe('units', () => {
  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5h', 5_400_000],
    ['30d', 2_592_000_000],
    ['10', undefined],
    ['10 parsecs', undefined],
    ['-1s', undefined],
    ['', undefined],
  ])('the duration %j is %p ms', (text, expected) => expect(parseDuration(text)).toBe(expected));

  test.each([
    ['4096', 4096],
    ['100MB', 100_000_000],
    ['100 mb', 100_000_000],
    ['64MiB', 67_108_864],
    ['1.5GB', 1_500_000_000],
    ['10B', 10],
    ['10 bananas', undefined],
    ['-1', undefined],
    ['', undefined],
  ])('the size %j is %p bytes', (text, expected) => expect(parseBytes(text)).toBe(expected));
});
