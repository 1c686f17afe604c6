import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { NetError } from '../../streams/net-error.js';
import { type BufferedResponse, dispatchBuffered } from './buffered-response.js';

/** A request body of known length that can be sent once. */
export interface RequestBody {
  readonly contentType: string;
  /** The Content-Length. `chunks` yields exactly this many bytes or fails. */
  readonly sizeBytes: number;
  /** Yields chunks of at most 64 KiB, so that a slow receiver's progress is visible. Called once. */
  chunks(): AsyncIterator<Uint8Array>;
  /** Destroys the source of the chunks. Called on every path, possibly twice. */
  destroy(): void;
}

export interface SendLimits {
  /**
   * The longest silence: until the receiver takes the next chunk, until the source yields one, and until the response
   * is complete.
   */
  readonly silenceMs: number;
  /** Maximum size of the response. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * A fault of the body: its source failed (see `cause`), was silent too long or had another length than announced. It
 * does not count as a provider outage.
 */
export class RequestBodyError extends Error {
  override readonly name = 'RequestBodyError';
}

/**
 * Sends one request with a body and buffers its response. There is no deadline, because the duration of an upload
 * depends on its size and the line. The call fails when the receiver takes no byte, or does not answer, for
 * `silenceMs`. A response that arrives before the end of the body is the result.
 *
 * Rejects with {@link RequestBodyError}, NetError TIMEOUT, CONNECTION, BAD_RESPONSE or RESPONSE_TOO_LARGE, or the
 * signal's reason. The body is destroyed when the promise settles.
 */
export async function sendBody(
  dispatcher: Dispatcher,
  request: Omit<Dispatcher.DispatchOptions, 'body' | 'headers'> & {
    readonly headers: Readonly<Record<string, string>>;
  },
  body: RequestBody,
  { silenceMs, maxBytes, signal: caller }: SendLimits,
): Promise<BufferedResponse> {
  const end = new AbortController();
  const onAbort = () => end.abort(caller?.reason);
  const clock = new SilenceTimer(silenceMs, (reason) => end.abort(reason));
  const sent = new RequestBodyStream(body, clock);
  try {
    caller?.throwIfAborted();
    caller?.addEventListener('abort', onAbort, { once: true });
    const { contentType, sizeBytes } = body;
    const headers = { ...request.headers, 'content-type': contentType, 'content-length': String(sizeBytes) };
    return await dispatchBuffered(
      dispatcher,
      { ...request, headers, body: sent },
      { timeoutMs: null, maxBytes, signal: end.signal },
    );
  } finally {
    clock.end();
    caller?.removeEventListener('abort', onAbort);
    sent.destroy();
  }
}

/** Limits silence during a call. It restarts whenever it becomes the source's or the receiver's turn. */
class SilenceTimer {
  readonly #timer: NodeJS.Timeout;
  #turn: 'source' | 'receiver' = 'receiver';
  #ended = false;

  constructor(
    private readonly silenceMs: number,
    onSilence: (reason: Error) => void,
  ) {
    this.#timer = setTimeout(() => onSilence(this.#silence()), silenceMs);
  }

  pass(to: 'source' | 'receiver'): void {
    this.#turn = to;
    // `refresh` would restart a cleared timer.
    if (!this.#ended) this.#timer.refresh();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #silence(): Error {
    return this.#turn === 'source'
      ? new RequestBodyError(`expected a byte of the request's body within ${this.silenceMs} ms, got silence`)
      : new NetError('TIMEOUT', `expected the receiver to take a byte or to answer within ${this.silenceMs} ms`);
  }
}

/**
 * The body as undici reads it. It has no read-ahead, so each read means that the socket has taken everything before.
 */
class RequestBodyStream extends Readable {
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(
    private readonly body: RequestBody,
    private readonly clock: SilenceTimer,
  ) {
    super({ highWaterMark: 0 });
    this.#chunks = body.chunks();
    // undici adds its error handler once the request has a connection; an error before that must not end the process.
    this.on('error', ignore);
  }

  override _read(): void {
    this.clock.pass('source');
    this.#chunks.next().then(
      ({ done, value }) => {
        if (this.destroyed) return;
        this.clock.pass('receiver');
        this.push(done ? null : value);
      },
      (cause: unknown) => {
        this.destroy(new RequestBodyError('expected the whole body of the request, but its source failed', { cause }));
      },
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.body.destroy();
    done(error);
  }
}

function ignore(): void {}
