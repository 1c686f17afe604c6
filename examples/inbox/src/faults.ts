import { CombinedGraphQLErrors } from '@apollo/client';

/** What went wrong, for people. */
export interface Fault {
  readonly words: string;
  /** The same may work in a moment. */
  readonly retryable: boolean;
}

/** By `extensions.code`, which is stable; messages are for logs. */
const WORDS: Readonly<Record<string, string>> = {
  BAD_USER_INPUT: 'That is not a link that can be used. It starts with https:// and leads to a file.',
  UNAUTHENTICATED: 'You are signed out. Sign in and try again.',
  FORBIDDEN: 'You may not do this. Ask whoever looks after your inbox.',
  MEDIA_NOT_FOUND: 'The provider does not have this file any more.',
  MEDIA_NOT_READY: 'This file is still on its way. Try again in a moment.',
  MEDIA_GONE: 'This file was deleted or has expired.',
  MESSAGE_NOT_FOUND: 'The message that this belongs to is not there.',
  CHANNEL_NOT_FOUND: 'This line is not connected any more.',
  URL_NOT_ALLOWED: 'That address is not on the public Internet, so nothing is fetched from there.',
  SOURCE_FAILED: 'Nothing came from that address. Check that the link opens in a browser.',
  SOURCE_TIMEOUT: 'That address took too long to answer.',
  MEDIA_TOO_LARGE: 'The file is larger than this line takes.',
  CONTENT_TYPE_NOT_ALLOWED: 'This line does not take files of that type.',
  IDEMPOTENCY_CONFLICT: 'Something else was sent under the same name. Close this and start again.',
  CAPABILITY_UNSUPPORTED: 'This line cannot do that.',
  PROVIDER_REJECTED: 'The provider refused it.',
  PROVIDER_CREDENTIALS: 'The provider does not accept our credentials. Tell whoever looks after your inbox.',
  PROVIDER_RATE_LIMITED: 'The provider wants us to slow down. Try again in a moment.',
  PROVIDER_UNAVAILABLE: 'The provider cannot be reached at the moment.',
  PROVIDER_PROTOCOL: 'The provider gave an answer that makes no sense.',
  RATE_LIMITED: 'That was a lot at once. Try again in a moment.',
};

const UNKNOWN: Fault = { words: 'Something went wrong on our side.', retryable: true };
const OFFLINE: Fault = { words: 'The server cannot be reached. Check your connection.', retryable: true };

interface CodedError {
  readonly extensions?: Readonly<Record<string, unknown>>;
}

function faultOf({ extensions }: CodedError): Fault {
  const words = WORDS[String(extensions?.code)];
  return words === undefined ? UNKNOWN : { words, retryable: extensions?.retryable === true };
}

/** The fault for an error that an operation threw. */
export function faultOfThrown(thrown: unknown): Fault {
  const [first] = CombinedGraphQLErrors.is(thrown) ? thrown.errors : [];
  return first ? faultOf(first) : OFFLINE;
}

/**
 * Why a field is null in a list whose other elements are there: one provider that is down spoils no other message. Gateways
 * differ in whether an error's path has the index in the list, so an error without it is taken for every element's.
 * @param path from the operation's root, e.g. `['conversation', 'messages', 3, 'media']`
 */
export function faultAt(thrown: unknown, path: ReadonlyArray<string | number>): Fault {
  const errors = CombinedGraphQLErrors.is(thrown) ? thrown.errors : [];
  const withoutIndexes = path.filter((step) => typeof step === 'string');
  const found =
    errors.find((error) => error.path?.join('.') === path.join('.')) ??
    errors.find((error) => error.path?.join('.') === withoutIndexes.join('.'));
  return found ? faultOf(found) : UNKNOWN;
}
