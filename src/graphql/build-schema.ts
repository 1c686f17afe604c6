import 'reflect-metadata';
import { MapperKind, mapSchema, printSchemaWithDirectives } from '@graphql-tools/utils';
import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  GraphQLEnumType,
  type GraphQLFieldConfig,
  GraphQLObjectType,
  GraphQLScalarType,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  visit,
} from 'graphql';
import { buildSchemaSync, type PubSub } from 'type-graphql';
import { subgraphSchema } from './federation.js';
import { boundedField } from './resolvers/bounded-resolvers.js';
import { ChannelResolver } from './resolvers/channel.resolver.js';
import { directResolvers } from './resolvers/direct-resolvers.js';
import { resolveEntities } from './resolvers/entities.js';
import { MediaResolver } from './resolvers/media.resolver.js';
import { MessageResolver } from './resolvers/message.resolver.js';
import type { MessageIds } from './resolvers/message-source.js';
import { MutationResolver } from './resolvers/mutation.resolver.js';
import { SubscriptionResolver } from './resolvers/subscription.resolver.js';
import { COST_DIRECTIVES, withCostDirectives } from './schema/cost-directives.js';

/** Federation's directives that the subgraph imports. */
const FEDERATION = ['@key', '@shareable', '@tag', '@inaccessible'];
/** The decorators always have them; the SDL has them with `federation.authDirectives`. */
const AUTH_DIRECTIVES = ['@authenticated', '@requiresScopes'];

/** Apollo's cache hints, which each subgraph defines itself (Apollo Server docs, "Server-Side Caching"). */
const CACHE_CONTROL = `
enum CacheControlScope { PUBLIC PRIVATE }
directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
`;

export interface SubgraphForm {
  /** `federation.messageIds`. Default: transparent. */
  readonly messageIds?: MessageIds;
  /** `federation.authDirectives`. Default: false. */
  readonly authDirectives?: boolean;
  /** `federation.costDirectives`. Default: false. */
  readonly costDirectives?: boolean;
}

const RESOLVERS = [MessageResolver, MediaResolver, ChannelResolver, MutationResolver, SubscriptionResolver] as const;

/** The subgraph's SDL with descriptions and directives. Without options it is schema/media.graphql. */
export function printSubgraphSdl(form: SubgraphForm = {}): string {
  return `${print(subgraphDocument(buildDecoratedSchema(), form))}\n`;
}

const schemas = new Map<string, GraphQLSchema>();

/** The executable subgraph. It has no state, so the apps of one process share it. */
export function createSubgraphSchema(form: SubgraphForm): GraphQLSchema {
  return schemaNamed(nameOf(form), form);
}

/** A second schema of the same form, for Apollo's trace plugin, which wraps the resolvers of its schema. */
export function createTracedSchema(form: SubgraphForm): GraphQLSchema {
  return schemaNamed(`traced ${nameOf(form)}`, form);
}

function nameOf({ messageIds = 'transparent', authDirectives = false, costDirectives = false }: SubgraphForm): string {
  return `${messageIds} ${authDirectives} ${costDirectives}`;
}

function schemaNamed(name: string, form: SubgraphForm): GraphQLSchema {
  const schema = schemas.get(name) ?? buildSchema(form);
  schemas.set(name, schema);
  return schema;
}

/** The schema of the SDL that routers get, with the resolvers of the decorated schema. */
function buildSchema(form: SubgraphForm): GraphQLSchema {
  const decorated = buildDecoratedSchema();
  const document = subgraphDocument(decorated, form);
  const direct = directResolvers(RESOLVERS);
  const service = { sdl: print(document) };
  return mapSchema(subgraphSchema(document), {
    [MapperKind.SCALAR_TYPE]: (scalar) => {
      const own = decorated.getType(scalar.name);
      return own instanceof GraphQLScalarType ? own : scalar;
    },
    [MapperKind.ENUM_TYPE]: (type) => {
      const own = decorated.getType(type.name);
      return own instanceof GraphQLEnumType ? own : type;
    },
    [MapperKind.OBJECT_FIELD]: (field, fieldName, typeName) => {
      const name = `${typeName}.${fieldName}`;
      if (name === 'Query._service') return { ...field, resolve: () => service };
      const own = fieldOf(decorated, typeName, fieldName);
      const resolve = name === 'Query._entities' ? resolveEntities : (direct.get(name) ?? own?.resolve);
      return boundedField({ ...field, resolve, subscribe: own?.subscribe }, name);
    },
  });
}

