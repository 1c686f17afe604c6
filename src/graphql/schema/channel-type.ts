import { GraphQLSafeInt } from 'graphql-scalars';
import { Directive, Field, ID, ObjectType } from 'type-graphql';
import type { ProviderName } from '../../model/channel.js';
import type { ChannelCapabilities } from '../../providers/capabilities.js';
import { MediaProvider, MediaUploadMode } from './enums.js';

@ObjectType('MediaChannelCapabilities', {
  simpleResolvers: true,
  description: 'The capabilities of a channel, derived from the methods that its adapter implements.',
})
export class MediaChannelCapabilitiesType {
  @Field(() => Boolean, {
    description: 'True if the provider can list the media of a message. False if only webhooks announce media.',
  })
  listsMedia!: boolean;

  @Field(() => MediaUploadMode)
  upload!: ChannelCapabilities['upload'];

  @Field(() => Boolean, { description: 'True if deleteMedia also deletes the media at the provider.' })
  deletesAtProvider!: boolean;

  @Field(() => Boolean, {
    description: 'True if the adapter supports webhooks and the channel has a configured webhook.',
  })
  receivesWebhooks!: boolean;

  @Field(() => GraphQLSafeInt)
  maxUploadBytes!: number;

  @Field(() => [String], { description: 'The accepted MIME types without parameters. An empty list accepts any type.' })
  uploadMimeTypes!: readonly string[];
}

/** Resolved from a `ConnectedChannel`. `ChannelResolver` resolves the capabilities. */
@ObjectType('MediaChannel', {
  simpleResolvers: true,
  description: 'One account or number of a tenant at one provider.',
})
@Directive('@key(fields: "id")')
@Directive('@authenticated')
@Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
export class MediaChannelType {
  @Field(() => ID)
  id!: string;

  @Field(() => MediaProvider)
  provider!: ProviderName;
}
