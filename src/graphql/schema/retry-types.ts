import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { Media } from '../../model/media.js';
import { MediaType } from './media-type.js';

@InputType('RetryMediaInput')
export class RetryMediaInput {
  @Field(() => ID)
  id!: string;
}

@ObjectType('RetryMediaPayload', { simpleResolvers: true })
export class RetryMediaPayload {
  @Field(() => MediaType, {
    description: 'The media: PENDING while the server fetches it, or unchanged if it was not FAILED.',
  })
  media!: Media;
}
