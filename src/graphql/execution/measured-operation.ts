import { type DocumentNode, getOperationAST } from 'graphql';
import type { WorkMetrics } from '../../telemetry/instruments/work-metrics.js';
import { inSpan } from '../../telemetry/spans.js';

export type OperationMetrics = Pick<WorkMetrics, 'operationEnded'>;

interface MeasuredOperation {
  readonly document: DocumentNode;
  readonly operationName: string | null | undefined;
}

/** Callers choose names of any length. */
const MAX_NAME_LENGTH = 100;

/** Executes an operation in a span, and records its duration and whether it failed in part or as a whole. */
export async function measureOperation<Result>(
  { document, operationName }: MeasuredOperation,
  metrics: OperationMetrics | undefined,
  { execute, hasErrors }: { execute(): Result | Promise<Result>; hasErrors(result: Result): boolean },
): Promise<Result> {
  const definition = getOperationAST(document, operationName);
  const type = definition?.operation ?? 'query';
  const name = definition?.name?.value;
  const describe = () => {
    const shown = name?.slice(0, MAX_NAME_LENGTH);
    const attributes = { 'graphql.operation.type': type, ...(shown && { 'graphql.operation.name': shown }) };
    // Names of spans must not be chosen by callers, since tools group by them.
    return { name: `graphql ${type}`, attributes };
  };
  return inSpan(describe, async (span) => {
    const startedAt = performance.now();
    let failed = true;
    try {
      const result = await execute();
      failed = hasErrors(result);
      return result;
    } finally {
      if (failed) span.setAttribute('mediagraph.graphql.errors', true);
      metrics?.operationEnded({ name, type, hasErrors: failed, seconds: (performance.now() - startedAt) / 1000 });
    }
  });
}
