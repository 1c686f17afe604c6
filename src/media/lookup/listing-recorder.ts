import { queryCatalogue } from '../../catalogue/catalogue-fault.js';
import type { Description, Listing, MediaCatalogue, Recording } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { type TenantMessageId, tenantMessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';
import type { Logger } from '../../telemetry/logger.js';

export interface ListingRecorderOptions {
  readonly catalogue: Pick<MediaCatalogue, 'recordListings' | 'recordDescriptions'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Records listings and details in the background, so that responses do not wait for it. */
export class ListingRecorder {
  readonly #recording = new Set<Promise<void>>();
  /** The running recordings by message. */
  readonly #recordingOf = new Map<TenantMessageId, Promise<void>>();

  constructor(private readonly options: ListingRecorderOptions) {}

  /** The running recording of a message's listing. */
  underway(tenant: TenantId, key: MessageKey): Promise<void> | undefined {
    return this.#recordingOf.get(tenantMessageId(tenant, key));
  }

  /** Resolves when all listings so far are recorded. */
  async settle(): Promise<void> {
    await Promise.all(this.#recording);
  }

  /**
   * Records listings in the background, or before it resolves if the caller needs the rows. If the recording fails, the
   * next query asks the provider again.
   * @throws MediagraphError a retryable INTERNAL_SERVER_ERROR, with `awaitsRecording` only
   */
  async record(
    tenant: TenantId,
    listings: readonly Listing[],
    recording: Recording,
    { awaitsRecording }: { readonly awaitsRecording: boolean },
  ): Promise<void> {
    const recorded = this.options.catalogue.recordListings(tenant, listings, recording);
    const ended = this.#inBackground(recorded);
    const names = listings.map(({ key }) => tenantMessageId(tenant, key));
    for (const name of names) this.#recordingOf.set(name, ended);
    void ended.then(() => {
      for (const name of names) if (this.#recordingOf.get(name) === ended) this.#recordingOf.delete(name);
    });
    if (!awaitsRecording) return;
    await queryCatalogue(() => recorded);
  }

  /** Records details in the background, after the listings that may contain the same media. */
  recordDescriptions(tenant: TenantId, descriptions: readonly Description[]): void {
    if (descriptions.length === 0) return;
    const { catalogue } = this.options;
    const listed = Promise.all(this.#recording);
    void this.#inBackground(
      listed.then(() => catalogue.recordDescriptions(tenant, descriptions, dateOf(this.options.clock))),
    );
  }

  #inBackground(work: Promise<void>): Promise<void> {
    const recording = work
      .catch((err: unknown) =>
        this.options.logger.warn({ err }, 'the listing or details of a provider could not be recorded'),
      )
      .finally(() => this.#recording.delete(recording));
    this.#recording.add(recording);
    return recording;
  }
}
