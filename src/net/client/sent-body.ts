import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { NetError } from '../../streams/net-error.js';
import { type BufferedResponse, dispatchBuffered } from './buffered-response.js';

/** A request's body of a known length, which can be sent once. */
export interface RequestBody {
  readonly contentType: string;
  /** What Content-Length says; `chunks` give as many or fail. */
  readonly sizeBytes: number;
  /** At most 64 KiB each, so that a slow receiver shows that it is alive. Asked for once. */
  chunks(): AsyncIterator<Uint8Array>;
  /** Ends what the chunks come from; called on every path, also twice. */
  destroy(): void;
}

export interface SendLimits {
  /** Of silence: until the receiver takes the next chunk, until the source gives one, and until the answer is whole. */
  readonly silenceMs: number;
  /** Of the answer. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/** The body's own fault: its source failed (see `cause`), fell silent or was not as long as announced. No outage. */
export class RequestBodyError extends Error {
  override readonly name = 'RequestBodyError';
}

/**
 * Sends one request with a body and collects its answer. There is no deadline, since a hundred megabytes take as long as
 * the line allows; a receiver that takes nothing, or took all and does not answer, is given up after `silenceMs`. An
 * answer that comes before the body's end is the answer.
 *
 * Rejects {@link RequestBodyError}, NetError TIMEOUT, CONNECTION, BAD_RESPONSE or RESPONSE_TOO_LARGE, or the signal's
 * reason. The body has ended when it settles.
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
  const clock = new TurnClock(silenceMs, (reason) => end.abort(reason));
  const sent = new SentBody(body, clock);
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

/** Runs throughout a call, and starts anew whenever the turn passes between the body's source and its receiver. */
class TurnClock {
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
    // A timer that was cleared would start again.
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

/** The body as undici reads it: nothing is read ahead, so that a read means that the socket has taken all before. */
class SentBody extends Readable {
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(
    private readonly body: RequestBody,
    private readonly clock: TurnClock,
  ) {
    super({ highWaterMark: 0 });
    this.#chunks = body.chunks();
    // undici listens once the request has a connection; an error before that must not end the process.
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
