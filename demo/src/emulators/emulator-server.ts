import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { partOf } from './byte-ranges.js';
import { type Answer, type EmulatorRequest, type Fault, type FaultRule, send, sendFault, takeFault } from './faults.js';

/** The most requests in the log. When it is full, the older half is dropped. */
const LOG_LIMIT = 10_000;

/**
 * A provider's API on a real port, for the demo, for tests and for benchmarks. It uses plain `node:http`, so that it
 * takes little of the machine that a benchmark measures. Subclasses answer the requests.
 */
export abstract class EmulatorServer {
  /** The fault for every request that no rule of `faults` matches. */
  fault: Fault | null = null;
  /** Rules in order of precedence. They come before `fault`. */
  readonly faults: FaultRule[] = [];
  /** The delay of every answer and fault. */
  latencyMs = 0;
  /** True: every `Range` is answered with the whole file, as RFC 9110 section 14.2 allows. */
  ignoresRanges = false;
  /** The latest requests, oldest first, including those with faults. It is bounded; `requestCount` counts all. */
  readonly requests: EmulatorRequest[] = [];
  /** The latest requests for the bytes of a media, as `requests`. */
  readonly fileRequests: EmulatorRequest[] = [];
  /** The number of all requests, including those that `requests` has dropped. */
  requestCount = 0;

  private readonly server: Server;
  private readonly timers = new Set<NodeJS.Timeout>();
  private origin: string | null = null;

  constructor() {
    this.server = createServer((request, response) => this.handle(request, response));
  }

  /** Starts to listen. Port 0 selects a free one. */
  async start(port = 0, host = '127.0.0.1'): Promise<this> {
    this.server.listen(port, host);
    await once(this.server, 'listening');
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    this.origin = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    return this;
  }

  /** Closes the server and all connections, even during a request. It may be called again. */
  async close(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  /** `http://host:port`, without a trailing slash. */
  get url(): string {
    if (this.origin === null) throw new Error('expected a started emulator; call start() first');
    return this.origin;
  }

  /** Forgets the logged requests and their count. */
  clearRequests(): void {
    this.requests.length = 0;
    this.fileRequests.length = 0;
    this.requestCount = 0;
  }

  /** Performs one request, once its whole body has arrived. An incomplete body has no effect. */
  protected abstract answer(request: EmulatorRequest, body: Buffer): Answer | Promise<Answer>;

  /** The provider's error envelope. */
  protected abstract errorAnswer(status: number): Answer;

  /**
   * Answers requests that do not belong to the provider's API. They are not logged, counted, delayed or subject to
   * faults.
   */
  protected control(_method: string, _path: string): Answer | null {
    return null;
  }

  private handle(message: IncomingMessage, response: ServerResponse): void {
    const method = message.method ?? 'GET';
    const path = message.url ?? '/';
    const control = this.control(method, path);
    if (control) {
      message.resume();
      send(response, control);
      return;
    }
    const request = { method, path, headers: message.headers, at: Date.now() };
    this.log(request);
    const fault = takeFault(this.faults, request) ?? this.fault;
    if (fault?.kind === 'unread') return;
    collect(message, (body) => {
      const respond = () => this.respond({ request, body, response, fault });
      if (this.latencyMs > 0) this.schedule(this.latencyMs, respond);
      else respond();
    });
  }

  private log(request: EmulatorRequest): void {
    this.requestCount += 1;
    if (this.requests.length >= LOG_LIMIT) this.requests.splice(0, LOG_LIMIT / 2);
    this.requests.push(request);
  }

  private logFile(request: EmulatorRequest): void {
    if (this.fileRequests.length >= LOG_LIMIT) this.fileRequests.splice(0, LOG_LIMIT / 2);
    this.fileRequests.push(request);
  }

  private respond({ request, body, response, fault }: Exchange): void {
    const perform = (then: (answer: Answer) => void) => this.perform(request, body, then);
    if (fault === null) {
      perform((answer) => send(response, answer));
      return;
    }
    sendFault(fault, response, {
      perform,
      errorAnswer: (status) => this.errorAnswer(status),
      schedule: (ms, action) => this.schedule(ms, action),
    });
  }

  /** An error in an emulator becomes a 500, so that it does not end the process. */
  private perform(request: EmulatorRequest, body: Buffer, then: (answer: Answer) => void): void {
    let answer: Answer | Promise<Answer>;
    try {
      answer = this.answer(request, body);
    } catch (error) {
      answer = failed(error);
    }
    const finish = (whole: Answer) => then(this.withRange(request, whole));
    if (answer instanceof Promise) answer.then(finish, (error: unknown) => then(failed(error)));
    else finish(answer);
  }

  private withRange(request: EmulatorRequest, whole: Answer): Answer {
    const { method, headers } = request;
    const { range } = headers;
    if (whole.isFile && method === 'GET') this.logFile(request);
    if (!whole.isFile || this.ignoresRanges || method !== 'GET' || range === undefined) return whole;
    const part = partOf(whole, range);
    if (part) return part;
    const refusal = this.errorAnswer(416);
    const contentRange = `bytes */${Buffer.byteLength(whole.body ?? '')}`;
    return { ...refusal, headers: { ...refusal.headers, 'content-range': contentRange } };
  }

  private schedule(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, ms);
    this.timers.add(timer);
  }
}

interface Exchange {
  readonly request: EmulatorRequest;
  readonly body: Buffer;
  readonly response: ServerResponse;
  readonly fault: Fault | null;
}

const NO_BODY = Buffer.alloc(0);

/** Calls `then` with the whole body. A body that ends early never calls it. */
function collect(message: IncomingMessage, then: (body: Buffer) => void): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers;
  if (length === undefined && encoding === undefined) {
    message.resume();
    then(NO_BODY);
    return;
  }
  const chunks: Buffer[] = [];
  message.on('data', (chunk: Buffer) => chunks.push(chunk));
  message.once('end', () => then(Buffer.concat(chunks)));
}

function failed(error: unknown): Answer {
  const body = `the emulator failed: ${error instanceof Error ? error.message : String(error)}`;
  return { status: 500, headers: { 'content-type': 'text/plain' }, body };
}

/** Splits a request's path at its query. */
export function splitPath(path: string): { pathname: string; query: string } {
  const mark = path.indexOf('?');
  return mark < 0 ? { pathname: path, query: '' } : { pathname: path.slice(0, mark), query: path.slice(mark + 1) };
}
