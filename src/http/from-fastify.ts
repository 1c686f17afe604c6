import type { FastifyError } from 'fastify';
import { MediagraphError } from '../model/errors.js';

/** Translates a refusal of Fastify, such as of a body that is no JSON or too long, into a BAD_USER_INPUT of the client. */
export function fromFastify(error: FastifyError): unknown {
  const status = error.statusCode ?? 500;
  if (status < 400 || status >= 500 || error instanceof MediagraphError) return error;
  return new MediagraphError('BAD_USER_INPUT', refusalText(error.code, status), {}, { cause: error });
}

function refusalText(code: string, status: number): string {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return 'expected a smaller body';
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return 'expected another content type';
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return 'expected a JSON body';
    default:
      return status === 404 ? 'expected the path of a route, got an unknown path' : 'expected a well-formed request';
  }
}
