import { pipeline, type Readable } from 'node:stream';
import { byteLimit, silenceLimit } from './byte-limit.js';
import type { CallClock } from './call-clock.js';

export interface BodyLimits {
  readonly maxBytes: number;
  /** The longest pause, while somebody reads. */
  readonly silenceTimeoutMs: number;
}

/**
 * A response's body that fails, rather than ends early, when it is too long, silent, cut off or aborted. It ends its
 * call's clock when it closes; the reader drains or destroys it.
 */
export function limitBody(source: Readable, { maxBytes, silenceTimeoutMs }: BodyLimits, call: CallClock): Readable {
  const body = byteLimit(maxBytes);
  // First in line, so that the reader meets our error and not undici's, which `pipeline` would pass on.
  source.once('error', (error) => body.destroy(call.reasonOr(error)));
  call.onAbort((reason) => body.destroy(reason));
  // A caller may destroy or drop the body before it listens; an error must not end the process then.
  body.on('error', ignore).once('close', () => call.end());
  pipeline(source, silenceLimit(silenceTimeoutMs), body, ignore);
  return body;
}

/** Ends a body that nobody reads, and its connection with it: the rest may be endless. */
export function discard(body: Readable): void {
  body.on('error', ignore).destroy();
}

function ignore(): void {}
