import {
  defaultFieldResolver,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getNamedType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { fieldsOfItems } from '../schema/field-costs.js';
import { argumentCheck } from './argument-limits.js';
import type { GraphQLContext } from './context.js';

type Resolve = GraphQLFieldResolver<unknown, GraphQLContext, Record<string, unknown>>;
type Field = GraphQLField<unknown, GraphQLContext, Record<string, unknown>>;

/** Fields that check their arguments item by item themselves, so that one faulty item is one error. */
const WITH_OWN_CHECKS = new Set(['Query._entities', 'Query.messagesWithMedia']);
/** This field counts its items before it loads them. */
const WITH_OWN_COUNT = 'Query._entities';

/**
 * Charges every field of the schema to the operation's budget, with every executor: arguments are bounded before the
 * resolver runs, lists are counted when their length is known, and errors when they are thrown.
 */
export function boundResolvers(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) bound(field, `${type.name}.${field.name}`);
  }
}

function bound(field: Field, name: string): void {
  const check = WITH_OWN_CHECKS.has(name) ? null : argumentCheck(field.args);
  if (field.subscribe && check) field.subscribe = checkingArguments(field.subscribe, check);
  const { type } = field;
  const isList = isListType(isNonNullType(type) ? type.ofType : type) && name !== WITH_OWN_COUNT;
  if (isList) field.resolve = countingItems(checkingArguments(field.resolve ?? defaultFieldResolver, check));
  else if (field.resolve && field.resolve !== defaultFieldResolver)
    field.resolve = countingErrors(checkingArguments(field.resolve, check));
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
