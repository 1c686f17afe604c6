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
import { endAfter, isTraced, tracer } from './spans.js';

/*
 * Creates spans through OpenTelemetry's API only. Without an SDK, which the operator loads before the process (`node
 * --import`), nothing is recorded. Names and attributes follow OpenTelemetry's Semantic Conventions for HTTP. Addresses
 * are left out, because they contain ids, signatures and tokens.
 */

const REQUEST_ID = createContextKey('mediagraph request id');
const REQUEST_ID_ATTRIBUTE = 'mediagraph.request_id';

export interface TracedRequest {
  readonly method: string;
  /** The pattern of the route. */
  readonly route: string;
  readonly requestId: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Runs the handling of a request in a server span, which continues the trace of `traceparent` (W3C Trace Context).
 * @returns a function that ends the span
 */
export function traceRequest(request: TracedRequest, run: () => void): (status: number) => void {
  if (!isTraced()) {
    run();
    return () => {};
  }
  const { method, route, requestId, headers } = request;
  // An SDK that instruments node:http has already started a span.
  const parent = trace.getActiveSpan() ? context.active() : propagation.extract(ROOT_CONTEXT, headers);
  const attributes = { 'http.request.method': method, 'http.route': route, [REQUEST_ID_ATTRIBUTE]: requestId };
  const span = tracer().startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
  context.with(trace.setSpan(parent, span).setValue(REQUEST_ID, requestId), run);
  return (status) => {
    span.setAttribute('http.response.status_code', status);
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  };
}

/** Records a request that was answered without {@link traceRequest}. */
export function traceAnswered(request: TracedRequest, status: number, ms: number): void {
  if (!isTraced()) return;
  const { method, route, requestId, headers } = request;
  const attributes = {
    'http.request.method': method,
    'http.route': route,
    'http.response.status_code': status,
    [REQUEST_ID_ATTRIBUTE]: requestId,
  };
  const options = { kind: SpanKind.SERVER, attributes, startTime: Date.now() - ms };
  tracer().startSpan(`${method} ${route}`, options, propagation.extract(ROOT_CONTEXT, headers)).end();
}

export interface ProviderTraceOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** `tracing.propagateToProviders` */
  readonly propagates: boolean;
}

export interface TracedCall {
  readonly method: string;
  readonly origin: URL;
  /** Counts from 0. */
  readonly attempt: number;
}

/** Records each attempt of a channel's calls as a client span, with the id of the request that caused it. */
export class ProviderTrace {
  constructor(private readonly options: ProviderTraceOptions) {}

  /** @param send receives the trace headers, which are empty unless `tracing.propagateToProviders` is set */
  async call<Answer extends { readonly statusCode: number }>(
    { method, origin, attempt }: TracedCall,
    send: (headers: Readonly<Record<string, string>>) => Promise<Answer>,
  ): Promise<Answer> {
    if (!isTraced()) return send({});
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
    const span = tracer().startSpan(method, { kind: SpanKind.CLIENT, attributes }, parent);
    const headers: Record<string, string> = {};
    if (propagates) propagation.inject(trace.setSpan(parent, span), headers);
    return endAfter(span, async () => {
      const answer = await send(headers);
      span.setAttribute('http.response.status_code', answer.statusCode);
      if (answer.statusCode >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
      return answer;
    });
  }
}
