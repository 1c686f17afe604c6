import type { CataloguedMedia, FoundDetails, MediaCatalogue, StoredBytes } from '../catalogue/media-catalogue.js';
import { MediagraphError } from '../model/errors.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import { BlobStoreError } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { backoffMs, reasonOf } from './backoff.js';
import { openSniffed } from './sniffed-stream.js';
import { type ByteKeeping, disagreement, removeBytes, storeBytes } from './stored-bytes.js';

export interface MirrorOptions extends ByteKeeping {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly maxBytes: number;
  readonly logger: Logger;
}

const MAX_ATTEMPTS = 8;
/** About a week: as long as any provider keeps what it does not keep for good. */
const MAX_ATTEMPTS_OF_OUTAGE = 680;

/** Copies a provider's bytes into the blob store before they expire there. */
export class Mirror {
  constructor(private readonly options: MirrorOptions) {}

  /** The job behind a claimed row: it ends as READY, due again, FAILED or EXPIRED. */
  async copy(media: CataloguedMedia, owner: string, signal: AbortSignal): Promise<void> {
    const { catalogue, logger } = this.options;
    try {
      const { stored, details } = await this.#store(media, signal);
      const kept = await catalogue.finishMirror(media.tenant, media.id, owner, stored, details, new Date());
      if (kept) return;
      logger.warn({ media: media.id }, 'a copy was finished after its lease, or its media, had ended');
      await this.#discardUnlessWanted(media);
    } catch (thrown) {
      if (signal.aborted) return;
      await this.#giveUpOrRetry(media, owner, thrown);
    }
  }

  async #store(media: CataloguedMedia, signal: AbortSignal): Promise<{ stored: StoredBytes; details: FoundDetails }> {
    const { blobs, maxBytes } = this.options;
    const channel = this.#channelOf(media);
    const {
      body,
      mimeType,
      filename,
      sizeBytes: announcedBytes,
    } = await openSniffed(channel, media, { signal, job: true });
    const stored = await storeBytes(this.options, media, { body, mimeType }, { signal, maxBytes });
    // Nobody waits for these bytes: what was told of them before counts, too.
    const fault = disagreement(media, announcedBytes, stored) ?? disagreement(media, null, stored);
    if (fault === null) return { stored, details: { mimeType, filename: media.filename ?? filename } };
    await removeBytes(blobs, media);
    const { provider, id: channelId } = channel;
    throw new MediagraphError('PROVIDER_PROTOCOL', fault, { provider, channelId });
  }

  // Private: what another process goes on copying is that one's; what was deleted meanwhile nobody may have any more.
  async #discardUnlessWanted({ tenant, id }: CataloguedMedia): Promise<void> {
    const found = (await this.options.catalogue.findByIds(tenant, [id])).get(id);
    const over = !found || found.status === 'DELETED' || found.status === 'EXPIRED';
    if (over) await removeBytes(this.options.blobs, { tenant, id });
  }

  async #giveUpOrRetry(media: CataloguedMedia, owner: string, thrown: unknown): Promise<void> {
    const { catalogue, logger } = this.options;
    const { tenant, id, channelId } = media;
    const reason = reasonOf(thrown);
    const attempts = media.mirrorAttempts;
    const now = new Date();
    const dueAt = new Date(now.getTime() + backoffMs(attempts, thrown));
    const over = media.availableUntil !== null && media.availableUntil <= dueAt;
    if (!isFinal(thrown, attempts) && !over) {
      logger.warn({ err: thrown, channelId, media: id, attempts }, 'a copy is tried again');
      return catalogue.retryMirror(tenant, id, owner, { dueAt, reason });
    }
    const status = over ? 'EXPIRED' : 'FAILED';
    logger.error({ err: thrown, channelId, media: id, attempts, status }, 'a media could not be copied');
    return catalogue.failMirror(tenant, id, owner, { status, reason, now });
  }

  #channelOf(media: CataloguedMedia): ConnectedChannel {
    return this.options.channels.get(media.tenant, media.channelId);
  }
}

/** Later attempts find nothing else: the provider has no such media, refuses it, or it is larger than we keep. */
function isFinal(thrown: unknown, attempts: number): boolean {
  if (isOutage(thrown)) return attempts >= MAX_ATTEMPTS_OF_OUTAGE;
  if (attempts >= MAX_ATTEMPTS) return true;
  if (!(thrown instanceof MediagraphError)) return false;
  // Bytes may arrive seconds after their announcement, and may be cut off or mixed up on their way.
  const doubted = thrown.code === 'MEDIA_NOT_FOUND' || thrown.code === 'PROVIDER_PROTOCOL';
  return !doubted || attempts >= 3;
}

/** What passes, or is an operator's to mend, while the provider still has the bytes. */
function isOutage(thrown: unknown): boolean {
  if (thrown instanceof BlobStoreError) return true;
  if (!(thrown instanceof MediagraphError)) return false;
  return thrown.details.retryable === true || thrown.code === 'PROVIDER_CREDENTIALS';
}
