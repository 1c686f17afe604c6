import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

/** One request as it arrived. */
export interface EmulatorRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds since the epoch, by the machine's clock. */
  readonly at: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Sends the body chunked, without saying how long it is. */
  readonly chunked?: boolean;
  /** All bytes of a media: a request may ask for a part of them. */
  readonly isFile?: boolean;
}

/**
 * What can go wrong between a client and a provider. `cut`, `hang-in-body` and `delay` work on the answer that the
 * request would have had; the others replace it, and the request then changes nothing in the emulator.
 */
export type Fault =
  /** The body is the provider's own error envelope unless one is given. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
      /** Sends the body chunked, without saying how long it is. */
      readonly chunked?: boolean;
    }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Announces the whole length, sends this many bytes and ends the connection. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Announces the whole length, sends this many bytes and then nothing more. */
  | { readonly kind: 'hang-in-body'; readonly afterBytes: number }
  /** 200 with a body of the wrong shape; `application/json` unless said otherwise. */
  | { readonly kind: 'body'; readonly body: Buffer | string; readonly contentType?: string }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 303 | 307 | 308; readonly location: string }
  /** Takes the request, with its body, and never answers. */
  | { readonly kind: 'hang' }
  /** Takes the headers alone: nobody reads the body or answers. */
  | { readonly kind: 'unread' }
  /** Ends the connection instead of answering. */
  | { readonly kind: 'reset' };

export interface FaultRule {
  /** A pattern over the path with its query, or a predicate. */
  readonly match: RegExp | ((request: EmulatorRequest) => boolean);
  readonly fault: Fault;
  /** How often it strikes: counted down, at 0 the rule is passed over. Absent: for ever. */
  times?: number;
}

/** The first rule that matches and has not worn out; counts it down. */
export function takeFault(rules: readonly FaultRule[], request: EmulatorRequest): Fault | null {
  for (const rule of rules) {
    const matches = rule.match instanceof RegExp ? request.path.search(rule.match) >= 0 : rule.match(request);
    if (!matches || rule.times === 0) continue;
    if (rule.times !== undefined) rule.times -= 1;
    return rule.fault;
  }
  return null;
}

/** What the emulator lends to a fault. */
export interface FaultTools {
  /** Carries the request out, and hands on the answer that it would have had. */
  readonly carryOut: (then: (answer: Answer) => void) => void;
  /** The provider's own error envelope. */
  readonly errorAnswer: (status: number) => Answer;
  /** Runs an action later, unless the emulator is closed before. */
  readonly later: (ms: number, action: () => void) => void;
}

export function sendFault(fault: Fault, response: ServerResponse, tools: FaultTools): void {
  switch (fault.kind) {
    case 'delay':
      tools.later(fault.ms, () => tools.carryOut((answer) => send(response, answer)));
      break;
    case 'cut':
      tools.carryOut((answer) => {
        sendPart(response, answer, fault.afterBytes);
        // Not destroy(): that would drop what has not left the process yet.
        response.socket?.destroySoon();
      });
      break;
    case 'hang-in-body':
      tools.carryOut((answer) => sendPart(response, answer, fault.afterBytes));
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
  // RFC 9110 section 8.6: 204 bears no Content-Length.
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
