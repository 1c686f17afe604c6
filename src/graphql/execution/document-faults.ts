import { GraphQLError } from 'graphql';

export const TOO_DEEP = {
  code: 'QUERY_TOO_COMPLEX',
  message: 'expected a document that is nested less deeply',
} as const;

/** Whether this is what ends the recursion of a parser or a rule over a document within all limits. */
export function isTooDeep(thrown: unknown): boolean {
  const cause = thrown instanceof GraphQLError ? thrown.originalError : thrown;
  return cause instanceof RangeError;
}

export function tooDeep(): GraphQLError {
  return refused(TOO_DEEP.code, TOO_DEEP.message);
}

/**
 * What is wrong with a document over which graphql-js threw while it validated, instead of telling; null: nothing, it is
 * a fault of ours.
 */
export function faultOfValidation(thrown: unknown): GraphQLError | null {
  if (isTooDeep(thrown)) return tooDeep();
  if (!(thrown instanceof GraphQLError)) return null;
  // Its rule that a subscription has one root field follows @skip and @include there, and throws where they depend on a
  // variable or have no condition. The specification has neither at such a root ("Single Root Field").
  const message = 'expected the root field of a subscription without @skip and @include';
  return refused('GRAPHQL_VALIDATION_FAILED', message, thrown);
}

function refused(code: string, message: string, { nodes }: Pick<GraphQLError, 'nodes'> = { nodes: undefined }) {
  return new GraphQLError(message, { nodes, extensions: { code, http: { status: 400 } } });
}
