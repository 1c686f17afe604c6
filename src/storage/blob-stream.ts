import type { Readable } from 'node:stream';
import { toError } from '../model/errors.js';
import { isError } from '../streams/net-error.js';

/**
 * The bytes that are buffered for a slow consumer. Measured: the best for delivery, see "Decisions" in ARCHITECTURE.md.
 */
export const READ_AHEAD_BYTES = 256 * 1024;

/** Destroys a stream with the signal's reason. Node's `addAbortSignal` would replace the reason by an AbortError. */
export function destroyOnAbort(stream: Readable, signal: AbortSignal | undefined): void {
  // The caller may drop the stream before it listens for errors. Without a listener, an abort would end the process.
  stream.on('error', ignore);
  if (signal === undefined) return;
  const onAbort = () => stream.destroy(isError(signal.reason) ? signal.reason : toError(signal.reason));
  signal.addEventListener('abort', onAbort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', onAbort));
  if (signal.aborted) onAbort();
}

function ignore(): void {}
