import { faultOfVariables } from '../resolvers/argument-limits.js';
import { type CountedOperation, fieldsOfOperation } from '../schema/field-costs.js';
import type { ExecutionBudget } from './execution-budget.js';

/**
 * Charges the fields that are known before execution to the operation's budget, and bounds its variables.
 * @throws GraphQLError BAD_USER_INPUT, QUERY_TOO_COMPLEX
 */
export function countOperation(counted: CountedOperation, budget: ExecutionBudget): void {
  const { operation, variables } = counted;
  const fault = faultOfVariables(operation.variableDefinitions ?? [], variables);
  if (fault) throw fault;
  budget.take(fieldsOfOperation(counted, budget.maxNodes));
  if (budget.refusal) throw budget.refusal;
}
