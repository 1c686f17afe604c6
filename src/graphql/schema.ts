import 'reflect-metadata';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import { type DocumentNode, type GraphQLSchema, parse, print, visit } from 'graphql';
import { buildSchemaSync, createResolversMap, type PubSub } from 'type-graphql';
import { ChannelResolver } from './channel.resolver.js';
import { resolveDirectly } from './direct-resolvers.js';
import { resolveEntities } from './entities.js';
import { MediaResolver } from './media.resolver.js';
import { MessageResolver } from './message.resolver.js';
import type { MessageIds } from './message-source.js';
import { MutationResolver } from './mutation.resolver.js';
import { SubscriptionResolver } from './subscription.resolver.js';

const LINK = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable", "@tag", "@inaccessible"])
`;

const RESOLVERS = [MessageResolver, MediaResolver, ChannelResolver, MutationResolver, SubscriptionResolver] as const;

type SubgraphModule = Parameters<typeof buildSubgraphSchema>[0];

/** The subgraph's SDL, descriptions and directives from the decorators; schema/media.graphql is the transparent one. */
export function printSubgraphSdl(messageIds: MessageIds = 'transparent'): string {
  return `${print(subgraphDocument(buildDecoratedSchema(), messageIds))}\n`;
}

/** The executable subgraph: the SDL as federation reads it, resolved by the decorated classes. */
export function createSubgraphSchema(messageIds: MessageIds): GraphQLSchema {
  const decorated = buildDecoratedSchema();
  // The two libraries describe the same map of resolvers with types that differ in their index signatures.
  const module = {
    typeDefs: subgraphDocument(decorated, messageIds),
    resolvers: createResolversMap(decorated),
  } as SubgraphModule;
  const schema = buildSubgraphSchema(module);
  resolveDirectly(schema, RESOLVERS);
  const entities = schema.getQueryType()?.getFields()._entities;
  if (entities) entities.resolve = resolveEntities;
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

function subgraphDocument(decorated: GraphQLSchema, messageIds: MessageIds): DocumentNode {
  const document = parse(`${LINK}\n${printSchemaWithDirectives(decorated)}`);
  return messageIds === 'owned' ? withoutMessageId(document) : document;
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
