import { GraphQLDateTimeISO } from 'graphql-scalars';
import { Directive, Field, ID, ObjectType } from 'type-graphql';
import type { ProviderName } from '../../model/channel.js';
import { MediaProvider, MediaStatus } from './enums.js';

/** The fields that are properties of the source, the model's `Media`. `MediaResolver` has the others. */
@ObjectType('Media', {
  simpleResolvers: true,
  description: 'One attachment of a message, the same whatever the provider.',
})
@Directive('@key(fields: "id")')
@Directive('@authenticated')
@Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
export class MediaType {
  @Field(() => ID, {
    description: 'Opaque and stable: the same attachment has the same id on every replica. No capability.',
  })
  id!: string;

  @Field(() => MediaStatus)
  status!: string;

  @Field(() => MediaProvider)
  provider!: ProviderName;

  @Field(() => String, {
    nullable: true,
    description: 'What the provider calls it, and what its send call takes; null where the message alone names it.',
  })
  providerMediaId!: string | null;

  @Field(() => GraphQLDateTimeISO, { nullable: true })
  createdAt!: Date | null;

  @Field(() => GraphQLDateTimeISO, {
    nullable: true,
    description: 'When the bytes stop being available; null = no end is known.',
  })
  expiresAt!: Date | null;
}
