import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { INTERNAL_ERROR_MESSAGE } from '../../http/error-response.js';
import { ERROR_CODES, type ErrorDetails, MediagraphError } from '../../model/errors.js';
import { providerInGraphQL } from '../schema/enums.js';
import { isTooDeep, TOO_DEEP } from './document-faults.js';

/** Apollo's own codes for faults of the protocol, not of a field; they stay as they are. */
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
  /** No stack traces, no suggestions, no words of the code's own. */
  readonly production: boolean;
  /** Everything that is nobody's expected error ends here, and only its code leaves. */
  readonly onUnexpected: (error: unknown) => void;
  /** Hears the code of every error that leaves. */
  readonly onError?: (code: string) => void;
}

/** Every error that leaves `/graphql`: one of the contract's codes or of Apollo's protocol codes, and nothing else's words. */
export function createFormatError({ production, onUnexpected, onError }: ErrorFormat) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const original = rootCause(error);
    // Apollo Server takes whatever ends the parser for an error of syntax.
    if (formatted.extensions?.code === 'GRAPHQL_PARSE_FAILED' && isTooDeep(original)) {
      onError?.(TOO_DEEP.code);
      return { message: TOO_DEEP.message, extensions: { code: TOO_DEEP.code } };
    }
    if (original instanceof MediagraphError) {
      onError?.(original.code);
      const { code, details } = original;
      return { ...formatted, message: original.message, extensions: { code, ...toldDetails(details) } };
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
    const requestId = original instanceof GraphQLError ? original.extensions.requestId : undefined;
    // It repeats what was given, which may be as long as a body.
    const told = formatted.message.slice(0, MAX_MESSAGE_LENGTH);
    const message = production ? withoutSuggestion(told) : told;
    return { ...formatted, message, extensions: { code, ...(requestId !== undefined && { requestId }) } };
  };
}

/** Details as callers know them: a provider by its value of the enum. */
function toldDetails({ provider, ...details }: ErrorDetails): Record<string, unknown> {
  return provider === undefined ? details : { ...details, provider: providerInGraphQL(provider) };
}

// Private: null for what nobody expected.
function codeOf(original: unknown, formatted: GraphQLFormattedError): string | null {
  const own = original instanceof GraphQLError ? original.extensions.code : undefined;
  const code = own ?? formatted.extensions?.code;
  // The parser's own limit is hit before any rule of ours runs.
  if (code === 'GRAPHQL_PARSE_FAILED' && /contains more tha[tn] \d+ (tokens|comments)/.test(formatted.message))
    return 'QUERY_TOO_COMPLEX';
  const known =
    typeof code === 'string' && code !== 'INTERNAL_SERVER_ERROR' && (PROTOCOL_CODES.has(code) || OUR_CODES.has(code));
  if (known) return code;
  // graphql-js raises these itself before any resolver runs, without an original error: a caller's fault.
  const beforeResolvers = original instanceof GraphQLError && !original.originalError && original.path === undefined;
  return beforeResolvers ? 'BAD_USER_INPUT' : null;
}

function rootCause(error: unknown): unknown {
  const unwrapped = unwrapResolverError(error);
  // Validation errors and wrapped ones keep what they wrap in `originalError`.
  return unwrapped instanceof GraphQLError && unwrapped.originalError ? unwrapped.originalError : unwrapped;
}

const SUGGESTION = 'Did you mean ';

/** Without what follows these words, up to the last question mark; the message may hold a caller's text of any length. */
function withoutSuggestion(message: string): string {
  const start = message.indexOf(SUGGESTION);
  const end = message.lastIndexOf('?');
  if (start === -1 || end < start + SUGGESTION.length) return message;
  const before = message.slice(0, start);
  return (before.endsWith(' ') ? before.slice(0, -1) : before) + message.slice(end + 1);
}
