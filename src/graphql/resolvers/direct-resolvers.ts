import type { GraphQLFieldResolver } from 'graphql';
import { getMetadataStorage } from 'type-graphql';
import type { GraphQLContext } from './context.js';

type Resolve = GraphQLFieldResolver<unknown, GraphQLContext, Record<string, unknown>>;
type Metadata = ReturnType<typeof getMetadataStorage>;
type MethodMetadata = Metadata['queries'][number] | Metadata['fieldResolvers'][number];
type ReadParameter = (source: unknown, args: Record<string, unknown>, context: GraphQLContext) => unknown;

/**
 * The decorated methods by their fields, such as `Media.url`, without type-graphql's wrapper. The wrapper sorts, maps and
 * awaits the parameters at every call, which for a list of media costs more than the methods; the order of the parameters
 * is known when the schema is built. Methods with other parameters than `@Root`, `@Ctx` and `@Arg` are left out, since
 * they need the wrapper.
 */
export function directResolvers(resolverClasses: ReadonlyArray<new () => object>): ReadonlyMap<string, Resolve> {
  const { queries, fieldResolvers, objectTypes } = getMetadataStorage();
  const resolvers = new Map<string, Resolve>();
  for (const resolverClass of resolverClasses) {
    const instance = new resolverClass();
    const add = (typeName: string, method: MethodMetadata) => {
      const resolve = directResolve(method, instance);
      if (resolve) resolvers.set(`${typeName}.${method.schemaName}`, resolve);
    };
    for (const method of queries) if (method.target === resolverClass) add('Query', method);
    for (const method of fieldResolvers) {
      if (method.target !== resolverClass) continue;
      const owner = objectTypes.find(({ target }) => target === method.getObjectType?.());
      if (owner) add(owner.name, method);
    }
  }
  return resolvers;
}

function directResolve({ methodName, params = [] }: MethodMetadata, instance: object): Resolve | null {
  const unboundMethod: unknown = Reflect.get(instance, methodName);
  const [first, second, third, fourth, fifth, ...more] = [...params].sort((a, b) => a.index - b.index).map(readerOf);
  if (typeof unboundMethod !== 'function' || more.length > 0 || [first, second, third, fourth, fifth].includes(null))
    return null;
  const method = unboundMethod.bind(instance);
  return (source, args, context) =>
    method(
      first?.(source, args, context),
      second?.(source, args, context),
      third?.(source, args, context),
      fourth?.(source, args, context),
      fifth?.(source, args, context),
    );
}

function readerOf(parameter: NonNullable<MethodMetadata['params']>[number]): ReadParameter | null {
  switch (parameter.kind) {
    case 'root':
      return (source) => source;
    case 'context':
      return (_source, _args, context) => context;
    case 'arg': {
      const { name } = parameter;
      return (_source, args) => args[name];
    }
    default:
      return null;
  }
}
