import type { IncomingHttpHeaders } from 'node:http';
import {
  type Attributes,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Channel } from '../model/channel.js';
import { packageVersion } from './version.js';

/*
 * Spans through OpenTelemetry's API alone: nothing happens, and nothing is kept, unless whoever runs the process loads an
 * SDK before it (`node --import`). Names and attributes: OpenTelemetry, Semantic Conventions for HTTP. Addresses are left
 * out, since ids, signatures and tokens stand in them.
 */

/** Of whichever SDK there is when it is used. */
const tracer = trace.getTracer('mediagraph', packageVersion());

const REQUEST_ID = createContextKey('mediagraph request id');
const REQUEST_ID_ATTRIBUTE = 'mediagraph.request_id';

export interface TracedRequest {
  readonly method: string;
  /** The route's pattern. */
  readonly route: string;
  readonly requestId: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Runs what a request causes below a server span, which goes on the trace that `traceparent` names (W3C Trace Context).
 * @returns ends the span
 */
export function traceRequest(request: TracedRequest, run: () => void): (status: number) => void {
  const { method, route, requestId, headers } = request;
  // An SDK that instruments node:http has made a span of its own.
  const parent = trace.getActiveSpan() ? context.active() : propagation.extract(ROOT_CONTEXT, headers);
  const attributes = { 'http.request.method': method, 'http.route': route, [REQUEST_ID_ATTRIBUTE]: requestId };
  const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
  context.with(trace.setSpan(parent, span).setValue(REQUEST_ID, requestId), run);
  return (status) => {
    span.setAttribute('http.response.status_code', status);
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  };
}

export interface ProviderTraceOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** `tracing.propagateToProviders` */
  readonly propagates: boolean;
}

export interface TracedCall {
  readonly method: string;
  readonly origin: URL;
  /** From 0. */
  readonly attempt: number;
}

/** The calls of one channel as client spans, each attempt by itself, with the id of the request that they are for. */
export class ProviderTrace {
  constructor(private readonly options: ProviderTraceOptions) {}

  /** @param send takes the headers that carry the trace: none unless configured */
  async call<Answer extends { readonly statusCode: number }>(
    { method, origin, attempt }: TracedCall,
    send: (headers: Readonly<Record<string, string>>) => Promise<Answer>,
  ): Promise<Answer> {
    const { channel, propagates } = this.options;
    const parent = context.active();
    const requestId = parent.getValue(REQUEST_ID);
    const attributes: Attributes = {
      'http.request.method': method,
      'server.address': origin.hostname,
      'mediagraph.provider': channel.provider,
      'mediagraph.channel': channel.id,
      ...(attempt > 0 && { 'http.request.resend_count': attempt }),
      ...(typeof requestId === 'string' && { [REQUEST_ID_ATTRIBUTE]: requestId }),
    };
    const span = tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, parent);
    const headers: Record<string, string> = {};
    if (propagates) propagation.inject(trace.setSpan(parent, span), headers);
    try {
      const answer = await send(headers);
      span.setAttribute('http.response.status_code', answer.statusCode);
      if (answer.statusCode >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
      return answer;
    } catch (thrown) {
      span.setAttribute('error.type', thrown instanceof Error ? thrown.name : 'unknown');
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  }
}
