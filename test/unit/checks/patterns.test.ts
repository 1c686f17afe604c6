import { findPatterns, judgePatterns } from '../../../checks/super-linear.js';

const verdictsOf = (text: string) => judgePatterns(findPatterns([{ file: 'a.ts', text }]));

describe('the check of patterns', () => {
  it.each([
    ['exponential', String.raw`const a = /^(a+)+$/;`],
    ['exponential', String.raw`export const isNote = (text: string) => /^(<!--[\s\S]*?-->\s*)*<svg/.test(text);`],
    ['quadratic', String.raw`text.replace(/\s+$/, '');`],
    ['quadratic', String.raw`const words = new RegExp('Did you mean .*\\?', 's');`],
    ['exponential', 'const LETTERS = "[a-z]+";\nnew RegExp(`^(${LETTERS})*$`);'],
    ['put together at run time', 'const of = (name: string) => new RegExp(`^${name}$`);'],
  ])('finds one that is %s in %s', (fault, text) => {
    expect(verdictsOf(text).map((verdict) => verdict.fault)).toEqual([fault]);
  });

  it('reports its place', () => {
    expect(verdictsOf('\nconst a = 1;\nconst b = /(x*)*y/g;')).toMatchObject([
      { file: 'a.ts', line: 3, source: '(x*)*y', flags: 'g' },
    ]);
  });

  it.each([
    String.raw`const a = /^[a-z0-9][a-z0-9-]{0,62}$/;`,
    String.raw`const a = /\.[A-Za-z0-9]{1,8}$/;`,
    'const MAX = 200;\nconst a = new RegExp(`^[a-z]{1,${MAX}}$`);',
    'const notAPattern = "/^(a+)+$/"; // /^(a+)+$/',
  ])('accepts %s', (text) => expect(verdictsOf(text)).toEqual([]));
});
