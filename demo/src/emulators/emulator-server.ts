import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { partOf } from './byte-ranges.js';
import { type Answer, type EmulatorRequest, type Fault, type FaultRule, send, sendFault, takeFault } from './faults.js';

/** The log keeps at most this many requests and forgets the older half when it is full. */
const LOG_LIMIT = 10_000;

/**
 * A provider's API on a real port, for the demo, for tests and for benchmarks. Plain `node:http`, so that an emulator
 * that shares a machine with what is measured costs little. Subclasses say what a request is answered with.
 */
export abstract class EmulatorServer {
  /** Strikes every request that no rule of `faults` matches. */
  fault: Fault | null = null;
  /** Rules in order of precedence; before `fault`. */
  readonly faults: FaultRule[] = [];
  /** How long every answer waits, faults included. */
  latencyMs = 0;
  /** Answers every `Range` with the whole file, as RFC 9110 section 14.2 allows. */
  ignoresRanges = false;
  /** The latest requests, oldest first, those struck by faults included; bounded, see `requestCount`. */
  readonly requests: EmulatorRequest[] = [];
  /** Those of them that asked for the bytes of a media, as `requests`. */
  readonly fileRequests: EmulatorRequest[] = [];
  /** How many requests there were, also those that `requests` has forgotten. */
  requestCount = 0;

  private readonly server: Server;
  private readonly timers = new Set<NodeJS.Timeout>();
  private origin: string | null = null;

  constructor() {
    this.server = createServer((request, response) => this.handle(request, response));
  }

  /** Listens; port 0 takes a free one. */
  async start(port = 0, host = '127.0.0.1'): Promise<this> {
    this.server.listen(port, host);
    await once(this.server, 'listening');
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    this.origin = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    return this;
  }

  /** Ends everything at once: requests under way lose their connection. Closing twice does nothing. */
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

  /** Carries one request out, once its body is here whole; a body that broke off changes nothing. */
  protected abstract answer(request: EmulatorRequest, body: Buffer): Answer | Promise<Answer>;

  /** An error as the provider words it. */
  protected abstract errorAnswer(status: number): Answer;

  /** Answers requests that are not the provider's: neither logged, counted, delayed nor struck by faults. */
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
      if (this.latencyMs > 0) this.later(this.latencyMs, respond);
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
    const carryOut = (then: (answer: Answer) => void) => this.carryOut(request, body, then);
    if (fault === null) {
      carryOut((answer) => send(response, answer));
      return;
    }
    sendFault(fault, response, {
      carryOut,
      errorAnswer: (status) => this.errorAnswer(status),
      later: (ms, action) => this.later(ms, action),
    });
  }

  /** A mistake in an emulator shows in the answer instead of ending the process that runs it. */
  private carryOut(request: EmulatorRequest, body: Buffer, then: (answer: Answer) => void): void {
    let answer: Answer | Promise<Answer>;
    try {
      answer = this.answer(request, body);
    } catch (error) {
      answer = failed(error);
    }
    const inPart = (whole: Answer) => then(this.inPart(request, whole));
    if (answer instanceof Promise) answer.then(inPart, (error: unknown) => then(failed(error)));
    else inPart(answer);
  }

  private inPart(request: EmulatorRequest, whole: Answer): Answer {
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

  private later(ms: number, action: () => void): void {
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

/** At once where there is no body to wait for; never for one that breaks off. */
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

/** The path without its query, and the query. */
export function splitPath(path: string): { pathname: string; query: string } {
  const mark = path.indexOf('?');
  return mark < 0 ? { pathname: path, query: '' } : { pathname: path.slice(0, mark), query: path.slice(mark + 1) };
}
