import type { UploadedBytes } from '../../catalogue/uploads.js';
import { keyOfStored } from '../../inspection/stored-bytes.js';
import type { UrlSigner } from '../../links/signed-url.js';
import type { Clock } from '../../model/clock.js';
import type { MediaId } from '../../model/media.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import type { BlobStore } from '../../storage/blob-store.js';

export interface HandOverOptions {
  readonly blobs: BlobStore;
  /** Signs this server's URL for providers that download uploads. The caller's URL is never passed on. */
  readonly urls: UrlSigner;
  readonly clock: Clock;
}

/** The maximum time for a provider to download the URL, with a reserve. */
const PROVIDER_LINK_MS = 60 * 60 * 1000;

/**
 * Passes the stored bytes to the provider.
 * @returns the provider's id of the media; null if it does not accept uploads, and its send call takes this server's
 *   URL
 */
export async function handOver(
  { blobs, urls, clock }: HandOverOptions,
  { adapter }: ConnectedChannel,
  { id, bytes }: { readonly id: MediaId; readonly bytes: UploadedBytes },
  signal: AbortSignal,
): Promise<string | null> {
  const { stored, mimeType, filename } = bytes;
  if (adapter.uploadMedia) {
    const body = await blobs.open(keyOfStored(stored), { signal });
    const source = { body, sizeBytes: stored.sizeBytes, mimeType, filename };
    return (await adapter.uploadMedia(source, { signal })).providerMediaId;
  }
  if (adapter.uploadMediaFromUrl) {
    const expiresAt = urls.expiry(clock.now(), PROVIDER_LINK_MS);
    const url = urls.sign({ mediaId: id, filename, disposition: 'inline', expiresAt });
    return (await adapter.uploadMediaFromUrl({ url, mimeType }, { signal })).providerMediaId;
  }
  return null;
}

/** Deletes a file at the provider that this process uploaded without success. */
export async function takeBack({ adapter }: ConnectedChannel, providerMediaId: string | null): Promise<void> {
  if (providerMediaId === null) return;
  await adapter.deleteMedia?.({ providerMessageId: null, providerMediaId, downloadUrl: null }, {});
}
