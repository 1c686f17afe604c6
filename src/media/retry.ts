import { queryCatalogue } from '../catalogue/catalogue-fault.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import type { TenantId } from '../model/channel.js';
import { type Clock, dateOf } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import { decodeMediaId } from '../model/ids.js';
import type { MediaId } from '../model/media.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import type { Logger } from '../telemetry/logger.js';
import { openSniffed } from './sniffed-stream.js';
import type { MediaUpload } from './upload/upload.js';

export interface MediaRetryOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly upload: Pick<MediaUpload, 'retry'>;
  /** Whether media is copied without a request (`mirror.mode` eager). */
  readonly mirrors: boolean;
  /** Called when there is new media to copy. */
  readonly onDue: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Restarts the fetching of FAILED media. */
export class MediaRetry {
  constructor(private readonly options: MediaRetryOptions) {}

  /**
   * The media is PENDING afterwards, or READY if it is fetched when a link is opened. Media that is not FAILED stays
   * unchanged.
   * @throws MediagraphError MEDIA_NOT_FOUND; MEDIA_GONE if the provider no longer has the media, which then stays
   *   FAILED
   */
  async retry(tenant: TenantId, id: MediaId, options: CallOptions): Promise<CataloguedMedia> {
    const { catalogue, mirrors, upload, clock, onDue } = this.options;
    // A malformed id may contain text that the database rejects, so the database is not queried.
    const media = decodeMediaId(id) && (await this.#find(tenant, id));
    if (!media)
      throw new MediagraphError('MEDIA_NOT_FOUND', 'expected the id of a media that you can access, got another id');
    if (media.status !== 'FAILED') return media;
    if (media.uploaded) return upload.retry(media);
    await this.#assertNotGone(media, options);
    const isToCopy = mirrors || media.mirrored;
    const begun = await queryCatalogue(() => catalogue.retryFailed(tenant, id, { copy: isToCopy, now: dateOf(clock) }));
    if (begun && isToCopy) onDue();
    return begun ?? (await this.#find(tenant, id)) ?? media;
  }

  /** Only the provider knows whether the media still exists. Any other failure will occur again in the retry itself. */
  async #assertNotGone(media: CataloguedMedia, options: CallOptions): Promise<void> {
    const channel = this.options.channels.get(media.tenant, media.channelId);
    try {
      const { body } = await openSniffed(channel, media, options);
      body.destroy();
    } catch (thrown) {
      if (options.signal?.aborted) throw thrown;
      if (!(thrown instanceof MediagraphError) || thrown.details.retryable === true) return;
      if (thrown.code === 'MEDIA_NOT_FOUND' || thrown.code === 'MEDIA_GONE')
        throw new MediagraphError('MEDIA_GONE', 'the provider no longer has this media', {}, { cause: thrown });
    }
  }

  async #find(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    return (await queryCatalogue(() => this.options.catalogue.findByIds(tenant, [id]))).get(id) ?? null;
  }
}
