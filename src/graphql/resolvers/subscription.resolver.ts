import { Arg, Ctx, Directive, ID, Resolver, Root, Subscription } from 'type-graphql';
import { z } from 'zod';
import { MediagraphError } from '../../model/errors.js';
import { parseMessageId } from '../../model/ids.js';
import type { Media, MessageKey } from '../../model/media.js';
import { MediaType } from '../schema/media-type.js';
import { type GraphQLContext, requireScope } from './context.js';
import { MAX_IDS } from './message.resolver.js';

@Resolver()
export class SubscriptionResolver {
  @Directive('@requiresScopes(scopes: [["media:read"]])')
  @Subscription(() => MediaType, {
    subscribe: watchMessages,
    description: `Sends an event for each new media and each status change of media of the given messages, at most ${MAX_IDS}. It sends no initial state: subscribe first, then query.`,
  })
  mediaUpdated(
    @Arg('messageIds', () => [ID]) _messageIds: string[],
    @Root() media: Media,
    @Ctx() context: GraphQLContext,
  ): Media {
    // Checked for each event, since the rights of the credentials may change while a connection is open.
    requireScope(context, 'media:read');
    return media;
  }
}

interface SubscriptionStart {
  readonly args: Readonly<Record<string, unknown>>;
  readonly context: GraphQLContext;
}

async function watchMessages({ args, context }: SubscriptionStart): Promise<AsyncIterable<Media>> {
  requireScope(context, 'media:read');
  const messageIds = z.array(z.string()).parse(args.messageIds);
  if (messageIds.length === 0 || messageIds.length > MAX_IDS)
    throw new MediagraphError('BAD_USER_INPUT', `expected 1 to ${MAX_IDS} message ids, got ${messageIds.length}`);
  return context.watch(messageIds.map(qualifiedKey));
}

function qualifiedKey(id: string): MessageKey {
  const parsed = parseMessageId(id);
  if (parsed.form === 'qualified') return parsed;
  throw new MediagraphError(
    'BAD_USER_INPUT',
    'expected a message id such as "<channelId>:<providerMessageId>", got one without a channel',
  );
}
