import { GraphQLDateTimeISO, GraphQLSafeInt } from 'graphql-scalars';
import { Arg, Ctx, Directive, FieldResolver, Float, ID, Int, Query, Resolver, Root } from 'type-graphql';
import { nameInUrl } from '../../links/media-name.js';
import type { Disposition } from '../../links/signed-url.js';
import { MediagraphError } from '../../model/errors.js';
import type { MediaKind as Kind, Media, MediaDetails, MediaFailure, MediaFault } from '../../model/media.js';
import { MAX_STILL_SIZE, ORIGINAL, PLAYABLE, type Rendition, stillOf } from '../../model/rendition.js';
import { kindOfMimeType } from '../../model/text/mime-type.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import type { Derived } from '../../renditions/renditions.js';
import { MediaChannelType } from '../schema/channel-type.js';
import {
  DISPOSITIONS,
  FITS,
  MediaDisposition,
  MediaKind,
  MediaPreference,
  MediaThumbnailFit,
} from '../schema/enums.js';
import { MediaFailureType } from '../schema/failure-type.js';
import { MediaType } from '../schema/media-type.js';
import { MessageType } from '../schema/message-type.js';
import { UrlScalar } from '../schema/url-scalar.js';
import { type GraphQLContext, requireScope } from './context.js';
import { MessageSource } from './message-source.js';

const MIN_EXPIRES_IN_S = 60;
const MAX_EXPIRES_IN_S = 604_800;

type Eventually<Value> = Value | Promise<Value>;

@Resolver(() => MediaType)
export class MediaResolver {
  @Directive('@requiresScopes(scopes: [["media:read"]])')
  @Directive('@cacheControl(maxAge: 30, scope: PRIVATE)')
  @Query(() => MediaType, {
    nullable: true,
    description: 'One media by id. Null if it does not exist or the caller has no access to it.',
  })
  media(@Arg('id', () => ID) id: string, @Ctx() context: GraphQLContext): Promise<Media | null> {
    requireScope(context, 'media:read');
    return context.loaders.mediaById.load(id);
  }

