import type { UrlSigner } from '../../links/signed-url.js';
import type { DeletionOutcome } from '../../media/delete.js';
import type { UploadOutcome, UploadRequest } from '../../media/upload/upload.js';
import type { Caller, Scope } from '../../model/caller.js';
import { MediagraphError } from '../../model/errors.js';
import type { Media, MediaId, MessageKey } from '../../model/media.js';
import type { ChannelDirectory } from '../../providers/channel-directory.js';
import type { Derived } from '../../renditions/renditions.js';
import type { ExecutionBudget } from '../execution/execution-budget.js';
import type { CachePolicy } from '../transport/cache-policy.js';
import type { MediaLoaders } from './loaders.js';
import type { MessageIds } from './message-source.js';

/** The mutations, bound to the caller's tenant. */
export interface MediaMutations {
  upload(request: UploadRequest): Promise<UploadOutcome>;
  delete(id: MediaId): Promise<DeletionOutcome>;
  /** @throws MediagraphError as `MediaRetry.retry` */
  retry(id: MediaId): Promise<Media>;
}

/** Which renditions can be made. */
export interface RenditionsOfMedia {
  makes(rendition: Derived, mimeType: string | null): boolean;
  /** Renditions can be made of media whose bytes are not stored yet. */
  readonly fromProvider: boolean;
}

/** The context of one operation. Its loaders serve one tenant and end with the operation. */
export interface GraphQLContext {
  readonly caller: Caller;
  readonly requestId: string;
  readonly loaders: MediaLoaders;
  readonly cache: CachePolicy;
  readonly budget: ExecutionBudget;
  readonly mutations: MediaMutations;
  /** Changes of the media of these messages, until the iterator is returned. @throws MediagraphError as `MediaWatch.watch` */
  watch(messages: readonly MessageKey[]): Promise<AsyncIterable<Media>>;
  readonly channels: ChannelDirectory;
  readonly urls: UrlSigner;
  readonly renditions: RenditionsOfMedia;
  /** `delivery.bindToOrigins` */
  readonly bindsToOrigins: boolean;
  /** Milliseconds. The clock is read once per operation, so that all links of an answer expire together. */
  readonly now: number;
  /** `upload.maxBytes` */
  readonly maxUploadBytes: number;
  /** `federation.messageIds` */
  readonly messageIds: MessageIds;
}

/** @throws MediagraphError FORBIDDEN */
export function requireScope(context: GraphQLContext, scope: Scope): void {
  if (context.caller.scopes.has(scope)) return;
  throw new MediagraphError('FORBIDDEN', `expected credentials with the scope ${scope}`);
}
