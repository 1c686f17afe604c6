import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionResult, FormattedExecutionResult, GraphQLError, GraphQLFormattedError } from 'graphql';
import type { GraphQLContext } from '../resolvers/context.js';
import { isLongerThan } from './answer-size.js';

export type FormatError = (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;

/** Errors that are formatted before the event loop runs other work. */
const ERRORS_PER_TURN = 1_000;

/** Formats errors for the client in turns, between which the process serves other requests. */
export async function formatErrors(
  errors: readonly GraphQLError[],
  format: FormatError,
  requestId: string,
): Promise<GraphQLFormattedError[]> {
  const formatted: GraphQLFormattedError[] = [];
  for (const error of errors) {
    formatted.push(formatWithRequestId(error, format, requestId));
    if (formatted.length % ERRORS_PER_TURN === 0) await nextTurn();
  }
  return formatted;
}

function formatWithRequestId(error: GraphQLError, format: FormatError, requestId: string): GraphQLFormattedError {
  const { message, locations, path } = error;
  const { extensions, ...formatted } = format({ message, locations, path }, error);
  return { ...formatted, extensions: { ...extensions, requestId } };
}

type Budgeted = Pick<GraphQLContext, 'budget' | 'requestId'>;

/** The result that replaces one beyond the operation's budget; null: the result is within the budget. */
export async function refusalOf(
  result: FormattedExecutionResult,
  { budget, requestId }: Budgeted,
  format: FormatError,
): Promise<FormattedExecutionResult | null> {
  if (!budget.refusal && (await isLongerThan(result, budget.maxAnswerBytes))) budget.refuseLength();
  const { refusal } = budget;
  return refusal && { data: null, errors: [formatWithRequestId(refusal, format, requestId)] };
}

/** Formats a result for the client, or replaces it by its refusal. */
export async function formattedResult(
  { data, errors }: ExecutionResult,
  context: Budgeted,
  format: FormatError,
): Promise<FormattedExecutionResult> {
  const { budget, requestId } = context;
  budget.end();
  // A refusal replaces all errors, so they need no formatting.
  const formattedErrors = errors && !budget.refusal ? await formatErrors(errors, format, requestId) : undefined;
  const result = { ...(data !== undefined && { data }), ...(formattedErrors && { errors: formattedErrors }) };
  return (await refusalOf(result, context, format)) ?? result;
}
