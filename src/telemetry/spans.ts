import {
  type Attributes,
  context,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { packageVersion } from './version.js';

let made: Tracer | null = null;

/** Uses the SDK that is registered at the time of use. */
export function tracer(): Tracer {
  made ??= trace.getTracer('mediagraph', packageVersion());
  return made;
}

/** Whether an SDK is registered. Without one, nothing may be computed for traces. */
export function isTraced(): boolean {
  const provider = trace.getTracerProvider();
  // An SDK that brings its own copy of the API registers a provider of another class.
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('mediagraph') !== undefined;
}

/** What a span says besides its duration. No address, no id of a media or a message, and no value of a statement. */
export interface SpanOptions {
  readonly name: string;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
}

/** The part of a span that work may describe itself in. */
export type SpanDetails = Pick<Span, 'setAttribute'>;

const NO_DETAILS: SpanDetails = trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: 0 });

/**
 * Runs work in a span, as a child of the active one.
 * @param describe called only if an SDK is registered
 */
export function inSpan<Result>(
  describe: () => SpanOptions,
  work: (details: SpanDetails) => Promise<Result>,
): Promise<Result> {
  if (!isTraced()) return work(NO_DETAILS);
  const { name, kind, attributes } = describe();
  return runIn(tracer().startSpan(name, { kind, attributes }), work);
}

/** Runs work in a trace of its own, which links to the trace that caused it. */
export function inOwnTrace<Result>(
  describe: () => SpanOptions & { readonly causedBy: string | null },
  work: () => Promise<Result>,
): Promise<Result> {
  if (!isTraced()) return work();
  const { name, kind, attributes, causedBy } = describe();
  const cause = causedBy === null ? null : linkTo(causedBy);
  const span = tracer().startSpan(name, { kind, attributes, links: cause ? [cause] : [], root: true }, ROOT_CONTEXT);
  return runIn(span, work);
}

/**
 * Runs a statement in a client span, if it is part of a trace: the queue's own statements would be traces without a cause.
 * Only the statement's operation and table become part of the span, never its text or values.
 */
export function inStatementSpan<Result>(text: string, engine: string, work: () => Promise<Result>): Promise<Result> {
  if (!isTraced() || !trace.getSpan(context.active())) return work();
  return inSpan(() => {
    const summary = summaryOf(text);
    const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': summary, 'mediagraph.database': engine };
    return { name: summary, kind: SpanKind.CLIENT, attributes };
  }, work);
}

/** The active span as `traceparent` (W3C Trace Context); null without an SDK or a span. */
export function activeTraceParent(): string | null {
  const active = trace.getSpanContext(context.active());
  if (!active) return null;
  return `00-${active.traceId}-${active.spanId}-${active.traceFlags.toString(16).padStart(2, '0')}`;
}

function runIn<Result>(span: Span, work: (details: SpanDetails) => Promise<Result>): Promise<Result> {
  return endAfter(span, () => context.with(trace.setSpan(context.active(), span), work, undefined, span));
}

/** Ends a span with its work, and records a failure in it. */
export async function endAfter<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    span.setAttribute('error.type', thrown instanceof Error ? thrown.name : 'unknown');
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw thrown;
  } finally {
    span.end();
  }
}

function linkTo(traceParent: string): Link | null {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceParent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  return { context: { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true } };
}

const MAX_SUMMARIES = 500;
const summaries = new Map<string, string>();

/** The operation of a statement and the first table that it names, such as `select media`. */
function summaryOf(text: string): string {
  const known = summaries.get(text);
  if (known !== undefined) return known;
  const head = text.slice(0, MAX_SUMMARISED_LENGTH).toLowerCase();
  const [operation = 'statement'] = /[a-z]+/.exec(head) ?? [];
  const target = /\b(?:from|into|update|join)\s+"?([a-z_]+)"?/.exec(head)?.[1];
  const summary = target === undefined ? operation : `${operation} ${target}`;
  if (summaries.size < MAX_SUMMARIES) summaries.set(text, summary);
  return summary;
}

const MAX_SUMMARISED_LENGTH = 2_000;