  @FieldResolver(() => MediaKind)
  kind(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<Kind> {
    return kindOf(media, context);
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'The MIME type with its parameters. Null if it is not known yet.',
  })
  mimeType(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<string | null> {
    return detail('mimeType', media, context);
  }

  @FieldResolver(() => GraphQLSafeInt, { nullable: true })
  sizeBytes(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<number | null> {
    return detail('sizeBytes', media, context);
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'The SHA-256 digest of the bytes in lower-case hexadecimal.',
  })
  sha256(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<string | null> {
    return detail('sha256', media, context);
  }

  @FieldResolver(() => String, { nullable: true })
  filename(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<string | null> {
    return detail('filename', media, context);
  }

  @FieldResolver(() => String, { nullable: true })
  caption(@Root() media: Media, @Ctx() context: GraphQLContext): Eventually<string | null> {
    return detail('caption', media, context);
  }

  @FieldResolver(() => UrlScalar, {
    nullable: true,
    description:
      'A signed URL that a browser can open without credentials. Null unless status is READY. expiresIn is the lifetime in seconds, from 60 to 604800. The URL never outlives expiresAt.',
  })
  url(
    @Arg('disposition', () => MediaDisposition, { defaultValue: MediaDisposition.INLINE })
    disposition: keyof typeof MediaDisposition,
    @Arg('expiresIn', () => Int, { nullable: true }) expiresIn: number | null,
    @Arg('prefer', () => MediaPreference, {
      defaultValue: MediaPreference.ORIGINAL,
      description: 'PLAYABLE returns sound that every browser can play.',
    })
    prefer: keyof typeof MediaPreference,
    @Root() media: Media,
    @Ctx() context: GraphQLContext,
  ): Eventually<string | null> {
    if (media.status !== 'READY') return null;
    const expiresAt = context.urls.expiry(context.now, ttlMs(expiresIn), media.expiresAt);
    const link = { media, disposition: DISPOSITIONS[disposition], expiresAt };
    if (prefer === 'ORIGINAL') return sign({ ...link, rendition: ORIGINAL }, context);
    return ifRenderable(PLAYABLE, media, context, (isRenderable) =>
      sign({ ...link, rendition: isRenderable ? PLAYABLE : ORIGINAL }, context),
    );
  }

  @FieldResolver(() => UrlScalar, {
    nullable: true,
    description:
      'A signed URL of a scaled still image: the picture, the first frame of a video, or the first page of a PDF. Null if the server cannot render one. width and height are 1 to 2048. The server rounds them up to 64, 160, 320, 640, 1280 or 2048.',
  })
  thumbnailUrl(
    @Arg('width', () => Int, { defaultValue: 320 }) width: number,
    @Arg('height', () => Int, { nullable: true }) height: number | null | undefined,
    @Arg('fit', () => MediaThumbnailFit, { defaultValue: MediaThumbnailFit.COVER })
    fit: keyof typeof MediaThumbnailFit,
    @Root() media: Media,
    @Ctx() context: GraphQLContext,
  ): Eventually<string | null> {
    const stillHeight = height === null || height === undefined ? null : checkedSize('height', height);
    const still = stillOf(checkedSize('width', width), stillHeight, FITS[fit]);
    if (media.status !== 'READY') return null;
    const expiresAt = context.urls.expiry(context.now, undefined, media.expiresAt);
    return ifRenderable(still, media, context, (isRenderable) =>
      isRenderable ? sign({ media, disposition: 'inline', rendition: still, expiresAt }, context) : null,
    );
  }

  @FieldResolver(() => Int, {
    nullable: true,
    description: 'The width of the displayed picture in pixels. Null if it is not known yet.',
  })
  width(@Root() media: Media): number | null {
    return media.measures?.width ?? null;
  }

  @FieldResolver(() => Int, {
    nullable: true,
    description: 'The height of the displayed picture in pixels. Null if it is not known yet.',
  })
  height(@Root() media: Media): number | null {
    return media.measures?.height ?? null;
  }

  @FieldResolver(() => Float, {
    nullable: true,
    description: 'The duration of sound or video in seconds. Null if it is not known yet.',
  })
  durationSeconds(@Root() media: Media): number | null {
    return media.measures?.durationSeconds ?? null;
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'A ThumbHash in Base64, to display as a placeholder while the picture loads.',
  })
  thumbHash(@Root() media: Media): string | null {
    return media.measures?.thumbHash ?? null;
  }

  @FieldResolver(() => Int, {
    nullable: true,
    description: 'The number of pages of a PDF. Null for other files and for a PDF that the server cannot read.',
  })
  pageCount(@Root() media: Media): number | null {
    return media.measures?.pageCount ?? null;
  }

  @FieldResolver(() => Boolean, {
    nullable: true,
    description: 'True if the provider reports a voice note. Null if the provider does not report it.',
  })
  voice(@Root() media: Media): boolean | null {
    return media.voice ?? null;
  }

  @FieldResolver(() => GraphQLDateTimeISO, {
    nullable: true,
    description: 'The time of the last change of the catalogue entry. Null if the media is known only from a listing.',
  })
  updatedAt(@Root() media: Media): Date | null {
    return media.updatedAt ?? null;
  }

  @FieldResolver(() => GraphQLDateTimeISO, {
    nullable: true,
    description: 'The time when the sender deleted the message (WhatsApp).',
  })
  revokedAt(@Root() media: Media): Date | null {
    return media.revokedAt ?? null;
  }

  @FieldResolver(() => MediaFailureType, {
    nullable: true,
    description: 'The reason for the status FAILED. Null for every other status.',
  })
  failure(@Root() media: Media, @Ctx() context: GraphQLContext): MediaFailure | null {
    if (media.status !== 'FAILED') return null;
    if (media.failure) return media.failure;
    return { ...(media.fault ?? UNKNOWN_FAULT), at: media.updatedAt ?? new Date(context.now) };
  }

  @FieldResolver(() => GraphQLDateTimeISO, {
    nullable: true,
    description: 'The time when the URL that url returns without arguments expires.',
  })
  urlExpiresAt(@Root() media: Media, @Ctx() context: GraphQLContext): Date | null {
    return media.status === 'READY' ? context.urls.expiry(context.now, undefined, media.expiresAt) : null;
  }

  @FieldResolver(() => MediaChannelType)
  channel(@Root() media: Media, @Ctx() context: GraphQLContext): ConnectedChannel {
    return context.channels.get(context.caller.tenant, media.channelId);
  }

  @FieldResolver(() => MessageType, { nullable: true })
  message(@Root() { channelId, providerMessageId }: Media, @Ctx() context: GraphQLContext): MessageSource | null {
    if (providerMessageId === null) return null;
    return MessageSource.fromKey({ channelId, providerMessageId }, context.messageIds);
  }
}

/** For rows of earlier versions, which recorded no fault. */
const UNKNOWN_FAULT = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'this media could not be fetched',
  retryable: true,
} as const satisfies MediaFault;

interface Link {
  readonly media: Media;
  readonly rendition: Rendition;
  readonly disposition: Disposition;
  readonly expiresAt: Date;
}

function sign({ media, ...granted }: Link, { urls, bindsToOrigins, budget }: GraphQLContext): string {
  const filename = nameInUrl(media);
  return budget.countText(urls.sign({ mediaId: media.id, filename, boundToOrigins: bindsToOrigins, ...granted }));
}

/** Answers by whether a rendition can be made. That depends on the MIME type, which may need a call to the provider. */
function ifRenderable<Result>(
  rendition: Derived,
  media: Media,
  context: GraphQLContext,
  answer: (isRenderable: boolean) => Result,
): Eventually<Result> {
  const { renditions } = context;
  // For bytes that were inspected, the result is recorded. For others, the type decides.
  if (rendition.kind === 'still' && media.measures?.still === false) return answer(false);
  const isStored = 'stored' in media && media.stored !== null;
  if (!isStored && !renditions.fromProvider) return answer(false);
  const mimeType = detail('mimeType', media, context);
  if (mimeType instanceof Promise) return mimeType.then((described) => answer(renditions.makes(rendition, described)));
  return answer(renditions.makes(rendition, mimeType));
}

function checkedSize(name: string, size: number): number {
  if (size >= 1 && size <= MAX_STILL_SIZE) return size;
  throw new MediagraphError('BAD_USER_INPUT', `expected ${name} between 1 and ${MAX_STILL_SIZE} pixels, got ${size}`);
}

/** The kind by the provider's message type, else by the MIME type, else OTHER. */
export function kindOf(media: Media, context: GraphQLContext): Eventually<Kind> {
  if (media.kind !== null) return media.kind;
  const byMimeType = kindOfMimeType(media.mimeType) ?? 'OTHER';
  if (!context.loaders.canDescribe(media, 'kind')) return byMimeType;
  return context.loaders.mediaDetails.load(media).then(({ kind }) => kind ?? byMimeType);
}

/** A detail from the listing, else from the provider's description if the adapter has one. */
function detail<Name extends keyof MediaDetails>(
  name: Name,
  media: Media,
  context: GraphQLContext,
): Eventually<MediaDetails[Name]> {
  if (media[name] !== null || !context.loaders.canDescribe(media, name)) return media[name];
  return context.loaders.mediaDetails.load(media).then((details) => details[name]);
}

function ttlMs(expiresIn: number | null | undefined): number | undefined {
  if (expiresIn === null || expiresIn === undefined) return undefined;
  if (expiresIn < MIN_EXPIRES_IN_S || expiresIn > MAX_EXPIRES_IN_S) {
    throw new MediagraphError(
      'BAD_USER_INPUT',
      `expected expiresIn between ${MIN_EXPIRES_IN_S} and ${MAX_EXPIRES_IN_S} seconds, got ${expiresIn}`,
    );
  }
  return expiresIn * 1000;
}
