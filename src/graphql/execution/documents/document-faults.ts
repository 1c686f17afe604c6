import { GraphQLError, type GraphQLFormattedError } from 'graphql';

export const TOO_DEEP = {
  code: 'QUERY_TOO_COMPLEX',
  message: 'expected a document that is nested less deeply',
} as const;

/** Faults of a document that are reported one by one. Validation stops after them. */
const MAX_FAULTS = 10;

/** The option of graphql-js' `validate`, which adds one error of its own when it stops. */
export const VALIDATION_OPTIONS = { maxErrors: MAX_FAULTS } as const;

/**
 * One error in place of those of a document with more than {@link MAX_FAULTS} faults, because hundreds of unknown names
 * say no more than the first.
 */
export function boundedFaults(faults: readonly GraphQLFormattedError[]): readonly GraphQLFormattedError[] {
  const [first] = faults;
  if (!first || faults.length <= MAX_FAULTS) return faults;
  return [{ ...first, message: `${first.message} The document has more faults than this one; validation stopped.` }];
}

/** Whether a parser or a rule exhausted the stack: a document within all limits may still be nested too deeply. */
export function isTooDeep(thrown: unknown): boolean {
  const cause = thrown instanceof GraphQLError ? thrown.originalError : thrown;
  return cause instanceof RangeError;
}

export function tooDeep(): GraphQLError {
  return refused(TOO_DEEP.code, TOO_DEEP.message);
}

/** The fault of a document for which graphql-js' validation threw instead of reporting; null: the error is ours. */
export function faultOfValidation(thrown: unknown): GraphQLError | null {
  if (isTooDeep(thrown)) return tooDeep();
  if (!(thrown instanceof GraphQLError)) return null;
  // The rule for the single root field of a subscription evaluates @skip and @include, and throws where they depend on a
  // variable or have no condition. The specification allows neither at that root ("Single Root Field").
  const message = 'expected the root field of a subscription without @skip and @include';
  return refused('GRAPHQL_VALIDATION_FAILED', message, thrown);
}

function refused(code: string, message: string, { nodes }: Pick<GraphQLError, 'nodes'> = { nodes: undefined }) {
  return new GraphQLError(message, { nodes, extensions: { code, http: { status: 400 } } });
}
