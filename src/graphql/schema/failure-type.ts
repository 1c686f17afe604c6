import { GraphQLDateTimeISO } from 'graphql-scalars';
import { Field, ObjectType } from 'type-graphql';
import type { ErrorCode } from '../../model/errors.js';

/** Resolved from the model's `MediaFailure`. */
@ObjectType('MediaFailure', { simpleResolvers: true, description: 'Why a media is FAILED.' })
export class MediaFailureType {
  @Field(() => String, { description: 'One of the codes that errors have in `extensions.code`.' })
  code!: ErrorCode;

  @Field(() => String, { description: 'For people.' })
  message!: string;

  @Field(() => Boolean, { description: 'retryMedia may help. Until then the server may try again by itself.' })
  retryable!: boolean;

  @Field(() => GraphQLDateTimeISO)
  at!: Date;
}
