import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { DeletionScope, Media } from '../../model/media.js';
import { MediaDeletionScope } from './enums.js';
import { MediaType } from './media-type.js';

@InputType('DeleteMediaInput')
export class DeleteMediaInput {
  @Field(() => ID)
  id!: string;
}

@ObjectType('DeleteMediaPayload', { simpleResolvers: true })
export class DeleteMediaPayload {
  @Field(() => MediaType, { description: 'The deleted media, with the status DELETED.' })
  media!: Media;

  @Field(() => MediaDeletionScope)
  scope!: DeletionScope;
}
