import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asCatalogueFault } from '../catalogue/catalogue-fault.js';
import type { Deletions } from '../catalogue/deletions.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media-catalogue.js';
import { removeBytes } from '../inspection/stored-bytes.js';
import type { TenantId } from '../model/channel.js';
import { type Clock, dateOf } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { DeletionScope, Media, MediaId } from '../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import type { MediaLookup } from './lookup/lookup.js';

export interface MediaDeletionOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly deletions: Deletions;
  readonly blobs: BlobStore;
  /** Resolves when no replica remembers the media any more. */
  readonly forget: (media: CataloguedMedia) => Promise<void>;
  /** Has the CDN drop what it has of a media; null: there is none. */
  readonly purge: ((tag: MediaId) => Promise<void>) | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DeletionOutcome {
  /** DELETED. */
  readonly media: CataloguedMedia;
  readonly scope: DeletionScope;
}

/** What one deletion may take, its provider's answer included; afterwards the sweep takes it for dead. */
const LEASE_MS = 60_000;
/** How often, and how long, a deletion of another caller is waited for. */
const POLL_MS = 100;
const PATIENCE_MS = 20_000;

/**
 * Deletes media: the intent is noted, the provider asked, the status moved, every replica and the CDN forget it, the bytes
 * are removed, in this order.
 */
export class MediaDeletion {
  constructor(private readonly options: MediaDeletionOptions) {}

  /**
   * Deleting twice is the same as once.
   * @throws MediagraphError MEDIA_NOT_FOUND; a retryable PROVIDER_… where the provider refuses or does not answer, and
   *   then nothing has changed
   */
  async delete(tenant: TenantId, id: MediaId, lookup: MediaLookup, options: CallOptions): Promise<DeletionOutcome> {
    // An intent needs a row.
    const [media] = await lookup.byIds(tenant, [id], { ...options, awaitsRecording: true });
    if (media instanceof Error) throw media;
    if (!media)
      throw new MediagraphError('MEDIA_NOT_FOUND', 'expected the id of a media that you may see, got another');
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const owner = randomUUID();
      const intended = await this.#intend(media, owner);
      if (intended) return this.#carryOut(intended, owner, options);
      const found = await this.#find(media);
      if (!found) throw asCatalogueFault(new Error('a listed media could not be recorded'));
      if (found.status === 'DELETED') return this.#alreadyDeleted(found);
      if (performance.now() > until) throw busy();
      await sleep(POLL_MS, undefined, options);
    }
  }

  /** Goes on with a deletion that a crash interrupted; the caller holds its claim. A refusal withdraws it. */
  async resume(media: CataloguedMedia, owner: string, options: CallOptions): Promise<void> {
    const { channelId, id } = media;
    try {
      await this.#carryOut(media, owner, options);
    } catch (err) {
      this.options.logger.warn({ err, channelId, media: id }, 'an interrupted deletion could not be finished');
    }
  }

  /**
   * Some time after a deletion, the CDN is told of it (again): an answer that was on its way meanwhile may have reached it
   * after it was told before. @returns whether that is done
   */
  async purge(media: CataloguedMedia): Promise<boolean> {
    const isTold = await this.#tellCdn(media);
    if (isTold) await this.options.deletions.purged(media.tenant, media.id);
    return isTold;
  }

  /** Removes the bytes of what is deleted. */
  async finish(media: CataloguedMedia): Promise<void> {
    await removeBytes(this.options.blobs, media);
    await this.options.deletions.bytesRemoved(media.tenant, media.id);
  }

  async #tellCdn({ id }: CataloguedMedia): Promise<boolean> {
    const { purge, logger } = this.options;
    try {
      await purge?.(id);
      return true;
    } catch (err) {
      // The media is deleted all the same, and the sweep tells the CDN again.
      logger.error({ err, media: id }, 'the CDN could not be told of a deletion');
      return false;
    }
  }

  async #carryOut(media: CataloguedMedia, owner: string, options: CallOptions): Promise<DeletionOutcome> {
    const { channels, deletions } = this.options;
    const { tenant, id } = media;
    let scope: DeletionScope;
    try {
      scope = await deleteAtProvider(channels.get(tenant, media.channelId), media, options);
    } catch (thrown) {
      await deletions.withdraw(tenant, id, owner);
      throw asRefusal(thrown);
    }
    const completion = { scope, purge: this.options.purge !== null, now: dateOf(this.options.clock) };
    const deleted = await this.#asked(() => deletions.complete(tenant, id, owner, completion));
    if (!deleted) throw busy();
    await this.options.forget(deleted);
    await this.#tellCdn(deleted);
    await this.finish(deleted);
    return { media: deleted, scope };
  }

  // Private: also what an earlier deletion left, since this one's answer promises that the bytes are gone.
  async #alreadyDeleted(media: CataloguedMedia): Promise<DeletionOutcome> {
    await this.options.forget(media);
    await this.#tellCdn(media);
    if (media.hasBytesLeft) await this.finish(media);
    return { media, scope: media.deletionScope ?? 'LOCAL' };
  }

  #intend({ tenant, id }: Media, owner: string): Promise<CataloguedMedia | null> {
    const claim = { owner, now: dateOf(this.options.clock), leaseMs: LEASE_MS };
    return this.#asked(() => this.options.deletions.intend(tenant, id, claim));
  }

  async #find({ tenant, id }: Media): Promise<CataloguedMedia | null> {
    const found = await this.#asked(() => this.options.catalogue.findByIds(tenant, [id]));
    return found.get(id) ?? null;
  }

  async #asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }
}

async function deleteAtProvider(
  { adapter }: ConnectedChannel,
  media: CataloguedMedia,
  options: CallOptions,
): Promise<DeletionScope> {
  // What was uploaded and kept here has no name there.
  if (!adapter.deleteMedia || media.providerMediaId === null) return 'LOCAL';
  await adapter.deleteMedia(media, options);
  return 'PROVIDER';
}

/** Nothing has changed, so whatever it was, it may be tried again. */
function asRefusal(thrown: unknown): unknown {
  if (!(thrown instanceof MediagraphError)) return thrown;
  return new MediagraphError(thrown.code, thrown.message, { ...thrown.details, retryable: true }, { cause: thrown });
}

function busy(): MediagraphError {
  const details = { retryable: true, retryAfterMs: 1_000 };
  return new MediagraphError('MEDIA_NOT_READY', 'this media is being deleted by another request', details);
}
