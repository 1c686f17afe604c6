import {
  defaultFieldResolver,
  type GraphQLFieldConfig,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  getNamedType,
  isListType,
  isNonNullType,
} from 'graphql';
import { fieldsOfItems } from '../schema/field-costs.js';
import { argumentCheck } from './argument-limits.js';
import type { GraphQLContext } from './context.js';

type Resolve = GraphQLFieldResolver<unknown, GraphQLContext, Record<string, unknown>>;
type Field = GraphQLFieldConfig<unknown, GraphQLContext, Record<string, unknown>>;

/** Fields that check their arguments item by item themselves, so that one faulty item is one error. */
const WITH_OWN_CHECKS = new Set(['Query._entities', 'Query.messagesWithMedia']);
/** This field counts its items before it loads them. */
const WITH_OWN_COUNT = 'Query._entities';

/**
 * Charges a field to the operation's budget, with every executor: its arguments are bounded before the resolver runs, a
 * list is counted when its length is known, and errors when they are thrown.
 * @param name with its type, such as `Media.url`
 */
export function boundedField(field: Field, name: string): Field {
  const args = Object.entries(field.args ?? {}).map(([argument, { type }]) => ({ name: argument, type }));
  const check = WITH_OWN_CHECKS.has(name) ? null : argumentCheck(args);
  const subscribe = field.subscribe && checkingArguments(field.subscribe, check);
  return { ...field, subscribe, resolve: boundedResolve(field, name, check) };
}

function boundedResolve(
  { type, resolve }: Field,
  name: string,
  check: ReturnType<typeof argumentCheck>,
): Resolve | undefined {
  const isList = isListType(isNonNullType(type) ? type.ofType : type) && name !== WITH_OWN_COUNT;
  if (isList) return countingItems(checkingArguments(resolve ?? defaultFieldResolver, check));
  if (!resolve || resolve === defaultFieldResolver) return resolve;
  return countingErrors(checkingArguments(resolve, check));
}

function checkingArguments(resolve: Resolve, check: ReturnType<typeof argumentCheck>): Resolve {
  if (!check) return resolve;
  return (source, args, context, info) => {
    check(args);
    return resolve(source, args, context, info);
  };
}

function countingErrors(resolve: Resolve): Resolve {
  return (source, args, context, info) => {
    try {
      const value: unknown = resolve(source, args, context, info);
      return value instanceof Promise ? value.catch((thrown: unknown) => rethrow(thrown, context)) : value;
    } catch (thrown) {
      return rethrow(thrown, context);
    }
  };
}

function countingItems(resolve: Resolve): Resolve {
  return (source, args, context, info) => {
    if (context.budget.refusal) return [];
    try {
      const value: unknown = resolve(source, args, context, info);
      if (!(value instanceof Promise)) return itemsOf(value, context, info);
      return value.then(
        (list) => itemsOf(list, context, info),
        (thrown: unknown) => rethrow(thrown, context),
      );
    } catch (thrown) {
      return rethrow(thrown, context);
    }
  };
}

function rethrow(thrown: unknown, { budget }: GraphQLContext): never {
  throw budget.failed(thrown);
}

function itemsOf(list: unknown, { budget }: GraphQLContext, info: GraphQLResolveInfo): unknown {
  if (!Array.isArray(list) || list.length === 0) return list;
  const each = fieldsOfItems(info)(getNamedType(info.returnType).name);
  return budget.take(list.length * each, info.path) ? budget.handOut(list, each) : [];
}
