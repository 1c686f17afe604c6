import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

/** One request as it was received. */
export interface EmulatorRequest {
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds since the epoch, by the machine's clock. */
  readonly at: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** True: sends the body chunked, without its length. */
  readonly chunked?: boolean;
  /** True: the body is a media's bytes, to which a `Range` applies. */
  readonly isFile?: boolean;
}

/**
 * What can fail between a client and a provider. `cut`, `hang-in-body` and `delay` affect the regular answer. The
 * others replace it, and the request then has no effect in the emulator.
 */
export type Fault =
  /** The default body is the provider's own error envelope. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
      /** True: sends the body chunked, without its length. */
      readonly chunked?: boolean;
    }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Announces the whole length, sends this many bytes, and closes the connection. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Announces the whole length, sends this many bytes, and keeps the connection open. */
  | { readonly kind: 'hang-in-body'; readonly afterBytes: number }
  /** Answers 200 with another body. The default type is `application/json`. */
  | { readonly kind: 'body'; readonly body: Buffer | string; readonly contentType?: string }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  /** Reads the whole request and never answers. */
  | { readonly kind: 'hang' }
  /** Reads only the headers, and never the body. It never answers. */
  | { readonly kind: 'unread' }
  /** Resets the connection instead of answering. */
  | { readonly kind: 'reset' };

export interface FaultRule {
  /** A pattern over the path with its query, or a predicate. */
  readonly match: RegExp | ((request: EmulatorRequest) => boolean);
  readonly fault: Fault;
  /** How often it still applies. It is counted down, and at 0 the rule is skipped. Absent: always. */
  times?: number;
}

/** The fault of the first rule that matches and still applies. It counts the rule down. */
export function takeFault(rules: readonly FaultRule[], request: EmulatorRequest): Fault | null {
  for (const rule of rules) {
    const matches = rule.match instanceof RegExp ? request.path.search(rule.match) >= 0 : rule.match(request);
    if (!matches || rule.times === 0) continue;
    if (rule.times !== undefined) rule.times -= 1;
    return rule.fault;
  }
  return null;
}

/** The functions of the emulator that a fault uses. */
export interface FaultTools {
  /** Performs the request, and calls `then` with its regular answer. */
  readonly perform: (then: (answer: Answer) => void) => void;
  /** The provider's own error envelope. */
  readonly errorAnswer: (status: number) => Answer;
  /** Runs an action after a delay, unless the emulator is closed first. */
  readonly schedule: (ms: number, action: () => void) => void;
}

export function sendFault(fault: Fault, response: ServerResponse, tools: FaultTools): void {
  switch (fault.kind) {
    case 'delay':
      tools.schedule(fault.ms, () => tools.perform((answer) => send(response, answer)));
      break;
    case 'cut':
      tools.perform((answer) => {
        sendPart(response, answer, fault.afterBytes);
        // destroy() would drop bytes that have not left the process yet.
        response.socket?.destroySoon();
      });
      break;
    case 'hang-in-body':
      tools.perform((answer) => sendPart(response, answer, fault.afterBytes));
      break;
    case 'hang':
    case 'unread':
      break;
    case 'reset':
      response.socket?.resetAndDestroy();
      break;
    default:
      send(response, replacement(fault, tools.errorAnswer));
  }
}

export function send(response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  response.writeHead(answer.status, headersOf(answer));
  response.end(answer.body);
}

function sendPart(response: ServerResponse, answer: Answer, afterBytes: number): void {
  if (response.destroyed) return;
  response.writeHead(answer.status, headersOf(answer));
  response.flushHeaders();
  const part = Buffer.from(answer.body ?? '').subarray(0, afterBytes);
  if (part.length > 0) response.write(part);
}

function headersOf(answer: Answer): Record<string, string | number> {
  const headers: Record<string, string | number> = { ...answer.headers };
  // RFC 9110 section 8.6: a 204 has no Content-Length.
  if (!answer.chunked && answer.status !== 204) headers['content-length'] = Buffer.byteLength(answer.body ?? '');
  return headers;
}

type ReplacingFault = Extract<Fault, { kind: 'status' | 'body' | 'redirect' }>;

function replacement(fault: ReplacingFault, errorAnswer: FaultTools['errorAnswer']): Answer {
  switch (fault.kind) {
    case 'status': {
      const envelope = errorAnswer(fault.status);
      const headers = { ...envelope.headers, ...lowerCased(fault.headers ?? {}) };
      return { status: fault.status, headers, body: fault.body ?? envelope.body, chunked: fault.chunked };
    }
    case 'body':
      return {
        status: 200,
        headers: { 'content-type': fault.contentType ?? 'application/json' },
        body: fault.body,
      };
    case 'redirect':
      return { status: fault.status, headers: { location: fault.location } };
    default:
      return assertNever(fault);
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function assertNever(fault: never): never {
  throw new Error(`expected a known fault, got ${JSON.stringify(fault)}`);
}
