import type { Readable } from 'node:stream';
import { toError } from '../model/errors.js';
import { isError } from '../streams/net-error.js';

/** As much as is read ahead of a slow consumer; measured best for delivery, see "Decisions" in ARCHITECTURE.md. */
export const READ_AHEAD_BYTES = 256 * 1024;

/** Destroys a stream with the signal's reason; not with Node's AbortError, which `addAbortSignal` would make of it. */
export function destroyOnAbort(stream: Readable, signal: AbortSignal | undefined): void {
  // Whoever has the stream may drop it before listening; an abort must not end the process then.
  stream.on('error', ignore);
  if (signal === undefined) return;
  const onAbort = () => stream.destroy(isError(signal.reason) ? signal.reason : toError(signal.reason));
  signal.addEventListener('abort', onAbort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', onAbort));
  if (signal.aborted) onAbort();
}

function ignore(): void {}
