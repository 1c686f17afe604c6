import type { CataloguedMedia } from '../catalogue/media/media-catalogue.js';
import { LinkFault, MediagraphError } from '../model/errors.js';
import { BlobStoreError } from '../storage/blob-store.js';
import { isStored } from './delivery.js';

/**
 * @param isListed whether the provider of the media has listings
 * @throws MediagraphError MEDIA_GONE, MEDIA_NOT_READY; LinkFault
 */
export function assertServable(media: CataloguedMedia, { isListed }: { readonly isListed: boolean }): void {
  switch (media.status) {
    case 'DELETED':
    case 'EXPIRED':
      throw new MediagraphError('MEDIA_GONE', 'this media was deleted or has expired');
    case 'FAILED': {
      const { code, message, retryable } = media.failure ?? UNKNOWN_FAILURE;
      throw new LinkFault(new MediagraphError(code, message, { retryable }));
    }
    case 'PENDING':
      // The bytes of an upload that its provider is about to fetch are stored. Media that was READY before is fetched
      // again. A link is signed for READY media only, so another replica may have found this one in a listing.
      if (isStored(media) || (!media.uploaded && (media.wasReady || isListed))) return;
      throw bytesNotHere();
    case 'READY':
      if (media.uploaded && !isStored(media)) throw new LinkFault(notFound());
  }
}

const UNKNOWN_FAILURE = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'this media could not be fetched',
  retryable: false,
} as const;

/**
 * Rejects with a LinkFault for failures behind a link to READY media. The end of the media, and bytes of which no such
 * rendition can be made, are no faults of the server and pass unchanged.
 */
export function asLinkFault<Result>(work: Promise<Result>): Promise<Result> {
  return work.catch((thrown: unknown) => {
    if (!(thrown instanceof MediagraphError) || thrown instanceof LinkFault) throw thrown;
    if (thrown.code === 'MEDIA_GONE' || thrown.code === 'CONTENT_TYPE_NOT_ALLOWED') throw thrown;
    throw new LinkFault(thrown);
  });
}

/** A failed blob store as a retryable error, and any other value unchanged. */
export function translateStoreError(thrown: unknown): unknown {
  if (!(thrown instanceof BlobStoreError)) return thrown;
  const details = { retryable: true, retryAfterMs: 5_000 };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes cannot be read at the moment', details, {
    cause: thrown,
  });
}

export function notFound(): MediagraphError {
  return new MediagraphError('MEDIA_NOT_FOUND', 'this media does not exist');
}

export function bytesNotHere(): MediagraphError {
  return new MediagraphError('MEDIA_NOT_READY', 'the bytes of this media are not available yet', { retryable: true });
}
