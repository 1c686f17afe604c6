import type { FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { asMediagraphError, setErrorHeaders, statusOf } from '../../http/error-response.js';
import { type ErrorDetails, MediagraphError } from '../../model/errors.js';

/** Answers a request that does not become an operation: no JSON, too long, without credentials. */
export function sendRefusal(reply: FastifyReply, thrown: unknown): FastifyReply {
  if (!(thrown instanceof MediagraphError))
    reply.log.error({ err: thrown }, 'unexpected error before a GraphQL operation');
  const error = asMediagraphError(thrown);
  const { message, code, details } = error;
  const status = statusOf(error);
  setErrorHeaders(reply, error, status);
  return reply
    .code(status)
    .send({ errors: [{ message, extensions: { code, ...retryOf(details), requestId: reply.request.id } }] });
}

/** The error that makes Apollo Server answer with the status and the code of a refusal. Sets the headers of the answer. */
export function refusalForApollo(reply: FastifyReply, thrown: unknown): unknown {
  if (!(thrown instanceof MediagraphError)) return thrown;
  const status = statusOf(thrown);
  setErrorHeaders(reply, thrown, status);
  return new GraphQLError(thrown.message, {
    extensions: { code: thrown.code, ...retryOf(thrown.details), requestId: reply.request.id, http: { status } },
  });
}

/** What an error says of another attempt. */
export function retryOf({ retryable, retryAfterMs }: ErrorDetails): ErrorDetails {
  return { ...(retryable !== undefined && { retryable }), ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** For Fastify's `onSend`: completes refusals of Apollo Server that its plugins do not see, since there is no operation. */
export function completeRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  next: (error: null, payload: unknown) => void,
): void {
  if (reply.statusCode < 400 || typeof payload !== 'string' || reply.hasHeader('cache-control')) {
    next(null, payload);
    return;
  }
  reply.header('cache-control', 'no-store');
  next(null, withRequestId(payload, request.id));
}

function withRequestId(refusal: string, requestId: string): string {
  const { errors }: { readonly errors: readonly GraphQLFormattedError[] } = JSON.parse(refusal);
  return JSON.stringify({
    errors: errors.map((error) => ({ ...error, extensions: { ...error.extensions, requestId } })),
  });
}
