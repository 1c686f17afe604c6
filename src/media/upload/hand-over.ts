import type { UploadedBytes } from '../../catalogue/uploads.js';
import { keyOfStored } from '../../inspection/stored-bytes.js';
import type { UrlSigner } from '../../links/signed-url.js';
import type { Clock } from '../../model/clock.js';
import type { MediaId } from '../../model/media.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import type { BlobStore } from '../../storage/blob-store.js';

export interface HandOverOptions {
  readonly blobs: BlobStore;
  /** Signs our own URL for providers that fetch uploads themselves; the stranger's URL is never handed on. */
  readonly urls: UrlSigner;
  readonly clock: Clock;
}

/** How long a provider may take to fetch the URL that it was handed, with a reserve. */
const PROVIDER_LINK_MS = 60 * 60 * 1000;

/**
 * The step after the bytes are stored: gives them to the provider.
 * @returns the provider's id of the media; null where it takes no uploads, and a later send call takes our URL
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

/** Deletes at the provider what this process has uploaded there in vain. */
export async function takeBack({ adapter }: ConnectedChannel, providerMediaId: string | null): Promise<void> {
  if (providerMediaId === null) return;
  await adapter.deleteMedia?.({ providerMessageId: null, providerMediaId, downloadUrl: null }, {});
}
