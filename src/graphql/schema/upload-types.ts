import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { Media } from '../../model/media.js';
import { MediaType } from './media-type.js';
import { UrlScalar } from './url-scalar.js';

@InputType('UploadMediaFromUrlInput')
export class UploadMediaFromUrlInput {
  @Field(() => ID)
  channelId!: string;

  @Field(() => UrlScalar, { description: 'An http or https URL with a public address.' })
  url!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "The filename. By default it comes from Content-Disposition, or from the URL's path. The server adapts its extension to the type.",
  })
  filename?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The expected MIME type. If given, it must match the type of the bytes.',
  })
  mimeType?: string | null;

  @Field(() => ID, {
    nullable: true,
    description:
      'The message to attach the upload to, in the form "<channelId>:<providerMessageId>". It must belong to the same channel.',
  })
  messageId?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'For 24 hours, the same key with the same input returns the same media, and the same key with another input fails with IDEMPOTENCY_CONFLICT. A failed upload releases its key.',
  })
  idempotencyKey?: string | null;
}

@ObjectType('UploadMediaFromUrlPayload', { simpleResolvers: true })
export class UploadMediaFromUrlPayload {
  @Field(() => MediaType, { description: 'The media: READY, or PENDING while a slow upload continues.' })
  media!: Media;

  @Field(() => Boolean, { description: 'True if idempotencyKey matched an earlier upload.' })
  replayed!: boolean;
}
