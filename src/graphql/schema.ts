import 'reflect-metadata';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import { type DocumentNode, type GraphQLSchema, parse, visit } from 'graphql';
import { buildSchemaSync, createResolversMap } from 'type-graphql';
import { ChannelResolver } from './channel.resolver.js';
import { resolveEntities } from './entities.js';
import { MediaResolver } from './media.resolver.js';
import { MessageResolver } from './message.resolver.js';

/** What `Message.id` is when this subgraph is the one to write it; `owned`: another subgraph's alone. */
export type MessageIds = 'transparent' | 'owned';

const LINK = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable", "@tag", "@inaccessible"])
`;

/** Descriptions and directives come from the decorators; this is what schema/media.graphql holds. */
export function printSubgraphSdl(): string {
  return `${LINK}\n${printSchemaWithDirectives(buildDecoratedSchema())}\n`;
}

/** The executable subgraph: the SDL as federation reads it, resolved by the decorated classes. */
export function createSubgraphSchema(): GraphQLSchema {
  const decorated = buildDecoratedSchema();
  const resolvers = createResolversMap(decorated);
  const typeDefs = parse(`${LINK}\n${printSchemaWithDirectives(decorated)}`);
  return buildSubgraphSchema([
    { typeDefs, resolvers: { ...resolvers, Query: { ...resolvers.Query, _entities: resolveEntities } } },
  ]);
}

// Private: without checks of its own, since the checks are against a schema without federation's directives.
function buildDecoratedSchema(): GraphQLSchema {
  return buildSchemaSync({
    resolvers: [MessageResolver, MediaResolver, ChannelResolver],
    skipCheck: true,
    validate: false,
  });
}
