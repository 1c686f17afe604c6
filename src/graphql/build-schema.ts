import 'reflect-metadata';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  visit,
} from 'graphql';
import { buildSchemaSync, createResolversMap, type PubSub } from 'type-graphql';
import { boundResolvers } from './resolvers/bounded-resolvers.js';
import { ChannelResolver } from './resolvers/channel.resolver.js';
import { resolveDirectly } from './resolvers/direct-resolvers.js';
import { resolveEntities } from './resolvers/entities.js';
import { MediaResolver } from './resolvers/media.resolver.js';
import { MessageResolver } from './resolvers/message.resolver.js';
import type { MessageIds } from './resolvers/message-source.js';
import { MutationResolver } from './resolvers/mutation.resolver.js';
import { SubscriptionResolver } from './resolvers/subscription.resolver.js';

/** What federation defines and this subgraph uses, or may. */
const FEDERATION = ['@key', '@shareable', '@tag', '@inaccessible'];
/** Stand in the decorators, and in the SDL where `federation.authDirectives` wants them. */
const AUTH_DIRECTIVES = ['@authenticated', '@requiresScopes'];

/** Apollo's hints, defined by each subgraph for itself: Apollo Server docs, "Server-Side Caching". */
const CACHE_CONTROL = `
enum CacheControlScope { PUBLIC PRIVATE }
directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
`;

export interface SubgraphForm {
  /** `federation.messageIds`; transparent unless given. */
  readonly messageIds?: MessageIds;
  /** `federation.authDirectives`; false unless given. */
  readonly authDirectives?: boolean;
}

const RESOLVERS = [MessageResolver, MediaResolver, ChannelResolver, MutationResolver, SubscriptionResolver] as const;

type SubgraphModule = Parameters<typeof buildSubgraphSchema>[0];

/** The subgraph's SDL, descriptions and directives from the decorators; schema/media.graphql is the one without options. */
export function printSubgraphSdl(form: SubgraphForm = {}): string {
  return `${print(subgraphDocument(buildDecoratedSchema(), form))}\n`;
}

const built = new Map<string, GraphQLSchema>();

/**
 * The executable subgraph: the SDL as federation reads it, resolved by the decorated classes. It keeps no state, so apps
 * of one process share it.
 */
export function createSubgraphSchema({
  messageIds = 'transparent',
  authDirectives = false,
}: SubgraphForm): GraphQLSchema {
  const name = `${messageIds} ${authDirectives}`;
  const schema = built.get(name) ?? buildSchema({ messageIds, authDirectives });
  built.set(name, schema);
  return schema;
}

/** The same, to be executed by what changes the resolvers of its schema. */
export function createTracedSchema(form: SubgraphForm): GraphQLSchema {
  const name = `traced ${form.messageIds} ${form.authDirectives}`;
  const schema = built.get(name) ?? buildSchema(form);
  built.set(name, schema);
  return schema;
}

function buildSchema(form: SubgraphForm): GraphQLSchema {
  const decorated = buildDecoratedSchema();
  // The two libraries describe the same map of resolvers with types that differ in their index signatures.
  const module = {
    typeDefs: subgraphDocument(decorated, form),
    resolvers: createResolversMap(decorated),
  } as SubgraphModule;
  const schema = buildSubgraphSchema(module);
  resolveDirectly(schema, RESOLVERS);
  const entities = schema.getQueryType()?.getFields()._entities;
  if (entities) entities.resolve = resolveEntities;
  boundResolvers(schema);
  return schema;
}

/** type-graphql wants one, although every subscription here has a source of its own. */
const WITHOUT_TOPICS: PubSub = {
  publish: noTopic,
  subscribe: noTopic,
};

function noTopic(): never {
  throw new Error('expected a subscription with a source of its own');
}

// Private: without checks of its own, since those know nothing of federation's directives.
function buildDecoratedSchema(): GraphQLSchema {
  return buildSchemaSync({
    resolvers: RESOLVERS,
    skipCheck: true,
    validate: false,
    pubSub: WITHOUT_TOPICS,
  });
}

function subgraphDocument(
  decorated: GraphQLSchema,
  { messageIds = 'transparent', authDirectives = false }: SubgraphForm,
): DocumentNode {
  const imported = authDirectives ? [...FEDERATION, ...AUTH_DIRECTIVES] : FEDERATION;
  const link = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ${JSON.stringify(imported)})`;
  const whole = withEnumScopes(parse(`${link}\n${CACHE_CONTROL}\n${printSchemaWithDirectives(decorated)}`));
  const document = authDirectives ? whole : withoutAuthDirectives(whole);
  switch (messageIds) {
    case 'transparent':
      return document;
    case 'bare':
      return withoutPairAsKey(document);
    case 'owned':
      return withoutMessageId(document);
  }
}

// Private: Hive Gateway asks for the fields of every key, and of a bare id that nobody has told of there is no channel.
function withoutPairAsKey(document: DocumentNode): DocumentNode {
  return visit(document, {
    ObjectTypeDefinition(node) {
      if (node.name.value !== 'Message') return undefined;
      return {
        ...node,
        directives: node.directives?.filter((directive) => !print(directive).includes('channelId')),
        fields: node.fields?.map((field) => (isOfPair(field) ? { ...field, directives: [SHAREABLE] } : field)),
      };
    },
  });
}

// Private: an owner may know them as well as we do.
const SHAREABLE: ConstDirectiveNode = { kind: Kind.DIRECTIVE, name: { kind: Kind.NAME, value: 'shareable' } };

function isOfPair({ name }: FieldDefinitionNode): boolean {
  return name.value === 'channelId' || name.value === 'providerMessageId';
}

// Private: the printer of decorated schemas takes the scope for a text.
function withEnumScopes(document: DocumentNode): DocumentNode {
  return visit(document, {
    Argument: ({ name, value, ...node }) =>
      name.value === 'scope' && value.kind === Kind.STRING
        ? { ...node, name, value: { kind: Kind.ENUM, value: value.value } }
        : undefined,
  });
}

// Private: a composition that does not know them refuses a schema that has them.
function withoutAuthDirectives(document: DocumentNode): DocumentNode {
  return visit(document, {
    Directive: ({ name }) => (AUTH_DIRECTIVES.includes(`@${name.value}`) ? null : undefined),
  });
}

// Private: `Message.id` and its key belong to another subgraph alone; the pair stays.
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
