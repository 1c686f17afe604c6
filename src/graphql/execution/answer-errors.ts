import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionResult, FormattedExecutionResult, GraphQLError, GraphQLFormattedError } from 'graphql';
import type { GraphQLContext } from '../resolvers/context.js';
import { isLongerThan } from './answer-size.js';

export type FormatError = (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;

/** Errors that are worded before others have their turn. */
const ERRORS_PER_TURN = 1_000;

/** Every error as its caller is told, in turns, between which the process serves others. */
export async function formatErrors(
  errors: readonly GraphQLError[],
  format: FormatError,
  requestId: string,
): Promise<GraphQLFormattedError[]> {
  const formatted: GraphQLFormattedError[] = [];
  for (const error of errors) {
    formatted.push(formatOne(error, format, requestId));
    if (formatted.length % ERRORS_PER_TURN === 0) await nextTurn();
  }
  return formatted;
}

function formatOne(error: GraphQLError, format: FormatError, requestId: string): GraphQLFormattedError {
  const { message, locations, path } = error;
  const { extensions, ...told } = format({ message, locations, path }, error);
  return { ...told, extensions: { ...extensions, requestId } };
}

type Budgeted = Pick<GraphQLContext, 'budget' | 'requestId'>;

/** What leaves in place of a result that is beyond the operation's budget; null: it is within. */
export async function refusalOf(
  result: FormattedExecutionResult,
  { budget, requestId }: Budgeted,
  format: FormatError,
): Promise<FormattedExecutionResult | null> {
  if (!budget.refusal && (await isLongerThan(result, budget.maxAnswerBytes))) budget.tooLong();
  const { refusal } = budget;
  return refusal && { data: null, errors: [formatOne(refusal, format, requestId)] };
}

/** A result as its caller is told. */
export async function formattedResult(
  { data, errors }: ExecutionResult,
  context: Budgeted,
  format: FormatError,
): Promise<FormattedExecutionResult> {
  const { budget, requestId } = context;
  budget.end();
  // Many errors need not be worded where one takes their place.
  const formatted = errors && !budget.refusal ? await formatErrors(errors, format, requestId) : undefined;
  const told = { ...(data !== undefined && { data }), ...(formatted && { errors: formatted }) };
  return (await refusalOf(told, context, format)) ?? told;
}
