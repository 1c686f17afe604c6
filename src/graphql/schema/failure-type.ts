import { GraphQLDateTimeISO } from 'graphql-scalars';
import { Field, ObjectType } from 'type-graphql';
import type { ErrorCode } from '../../model/errors.js';

/** Resolved from the model's `MediaFailure`. */
@ObjectType('MediaFailure', { simpleResolvers: true, description: 'The reason why a media is FAILED.' })
export class MediaFailureType {
  @Field(() => String, { description: 'An error code, as in `extensions.code` of errors.' })
  code!: ErrorCode;

  @Field(() => String, { description: 'A description for people. Do not parse it.' })
  message!: string;

  @Field(() => Boolean, { description: 'True if retryMedia may succeed. The server may also retry on its own.' })
  retryable!: boolean;

  @Field(() => GraphQLDateTimeISO)
  at!: Date;
}
