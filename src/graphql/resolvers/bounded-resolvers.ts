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

/** Fields that judge what they are given themselves, item by item. */
const JUDGE_THEMSELVES = new Set(['Query._entities', 'Query.messagesWithMedia']);
/** Counts its items itself, before it looks for them. */
const COUNTS_ITSELF = 'Query._entities';

/**
 * Puts every field of the schema into the operation's budget, whoever executes it: arguments are bounded before a resolver
 * sees them, lists are counted when their length is known, errors when they are thrown.
 */
export function boundResolvers(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) bound(field, `${type.name}.${field.name}`);
  }
}

function bound(field: Field, name: string): void {
  const check = JUDGE_THEMSELVES.has(name) ? null : argumentCheck(field.args);
  if (field.subscribe && check) field.subscribe = checked(field.subscribe, check);
  const { type } = field;
  const isList = isListType(isNonNullType(type) ? type.ofType : type) && name !== COUNTS_ITSELF;
  if (isList) field.resolve = counted(checked(field.resolve ?? defaultFieldResolver, check));
  else if (field.resolve && field.resolve !== defaultFieldResolver)
    field.resolve = watched(checked(field.resolve, check));
}

function checked(resolve: Resolve, check: ReturnType<typeof argumentCheck>): Resolve {
  if (!check) return resolve;
  return (source, args, context, info) => {
    check(args);
    return resolve(source, args, context, info);
  };
}

function watched(resolve: Resolve): Resolve {
  return (source, args, context, info) => {
    try {
      const value: unknown = resolve(source, args, context, info);
      return value instanceof Promise ? value.catch((thrown: unknown) => rethrow(thrown, context)) : value;
    } catch (thrown) {
      return rethrow(thrown, context);
    }
  };
}

function counted(resolve: Resolve): Resolve {
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
