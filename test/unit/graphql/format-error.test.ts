import { GraphQLError } from 'graphql';
import { createFormatError } from '../../../src/graphql/execution/format-error.js';

/** The message of a validation error in production. */
function productionMessage(message: string): string {
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
  ])('%j is %j', (message, expected) => expect(productionMessage(message)).toBe(expected));

  it('is redacted in linear time, however often the document repeats the words', () => {
    expect(productionMessage('Did you mean '.repeat(300_000)).length).toBe(2_000);
    expect(productionMessage(`${'Did you mean '.repeat(150)}?`)).toBe('');
    expect(productionMessage(`${'Did you mean '.repeat(300_000)}?`).length).toBe(2_000);
  });
});
