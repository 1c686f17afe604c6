import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { Media } from '../../model/media.js';
import { MediaType } from './media-type.js';
import { UrlScalar } from './url-scalar.js';

@InputType('UploadMediaFromUrlInput')
export class UploadMediaFromUrlInput {
  @Field(() => ID)
  channelId!: string;

  @Field(() => UrlScalar, { description: 'http or https; never an address that is not public.' })
  url!: string;

  @Field(() => String, {
    nullable: true,
    description: "Default: from Content-Disposition, else from the URL's path. Its extension follows the type.",
  })
  filename?: string | null;

  @Field(() => String, { nullable: true, description: 'If given, it must agree with what the bytes are.' })
  mimeType?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'The message that the upload is attached to, "<channelId>:<providerMessageId>", of the same channel.',
  })
  messageId?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'The same key with the same input gives the same media for 24 hours; with another input, IDEMPOTENCY_CONFLICT. Free again when the upload failed.',
  })
  idempotencyKey?: string | null;
}

@ObjectType('UploadMediaFromUrlPayload', { simpleResolvers: true })
export class UploadMediaFromUrlPayload {
  @Field(() => MediaType, { description: 'READY, or PENDING while a slow upload goes on.' })
  media!: Media;

  @Field(() => Boolean, { description: 'Whether idempotencyKey matched an earlier upload.' })
  replayed!: boolean;
}
