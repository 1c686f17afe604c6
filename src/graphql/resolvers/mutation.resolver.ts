import { Arg, Ctx, Directive, Mutation, Resolver } from 'type-graphql';
import type { DeletionOutcome } from '../../media/delete.js';
import type { UploadOutcome } from '../../media/upload/upload.js';
import { DeleteMediaInput, DeleteMediaPayload } from '../schema/deletion-types.js';
import { RetryMediaInput, RetryMediaPayload } from '../schema/retry-types.js';
import { UploadMediaFromUrlInput, UploadMediaFromUrlPayload } from '../schema/upload-types.js';
import { type GraphQLContext, requireScope } from './context.js';

@Resolver()
export class MutationResolver {
  @Directive('@tag(name: "media-write")')
  @Directive('@requiresScopes(scopes: [["media:write"]])')
  @Mutation(() => UploadMediaFromUrlPayload, {
    description:
      'Downloads a file, stores it, and passes it to the provider if the provider accepts uploads. Responds when the media is READY, or after upload.respondWithin with the status PENDING while the upload continues.',
  })
  async uploadMediaFromUrl(
    @Arg('input', () => UploadMediaFromUrlInput) input: UploadMediaFromUrlInput,
    @Ctx() context: GraphQLContext,
  ): Promise<UploadOutcome> {
    requireScope(context, 'media:write');
    const { channelId, url, filename = null, mimeType = null, messageId = null, idempotencyKey = null } = input;
    const request = { channelId, url, filename, mimeType, messageId, idempotencyKey };
    const outcome = await context.mutations.upload(request);
    clearLoaders(context);
    return outcome;
  }

  @Directive('@tag(name: "media-delete")')
  @Directive('@requiresScopes(scopes: [["media:delete"]])')
  @Mutation(() => DeleteMediaPayload, {
    description:
      'Deletes the media at the provider, if the provider supports deletion, and in this server. After the response, its links answer 410 and no query returns it. Deleting media twice has the same result as deleting it once. An error changes nothing.',
  })
  async deleteMedia(
    @Arg('input', () => DeleteMediaInput) { id }: DeleteMediaInput,
    @Ctx() context: GraphQLContext,
  ): Promise<DeletionOutcome> {
    requireScope(context, 'media:delete');
    const outcome = await context.mutations.delete(id);
    clearLoaders(context);
    return outcome;
  }

  @Directive('@tag(name: "media-write")')
  @Directive('@requiresScopes(scopes: [["media:write"]])')
  @Mutation(() => RetryMediaPayload, {
    description:
      'Starts a new attempt to fetch FAILED media. It does not change media with another status. If the provider no longer has the media, the mutation fails with MEDIA_GONE and the media stays FAILED.',
  })
  async retryMedia(
    @Arg('input', () => RetryMediaInput) { id }: RetryMediaInput,
    @Ctx() context: GraphQLContext,
  ): Promise<RetryMediaPayload> {
    requireScope(context, 'media:write');
    const media = await context.mutations.retry(id);
    clearLoaders(context);
    return { media };
  }
}

/** Clears the loaders, since a mutation changes what they have loaded. */
function clearLoaders({ loaders }: GraphQLContext): void {
  loaders.mediaByMessage.clearAll();
  loaders.mediaById.clearAll();
}
