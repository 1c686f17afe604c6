import { Arg, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { MediagraphError } from '../../model/errors.js';
import type { MediaKind as Kind, Media } from '../../model/media.js';
import { MediaKind } from '../schema/enums.js';
import { MediaType } from '../schema/media-type.js';
import { MessageType } from '../schema/message-type.js';
import { type GraphQLContext, requireScope } from './context.js';
import { kindOf } from './media.resolver.js';
import { MessageSource } from './message-source.js';

/** The maximum number of message ids in one argument. */
export const MAX_IDS = 100;

type Eventually<Value> = Value | Promise<Value>;

@Resolver(() => MessageType)
export class MessageResolver {
  @Directive('@tag(name: "media-standalone")')
  @Directive('@requiresScopes(scopes: [["media:read"]])')
  @Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
  @Query(() => [MessageType], {
    nullable: 'items',
    description: `Messages by id, at most ${MAX_IDS}, in the order of the ids. Use it to query this subgraph directly; a supergraph resolves Message as an entity.`,
  })
  messagesWithMedia(@Arg('ids', () => [ID]) ids: string[], @Ctx() context: GraphQLContext): MessageSource[] {
    requireScope(context, 'media:read');
    if (ids.length > MAX_IDS)
      throw new MediagraphError('BAD_USER_INPUT', `expected at most ${MAX_IDS} ids, got ${ids.length}`);
    context.cache.allow();
    return ids.map((id) => MessageSource.fromId(id));
  }

  @FieldResolver(() => ID)
  channelId(@Root() message: MessageSource, @Ctx() { loaders }: GraphQLContext): Eventually<string> {
    const key = message.mustLocate(loaders.messageKeys);
    return key instanceof Promise ? key.then(({ channelId }) => channelId) : key.channelId;
  }

  @FieldResolver(() => ID)
  providerMessageId(@Root() message: MessageSource, @Ctx() { loaders }: GraphQLContext): Eventually<string> {
    const key = message.mustLocate(loaders.messageKeys);
    return key instanceof Promise ? key.then(({ providerMessageId }) => providerMessageId) : key.providerMessageId;
  }

  @Directive('@authenticated')
  @Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
  @FieldResolver(() => [MediaType], {
    nullable: true,
    description:
      "The media of the message in the provider's order, limited to the given kinds. An empty list means that the message has no media yet. Null with an error means that the provider did not return the media.",
  })
  media(
    @Arg('kinds', () => [MediaKind], { nullable: true }) kinds: Kind[] | null,
    @Root() message: MessageSource,
    @Ctx() context: GraphQLContext,
  ): Promise<readonly Media[]> {
    // A mutation's payload leads to this field, too, and needs only the mutation's scope until here.
    requireScope(context, 'media:read');
    const { mediaByMessage, messageKeys } = context.loaders;
    const key = message.locate(messageKeys);
    const listed =
      key instanceof Promise
        ? key.then((located) => (located ? mediaByMessage.load(located) : []))
        : key
          ? mediaByMessage.load(key)
          : Promise.resolve([]);
    return kinds ? listed.then((media) => ofKinds(media, kinds, context)) : listed;
  }
}

async function ofKinds(media: readonly Media[], kinds: readonly Kind[], context: GraphQLContext): Promise<Media[]> {
  const actual = await Promise.all(media.map((candidate) => kindOf(candidate, context)));
  return media.filter((_, index) => kinds.some((kind) => kind === actual[index]));
}