function fieldOf(
  schema: GraphQLSchema,
  typeName: string,
  fieldName: string,
): Pick<GraphQLFieldConfig<unknown, unknown>, 'resolve' | 'subscribe'> | undefined {
  const type = schema.getType(typeName);
  return type instanceof GraphQLObjectType ? type.getFields()[fieldName] : undefined;
}

/** type-graphql requires a PubSub, although every subscription here has a source of its own. */
const NO_PUB_SUB: PubSub = {
  publish: noTopic,
  subscribe: noTopic,
};

function noTopic(): never {
  throw new Error('expected a subscription with a source of its own');
}

/** type-graphql's own checks are skipped, since they do not know federation's directives. */
function buildDecoratedSchema(): GraphQLSchema {
  return buildSchemaSync({
    resolvers: RESOLVERS,
    skipCheck: true,
    validate: false,
    pubSub: NO_PUB_SUB,
  });
}

function subgraphDocument(
  decorated: GraphQLSchema,
  { messageIds = 'transparent', authDirectives = false, costDirectives = false }: SubgraphForm,
): DocumentNode {
  const imported = [
    ...FEDERATION,
    ...(authDirectives ? AUTH_DIRECTIVES : []),
    ...(costDirectives ? COST_DIRECTIVES : []),
  ];
  const version = costDirectives ? 'v2.9' : 'v2.5';
  const link = `extend schema @link(url: "https://specs.apollo.dev/federation/${version}", import: ${JSON.stringify(imported)})`;
  const whole = withEnumScopes(parse(`${link}\n${CACHE_CONTROL}\n${printSchemaWithDirectives(decorated)}`));
  const priced = costDirectives ? withCostDirectives(whole) : whole;
  const document = authDirectives ? priced : withoutAuthDirectives(priced);
  switch (messageIds) {
    case 'transparent':
      return document;
    case 'bare':
      return withoutPairAsKey(document);
    case 'owned':
      return withoutMessageId(document);
  }
}

/**
 * Removes the key of channel and provider message id. Hive Gateway selects the fields of every key, and the channel of a
 * bare id may be unknown.
 */
function withoutPairAsKey(document: DocumentNode): DocumentNode {
  return visit(document, {
    ObjectTypeDefinition(node) {
      if (node.name.value !== 'Message') return undefined;
      return {
        ...node,
        directives: node.directives?.filter((directive) => !print(directive).includes('channelId')),
        fields: node.fields?.map((field) => (isFieldOfPair(field) ? { ...field, directives: [SHAREABLE] } : field)),
      };
    },
  });
}

/** The subgraph that owns `Message` may resolve these fields, too. */
const SHAREABLE: ConstDirectiveNode = { kind: Kind.DIRECTIVE, name: { kind: Kind.NAME, value: 'shareable' } };

function isFieldOfPair({ name }: FieldDefinitionNode): boolean {
  return name.value === 'channelId' || name.value === 'providerMessageId';
}

/** The printer of decorated schemas writes the enum values of `scope` as strings. */
function withEnumScopes(document: DocumentNode): DocumentNode {
  return visit(document, {
    Argument: ({ name, value, ...node }) =>
      name.value === 'scope' && value.kind === Kind.STRING
        ? { ...node, name, value: { kind: Kind.ENUM, value: value.value } }
        : undefined,
  });
}

/** A composition that does not know the directives refuses a schema that has them. */
function withoutAuthDirectives(document: DocumentNode): DocumentNode {
  return visit(document, {
    Directive: ({ name }) => (AUTH_DIRECTIVES.includes(`@${name.value}`) ? null : undefined),
  });
}

/** Removes `Message.id` and its key, which belong to another subgraph. The key of the pair remains. */
function withoutMessageId(document: DocumentNode): DocumentNode {
  return visit(document, {
    ObjectTypeDefinition(node) {
      if (node.name.value !== 'Message') return undefined;
      return {
        ...node,
        fields: node.fields?.filter((field) => field.name.value !== 'id'),
        directives: node.directives?.filter((directive) => !print(directive).includes('"id"')),
      };
    },
  });
}
