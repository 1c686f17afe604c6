import { GraphQLSafeInt } from 'graphql-scalars';
import { Directive, Field, ID, ObjectType } from 'type-graphql';
import type { ProviderName } from '../../model/channel.js';
import type { ChannelCapabilities } from '../../providers/capabilities.js';
import { MediaProvider, MediaUploadMode } from './enums.js';

@ObjectType('MediaChannelCapabilities', {
  simpleResolvers: true,
  description: 'What can be done on a channel, read off what its adapter implements.',
})
export class MediaChannelCapabilitiesType {
  @Field(() => Boolean, {
    description: 'The provider can be asked which media a message has; false: media is known from webhooks only.',
  })
  listsMedia!: boolean;

  @Field(() => MediaUploadMode)
  upload!: ChannelCapabilities['upload'];

  @Field(() => Boolean, { description: 'deleteMedia also deletes at the provider.' })
  deletesAtProvider!: boolean;

  @Field(() => Boolean, { description: 'The adapter takes webhooks and this channel has one configured.' })
  receivesWebhooks!: boolean;

  @Field(() => GraphQLSafeInt)
  maxUploadBytes!: number;

  @Field(() => [String], { description: 'Essences; [] = any type.' })
  uploadMimeTypes!: readonly string[];
}

/** Resolved from a `ConnectedChannel`. `ChannelResolver` resolves the capabilities. */
@ObjectType('MediaChannel', { simpleResolvers: true, description: "One tenant's line at one provider." })
@Directive('@key(fields: "id")')
@Directive('@authenticated')
@Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
export class MediaChannelType {
  @Field(() => ID)
  id!: string;

  @Field(() => MediaProvider)
  provider!: ProviderName;
}
