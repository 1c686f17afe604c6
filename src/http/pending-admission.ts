import type { Socket } from 'node:net';

const admissions = new WeakMap<Socket, Promise<unknown>>();

/** Records that the request on a connection waits for its admission. The caller handles the outcome itself, first. */
export function trackAdmission(socket: Socket, admission: Promise<unknown>): void {
  admissions.set(socket, admission);
}

/**
 * Runs `answer` at once, or after the admission that the connection waits for. Node parses the first bytes of a body
 * together with the headers, so a malformed body is often detected before its sender's credentials are refused; the
 * refusal must be the answer.
 */
export function afterAdmission(socket: Socket, answer: () => void): void {
  const admission = admissions.get(socket);
  if (admission) void admission.then(answer, answer);
  else answer();
}
