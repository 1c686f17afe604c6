import { GraphQLDateTimeISO } from 'graphql-scalars';
import { Directive, Field, ID, ObjectType } from 'type-graphql';
import type { ProviderName } from '../../model/channel.js';
import { MediaProvider, MediaStatus } from './enums.js';

/** The fields that are properties of the source, the model's `Media`. `MediaResolver` has the others. */
@ObjectType('Media', {
  simpleResolvers: true,
  description: 'One attachment of a message, in the same form for every provider.',
})
@Directive('@key(fields: "id")')
@Directive('@authenticated')
@Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
export class MediaType {
  @Field(() => ID, {
    description:
      'An opaque and stable id. The same attachment has the same id on every replica. The id grants no access.',
  })
  id!: string;

  @Field(() => MediaStatus)
  status!: string;

  @Field(() => MediaProvider)
  provider!: ProviderName;

  @Field(() => String, {
    nullable: true,
    description: "The provider's media id, which its send call accepts. Null if only the message identifies the media.",
  })
  providerMediaId!: string | null;

  @Field(() => GraphQLDateTimeISO, { nullable: true })
  createdAt!: Date | null;

  @Field(() => GraphQLDateTimeISO, {
    nullable: true,
    description: 'The time when the bytes stop being available. Null if no end is known.',
  })
  expiresAt!: Date | null;
}
