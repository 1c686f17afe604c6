import { pipeline, type Readable } from 'node:stream';
import { byteLimit, silenceLimit } from './byte-limit.js';
import type { CallClock } from './call-clock.js';

export interface BodyLimits {
  readonly maxBytes: number;
  /** The longest pause between bytes while the consumer reads. */
  readonly silenceTimeoutMs: number;
}

/**
 * Wraps a response's body so that it fails, rather than ends early, when it is too long, silent, cut off or aborted.
 * Closing the body ends its call's clock. The reader must drain or destroy it.
 */
export function limitBody(source: Readable, { maxBytes, silenceTimeoutMs }: BodyLimits, call: CallClock): Readable {
  const body = byteLimit(maxBytes);
  // Registered before `pipeline`, which would pass undici's error on; the reader must see ours.
  source.once('error', (error) => body.destroy(call.reasonOr(error)));
  call.onAbort((reason) => body.destroy(reason));
  // A caller may destroy or drop the body before it listens; an error must not end the process then.
  body.on('error', ignore).once('close', () => call.end());
  pipeline(source, silenceLimit(silenceTimeoutMs), body, ignore);
  return body;
}

/** Destroys an unread body and its connection. Draining it instead could take for ever. */
export function discard(body: Readable): void {
  body.on('error', ignore).destroy();
}

function ignore(): void {}
