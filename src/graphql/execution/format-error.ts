import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { INTERNAL_ERROR_MESSAGE } from '../../http/error-response.js';
import { ERROR_CODES, type ErrorDetails, MediagraphError } from '../../model/errors.js';
import { providerInGraphQL } from '../schema/enums.js';
import { isTooDeep, TOO_DEEP } from './documents/document-faults.js';

/** Apollo's codes for faults of the protocol, which are not changed. */
const PROTOCOL_CODES = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'OPERATION_RESOLUTION_FAILURE',
  'BAD_REQUEST',
]);
/** Characters. */
const MAX_MESSAGE_LENGTH = 2_000;
const OUR_CODES: ReadonlySet<string> = new Set(ERROR_CODES);

export interface ErrorFormat {
  /** Stack traces and suggestions are removed. */
  readonly production: boolean;
  /** Called with an error that no code expects. The client gets INTERNAL_SERVER_ERROR in its place. */
  readonly onUnexpected: (error: unknown) => void;
  /** Called with the code of every error that is sent. */
  readonly onError?: (code: string) => void;
}

/** Formats every error of `/graphql`: its code is one of the contract's or of Apollo's protocol codes. */
export function createFormatError({ production, onUnexpected, onError }: ErrorFormat) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const original = rootCause(error);
    // Apollo Server reports everything that the parser throws as a syntax error.
    if (formatted.extensions?.code === 'GRAPHQL_PARSE_FAILED' && isTooDeep(original)) {
      onError?.(TOO_DEEP.code);
      return { message: TOO_DEEP.message, extensions: { code: TOO_DEEP.code } };
    }
    if (original instanceof MediagraphError) {
      onError?.(original.code);
      const { code, details } = original;
      return { ...formatted, message: original.message, extensions: { code, ...clientDetails(details) } };
    }
    const code = codeOf(original, formatted);
    onError?.(code ?? 'INTERNAL_SERVER_ERROR');
    if (code === null) {
      onUnexpected(original);
      const stacktrace = production ? undefined : formatted.extensions?.stacktrace;
      return {
        ...formatted,
        message: INTERNAL_ERROR_MESSAGE,
        extensions: { code: 'INTERNAL_SERVER_ERROR', ...(stacktrace !== undefined && { stacktrace }) },
      };
    }
    // The message quotes the document, which may be as long as a body.
    const bounded = formatted.message.slice(0, MAX_MESSAGE_LENGTH);
    const message = production ? withoutSuggestion(bounded) : bounded;
    return { ...formatted, message, extensions: { code, ...detailsOfRefusal(original) } };
  };
}

/** The details of a refusal before an operation, whose error is a GraphQLError; see `refusalForApollo`. */
function detailsOfRefusal(original: unknown): Record<string, unknown> {
  if (!(original instanceof GraphQLError)) return {};
  const { requestId, retryable, retryAfterMs } = original.extensions;
  return Object.fromEntries(
    Object.entries({ retryable, retryAfterMs, requestId }).filter(([, value]) => value !== undefined),
  );
}

/** Details for clients, who know a provider by its enum value. */
function clientDetails({ provider, ...details }: ErrorDetails): Record<string, unknown> {
  return provider === undefined ? details : { ...details, provider: providerInGraphQL(provider) };
}

/** The code to send, or null for an unexpected error. */
function codeOf(original: unknown, formatted: GraphQLFormattedError): string | null {
  const own = original instanceof GraphQLError ? original.extensions.code : undefined;
  const code = own ?? formatted.extensions?.code;
  // The parser has limits of its own, which apply before any rule.
  if (code === 'GRAPHQL_PARSE_FAILED' && /contains more tha[tn] \d+ (tokens|comments)/.test(formatted.message))
    return 'QUERY_TOO_COMPLEX';
  const known =
    typeof code === 'string' && code !== 'INTERNAL_SERVER_ERROR' && (PROTOCOL_CODES.has(code) || OUR_CODES.has(code));
  if (known) return code;
  // An error without an original error and a path comes from graphql-js before execution, and is a fault of the client.
  const beforeResolvers = original instanceof GraphQLError && !original.originalError && original.path === undefined;
  return beforeResolvers ? 'BAD_USER_INPUT' : null;
}

function rootCause(error: unknown): unknown {
  const unwrapped = unwrapResolverError(error);
  // Validation errors and wrapped errors keep their cause in `originalError`.
  return unwrapped instanceof GraphQLError && unwrapped.originalError ? unwrapped.originalError : unwrapped;
}

const SUGGESTION = 'Did you mean ';

/** Removes the suggestion up to the last question mark. A pattern could take quadratic time, since the message quotes the client. */
function withoutSuggestion(message: string): string {
  const start = message.indexOf(SUGGESTION);
  const end = message.lastIndexOf('?');
  if (start === -1 || end < start + SUGGESTION.length) return message;
  const before = message.slice(0, start);
  return (before.endsWith(' ') ? before.slice(0, -1) : before) + message.slice(end + 1);
}
