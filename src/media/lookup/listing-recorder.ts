import { queryCatalogue } from '../../catalogue/catalogue-fault.js';
import { isToCopy } from '../../catalogue/media/listed-copies.js';
import type { Description, Listing, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { formatMessageId, type MessageId } from '../../model/ids.js';
import type { Logger } from '../../telemetry/logger.js';

export interface ListingRecorderOptions {
  readonly catalogue: Pick<MediaCatalogue, 'recordListings' | 'recordDescriptions'>;
  /** There may be something new to copy. */
  readonly onToCopy: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The listings of one statement, by message. */
interface Batch {
  readonly listings: Map<MessageId, Listing>;
  readonly recorded: Promise<void>;
}

/**
 * Inserts rows for listed media. Listings that arrive while a statement of their tenant is running share its next
 * statement, so that a page that opens fifty links costs few statements.
 */
export class ListingRecorder {
  readonly #underWay = new Set<Promise<void>>();
  readonly #latest = new Map<TenantId, Promise<void>>();
  readonly #waiting = new Map<TenantId, Batch>();

  constructor(private readonly options: ListingRecorderOptions) {}

  /**
   * Resolves when the media of these listings have rows, including details that were requested since.
   * @throws MediagraphError a retryable INTERNAL_SERVER_ERROR
   */
  async record(tenant: TenantId, listings: readonly Listing[]): Promise<void> {
    if (listings.length === 0) return;
    await queryCatalogue(() => this.#inNextBatch(tenant, listings));
  }

  /** As {@link record}, for callers that do not wait. If it fails, the next read lists the message again. */
  recordInBackground(tenant: TenantId, listings: readonly Listing[]): void {
    if (listings.length > 0) this.#inBackground(this.#inNextBatch(tenant, listings));
  }

  /** Records descriptions of media that have rows, in the background. */
  recordDescriptions(tenant: TenantId, descriptions: readonly Description[]): void {
    if (descriptions.length === 0) return;
    const { catalogue, clock } = this.options;
    this.#inBackground(catalogue.recordDescriptions(tenant, descriptions, dateOf(clock)));
  }

  /** Resolves when everything that was to be recorded so far is recorded, or could not be. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#underWay, ...this.#latest.values()]);
  }

  #inNextBatch(tenant: TenantId, listings: readonly Listing[]): Promise<void> {
    const batch = this.#waiting.get(tenant) ?? this.#startBatch(tenant);
    for (const listing of listings) batch.listings.set(formatMessageId(listing.key), listing);
    return batch.recorded;
  }

  #startBatch(tenant: TenantId): Batch {
    const listings = new Map<MessageId, Listing>();
    const before = this.#latest.get(tenant) ?? Promise.resolve();
    const recorded = before
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(tenant);
        return this.#write(tenant, [...listings.values()]);
      });
    const batch = { listings, recorded };
    this.#waiting.set(tenant, batch);
    this.#latest.set(tenant, recorded);
    const forget = () => {
      if (this.#latest.get(tenant) === recorded) this.#latest.delete(tenant);
    };
    recorded.then(forget, forget);
    return batch;
  }

  async #write(tenant: TenantId, listings: readonly Listing[]): Promise<void> {
    const { catalogue, onToCopy, clock } = this.options;
    const now = dateOf(clock);
    await catalogue.recordListings(tenant, listings, now);
    if (listings.some((listing) => listing.media.some((media) => isToCopy(listing, media)))) onToCopy();
    const described = listings.flatMap(({ media }) => media.filter(({ described }) => described));
    if (described.length === 0) return;
    const descriptions = described.map((media) => ({ id: media.id, details: media }));
    await catalogue.recordDescriptions(tenant, descriptions, now);
  }

  #inBackground(work: Promise<void>): void {
    const recording = work
      .catch((err: unknown) =>
        this.options.logger.warn({ err }, 'the listing or details of a provider could not be recorded'),
      )
      .finally(() => this.#underWay.delete(recording));
    this.#underWay.add(recording);
  }
}
