/**
 * Mercurius with graphql-jit: its own GraphQL adapter for Fastify, SDL first, its own loaders. Sources: mercurius docs,
 * "Loaders" and "Plugin options" (`jit`: compile a query that came so often).
 */
import Fastify from 'fastify';
import { GraphQLDateTimeISO } from 'graphql-scalars';
import mercurius, { type MercuriusContext } from 'mercurius';
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

const schema = `
  scalar DateTime
  enum MediaStatus { PENDING READY FAILED DELETED EXPIRED }
  enum MediaKind { IMAGE VIDEO AUDIO DOCUMENT STICKER OTHER }
  type Media {
    id: ID!
    status: MediaStatus!
    kind: MediaKind!
    mimeType: String
    url: String
    urlExpiresAt: DateTime
  }
  type Message {
    id: ID!
    media: [Media!]
  }
  type Query {
    messagesWithMedia(ids: [ID!]!): [Message!]!
  }
`;

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

declare module 'mercurius' {
  interface MercuriusContext {
    readonly now: number;
  }
}

const resolvers = {
  DateTime: { serialize: (value: unknown) => GraphQLDateTimeISO.serialize(value) },
  Query: {
    messagesWithMedia: (_root: unknown, { ids }: { ids: string[] }) => ids.map((id) => ({ id })),
  },
  Media: {
    url: (media: Media, _args: unknown, context: MercuriusContext) => signedUrlOf(media, context.now),
    urlExpiresAt: (_media: Media, _args: unknown, context: MercuriusContext) => urls.expiry(context.now),
  },
};

const loaders = {
  Message: {
    media: (queries: ReadonlyArray<{ obj: { id: string } }>) =>
      Promise.all(queries.map(({ obj }) => listMedia(obj.id))),
  },
};

const fastify = Fastify();
await fastify.register(mercurius, { schema, resolvers, loaders, jit: 1, context: () => ({ now: Date.now() }) });
const url = await fastify.listen({ port: 0, host: '127.0.0.1' });
process.stdout.write(`listens at ${url}\n`);
