/**
 * The straightforward stack: the libraries that ours is made of, each set up as its own documentation does it, all
 * settings at their defaults. Sources: Apollo Server docs, "Get started"; type-graphql, examples/apollo-federation-2;
 * DataLoader README; undici docs, Pool; as-integrations/fastify README.
 */
import 'reflect-metadata';
import { ApolloServer } from '@apollo/server';
import { buildSubgraphSchema } from '@apollo/subgraph';
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import DataLoader from 'dataloader';
import Fastify from 'fastify';
import { parse } from 'graphql';
import {
  Arg,
  buildSchema,
  Ctx,
  createResolversMap,
  Directive,
  Field,
  FieldResolver,
  ID,
  ObjectType,
  Query,
  Resolver,
  Root,
  registerEnumType,
} from 'type-graphql';
import { Pool } from 'undici';
import type { Media } from '../../../src/model/media.js';
import {
  headersOf,
  type MediaList,
  mediaListPath,
  originOf,
  providerMessageIdOf,
  readProvider,
  signedUrlOf,
  toMedia,
  urls,
} from './peer.js';

interface Context {
  readonly mediaByMessage: DataLoader<string, readonly Media[]>;
  readonly now: number;
}

enum MediaStatus {
  PENDING = 'PENDING',
  READY = 'READY',
  FAILED = 'FAILED',
  DELETED = 'DELETED',
  EXPIRED = 'EXPIRED',
}

enum MediaKind {
  IMAGE = 'IMAGE',
  VIDEO = 'VIDEO',
  AUDIO = 'AUDIO',
  DOCUMENT = 'DOCUMENT',
  STICKER = 'STICKER',
  OTHER = 'OTHER',
}

registerEnumType(MediaStatus, { name: 'MediaStatus' });
registerEnumType(MediaKind, { name: 'MediaKind' });

@ObjectType('Media')
@Directive('@key(fields: "id")')
class MediaType {
  @Field(() => ID)
  id!: string;

  @Field(() => MediaStatus)
  status!: string;

  @Field(() => MediaKind)
  kind!: string;

  @Field(() => String, { nullable: true })
  mimeType!: string | null;
}

@ObjectType('Message')
@Directive('@key(fields: "id")')
class MessageType {
  @Field(() => ID)
  id!: string;
}

@Resolver(() => MessageType)
class MessageResolver {
  @Query(() => [MessageType])
  messagesWithMedia(@Arg('ids', () => [ID]) ids: string[]): MessageType[] {
    return ids.map((id) => ({ id }));
  }

  @FieldResolver(() => [MediaType], { nullable: true })
  media(@Root() message: MessageType, @Ctx() context: Context): Promise<readonly Media[]> {
    return context.mediaByMessage.load(message.id);
  }
}

@Resolver(() => MediaType)
class MediaResolver {
  @FieldResolver(() => String, { nullable: true })
  url(@Root() media: Media, @Ctx() context: Context): string {
    return signedUrlOf(media, context.now);
  }

  @FieldResolver(() => Date, { nullable: true })
  urlExpiresAt(@Root() _media: Media, @Ctx() context: Context): Date {
    return urls.expiry(context.now);
  }
}

const provider = readProvider();
const pool = new Pool(originOf(provider));
const headers = headersOf(provider);
const pathOf = mediaListPath(provider);

async function listMedia(messageId: string): Promise<Media[]> {
  const providerMessageId = providerMessageIdOf(messageId);
  const { statusCode, body } = await pool.request({ method: 'GET', path: pathOf(providerMessageId), headers });
  if (statusCode !== 200) throw new Error(`the provider answered ${statusCode}`);
  const { media_list: listed } = (await body.json()) as MediaList;
  return listed.map((wire) => toMedia(providerMessageId, wire));
}

async function createSchema() {
  const schema = await buildSchema({ resolvers: [MessageResolver, MediaResolver] });
  const typeDefs = parse(`
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
    ${printSchemaWithDirectives(schema)}
  `);
  const resolvers = createResolversMap(schema);
  const references = { Message: { __resolveReference: ({ id }: { id: string }) => ({ id }) } };
  const module = { typeDefs, resolvers: { ...resolvers, Message: { ...resolvers.Message, ...references.Message } } };
  // The two libraries describe the same map of resolvers with types that differ in their index signatures.
  return buildSubgraphSchema(module as Parameters<typeof buildSubgraphSchema>[0]);
}

const fastify = Fastify();
const apollo = new ApolloServer<Context>({
  schema: await createSchema(),
  plugins: [fastifyApolloDrainPlugin(fastify)],
});
await apollo.start();
await fastify.register(fastifyApollo(apollo), {
  context: async () => ({
    mediaByMessage: new DataLoader((ids: readonly string[]) => Promise.all(ids.map(listMedia))),
    now: Date.now(),
  }),
});
const url = await fastify.listen({ port: 0, host: '127.0.0.1' });
process.stdout.write(`listens at ${url}\n`);
