import { GraphQLError } from 'graphql';
import { createFormatError } from '../../../src/graphql/execution/format-error.js';

/** What a validation error's message is in production. */
function shown(message: string): string {
  const format = createFormatError({ production: true, onUnexpected: () => {} });
  const extensions = { code: 'GRAPHQL_VALIDATION_FAILED' };
  return format({ message, extensions }, new GraphQLError(message, { extensions })).message;
}

describe('a message in production', () => {
  it.each([
    [
      'Cannot query field "x" on type "Query". Did you mean "media" or "message"?',
      'Cannot query field "x" on type "Query".',
    ],
    [
      'Value "X" does not exist in "Kind" enum. Did you mean the enum value "A", "B", or "C"? at a',
      'Value "X" does not exist in "Kind" enum. at a',
    ],
    ['Unknown argument "a\nb". Did you mean "c"?', 'Unknown argument "a\nb".'],
    ['Did you mean "a"?', ''],
    ['Did you mean it', 'Did you mean it'],
    ['? Did you mean it', '? Did you mean it'],
    ['What?', 'What?'],
  ])('%j is %j', (message, said) => expect(shown(message)).toBe(said));

  it('is made in no time, however often its caller asks', () => {
    expect(shown('Did you mean '.repeat(300_000)).length).toBe(2_000);
    expect(shown(`${'Did you mean '.repeat(150)}?`)).toBe('');
    expect(shown(`${'Did you mean '.repeat(300_000)}?`).length).toBe(2_000);
  });
});
