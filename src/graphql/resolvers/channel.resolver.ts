import { Ctx, Directive, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { type ChannelCapabilities, capabilitiesOf } from '../../providers/capabilities.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import { MediaChannelCapabilitiesType, MediaChannelType } from '../schema/channel-type.js';
import { type GraphQLContext, requireScope } from './context.js';

@Resolver(() => MediaChannelType)
export class ChannelResolver {
  @Directive('@requiresScopes(scopes: [["media:read"]])')
  @Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
  @Query(() => [MediaChannelType], { description: 'The channels that the caller can access.' })
  mediaChannels(@Ctx() context: GraphQLContext): ConnectedChannel[] {
    requireScope(context, 'media:read');
    context.cache.allow();
    return context.channels.list(context.caller.tenant);
  }

  @FieldResolver(() => MediaChannelCapabilitiesType)
  capabilities(@Root() channel: ConnectedChannel, @Ctx() context: GraphQLContext): ChannelCapabilities {
    return capabilitiesOf(channel, context.maxUploadBytes);
  }
}
