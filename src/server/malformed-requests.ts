import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAdmission } from '../http/pending-admission.js';
import type { OpenAnswers } from './open-answers.js';

export const MAX_HEADER_BYTES = 16 * 1024;

export interface MalformedOptions {
  readonly answers: Pick<OpenAnswers, 'hasBegun'>;
  /** Called with the request id and the status of the answer. */
  readonly onAnswered: (requestId: string, status: number) => void;
}

/**
 * For Fastify's `clientErrorHandler`: answers bytes that are no request, or a request that arrives too slowly. Nothing of
 * them is logged, since they may hold anything.
 */
export function answerMalformed(
  error: NodeJS.ErrnoException,
  socket: Socket,
  { answers, onAnswered }: MalformedOptions,
): void {
  const answer = () => {
    // A status line in the middle of another answer would be taken for a part of it.
    if (error.code === 'ECONNRESET' || !socket.writable || answers.hasBegun(socket)) {
      socket.destroy();
      return;
    }
    const requestId = randomUUID();
    onAnswered(requestId, writeAnswer(error, socket, requestId));
  };
  // The codes of Node's parse errors. A request that arrives too slowly gets no further delay.
  if (error.code?.startsWith('HPE_')) afterAdmission(socket, answer);
  else answer();
}

/** @returns the status */
function writeAnswer({ code }: NodeJS.ErrnoException, socket: Socket, requestId: string): number {
  const [status, reason, message] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', `expected headers of at most ${MAX_HEADER_BYTES} bytes, got more`]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'expected the complete request in time']
        : [400, 'Bad Request', 'expected a well-formed request'];
  const body = JSON.stringify({ error: { code: 'BAD_USER_INPUT', message, requestId } });
  const head = `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.write(`${head}\r\n\r\n${body}`);
  socket.destroySoon();
  return status;
}
