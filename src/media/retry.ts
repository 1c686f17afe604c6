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
  /** Whether media is copied without being asked for (`mirror.mode` eager). */
  readonly mirrors: boolean;
  /** There is something new to copy. */
  readonly onDue: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Fetches FAILED media again, from the start. */
export class MediaRetry {
  constructor(private readonly options: MediaRetryOptions) {}

  /**
   * PENDING afterwards, or READY where media is fetched when it is opened. Media that is not FAILED is left as it is.
   * @throws MediagraphError MEDIA_NOT_FOUND; MEDIA_GONE where the provider no longer has it, and then it stays FAILED
   */
  async retry(tenant: TenantId, id: MediaId, options: CallOptions): Promise<CataloguedMedia> {
    const { catalogue, mirrors, upload, clock, onDue } = this.options;
    // What cannot be an id may be text that no database takes, and is not asked for.
    const media = decodeMediaId(id) && (await this.#find(tenant, id));
    if (!media)
      throw new MediagraphError('MEDIA_NOT_FOUND', 'expected the id of a media that you may see, got another');
    if (media.status !== 'FAILED') return media;
    if (media.uploaded) return upload.retry(media);
    await this.#assertNotGone(media, options);
    const isToCopy = mirrors || media.mirrored;
    const begun = await queryCatalogue(() => catalogue.retryFailed(tenant, id, { copy: isToCopy, now: dateOf(clock) }));
    if (begun && isToCopy) onDue();
    return begun ?? (await this.#find(tenant, id)) ?? media;
  }

  /** Only the provider knows; whatever else stands in the way, the retry meets again. */
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
