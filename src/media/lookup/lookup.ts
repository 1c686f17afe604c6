import { asCatalogueFault, inTime } from '../../catalogue/catalogue-fault.js';
import type { Description, Listing, MediaCatalogue, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { decodeMediaId, formatMessageId, type MessageId } from '../../model/ids.js';
import {
  type Media,
  type MediaDetails,
  type MediaId,
  type MessageKey,
  type ProviderMedia,
  UNKNOWN_DETAILS,
} from '../../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import type { CallOptions, ProviderCallAllowance } from '../../providers/provider-adapter.js';
import type { WorkMetrics } from '../../telemetry/instruments/work-metrics.js';
import type { Logger } from '../../telemetry/logger.js';
import { mediaOf } from '../media-of.js';
import { asOf, endOfListedRetention, type Retention } from '../retention.js';
import { isKnown } from './freshness.js';
import {
  asGivenOut,
  isAnnounced,
  isCatalogued,
  isOfMessage,
  isStored,
  knownMedia,
  mergeListing,
  mustBeRecorded,
  visibleMedia,
} from './known-media.js';
import { ListingMemory } from './listing-memory.js';
import { ListingRecorder } from './listing-recorder.js';
import { askPerChannel, askWithin } from './per-channel.js';

export interface MediaLookupOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  /** For writes that no caller waits for. */
  readonly backgroundCatalogue: Pick<MediaCatalogue, 'recordListings' | 'recordDescriptions'>;
  readonly retention: Pick<Retention, 'of'>;
  /** The listed media that get a job which copies them. */
  readonly copies: Listing['copies'];
  /** There may be something new to copy. */
  readonly onToCopy: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'messagesLookedUp'>;
}

/** Options that limit a look-up. */
export interface LookupOptions extends CallOptions {
  /** Whether to resolve only after the listing is recorded. */
  readonly awaitsRecording?: boolean;
  /** The allowance for provider calls; absent if it is unlimited. */
  readonly calls?: ProviderCallAllowance;
}

/** null if the catalogue is unavailable. */
type Records = ReadonlyMap<MessageId, MessageRecord> | null;

/**
 * Finds the media of messages, and their details. Results are aligned with the keys. An Error fails only its own item.
 */
export class MediaLookup {
  readonly #memory = new ListingMemory();
  /** For callers that wait for the rows. */
  readonly #recorder: ListingRecorder;
  readonly #backgroundRecorder: ListingRecorder;

  constructor(private readonly options: MediaLookupOptions) {
    this.#recorder = new ListingRecorder(options);
    this.#backgroundRecorder = new ListingRecorder({ ...options, catalogue: options.backgroundCatalogue });
  }

  /**
   * Keys must be distinct. One statement reads all of them from the catalogue. If the catalogue is not sufficient for a
   * key, its provider is asked at most once. While the catalogue is unavailable, providers that have listings are still
   * asked.
   */
  async byMessages(
    tenant: TenantId,
    keys: readonly MessageKey[],
    options: LookupOptions,
  ): Promise<Array<readonly Media[] | Error>> {
    const records = await this.#recordsOf(tenant, keys);
    const now = dateOf(this.options.clock);
    return askPerChannel(this.options.channels, tenant, keys, async (channel, ofChannel) => {
      const known = ofChannel.map((key) => records?.get(formatMessageId(key)) ?? null);
      if (!channel.adapter.listMedia) {
        this.#count(records, ofChannel.length, 0);
        if (records === null) throw asCatalogueFault(null);
        return known.map((record) => visibleMedia(record, now));
      }
      const remembered = ofChannel.map((key) => this.#memory.find(tenant, key));
      const isUnknown = (index: number) => !isKnown(known[index] ?? null, remembered[index] ?? null, now);
      const unknown = ofChannel.filter((_, index) => isUnknown(index));
      this.#count(records, ofChannel.length, unknown.length);
      const listed = await this.#list(channel, unknown, records, options);
      if (options.awaitsRecording) {
        const fromMemory = remembered.flatMap((listing, index) => (listing && !isUnknown(index) ? [listing] : []));
        await this.#recorder.record(tenant, fromMemory);
      }
      return ofChannel.map(
        (key, index) => listed.get(key) ?? knownMedia(known[index] ?? null, remembered[index] ?? null, now),
      );
    });
  }

  /**
   * Finds media in the catalogue, or in the provider's listing of the message that the id contains. The id grants no
   * access: the provider's media id inside it is searched in the listing and never sent to the provider. Returns null
   * for an id that is malformed, unknown and not listed, or of another tenant's channel.
   */
  async byIds(tenant: TenantId, ids: readonly MediaId[], options: LookupOptions): Promise<Array<Media | null | Error>> {
    const { channels, catalogue } = this.options;
    const parts = ids.map((id) => {
      const decoded = decodeMediaId(id);
      return decoded && channels.find(tenant, decoded.channelId) ? decoded : null;
    });
    const known = await this.#whileAvailable(() =>
      catalogue.findByIds(
        tenant,
        ids.filter((_, index) => parts[index]),
      ),
    );
    const unknown = parts.filter((_, index) => !known?.has(ids[index] ?? ''));
    const messages = new Map(unknown.filter(isOfMessage).map((part) => [formatMessageId(part), part]));
    const listings = messages.size > 0 ? await this.byMessages(tenant, [...messages.values()], options) : [];
    const now = dateOf(this.options.clock);
    const byMessage = new Map([...messages.keys()].map((message, index) => [message, listings[index] ?? []]));
    const media = ids.map((id, index) => {
      const part = parts[index] ?? null;
      const catalogued = known?.get(id);
      const remembered = isOfMessage(part) ? this.#memory.find(tenant, part) : null;
      if (catalogued) return asGivenOut(asOf(catalogued, now), remembered, now);
      // Only the catalogue contains uploads.
      if (known === null && part && !isOfMessage(part)) return asCatalogueFault(null);
      const listing = isOfMessage(part) ? byMessage.get(formatMessageId(part)) : null;
      if (listing instanceof Error) return listing;
      return listing?.find((media) => media.id === id) ?? null;
    });
    return this.#orNewRows(
      tenant,
      media,
      parts.map((part, index) => (isOfMessage(part) ? (ids[index] ?? null) : null)),
    );
  }

  /**
   * Looks again for rows of media that no listing contains: another process may have recorded and deleted the media after
   * the first look-up and before the listing.
   * @param ids those of listed messages, at the places of their media
   */
  async #orNewRows(
    tenant: TenantId,
    media: ReadonlyArray<Media | null | Error>,
    ids: ReadonlyArray<MediaId | null>,
  ): Promise<Array<Media | null | Error>> {
    const missing = ids.flatMap((id, index) => (id !== null && isMissing(media[index]) ? [id] : []));
    if (missing.length === 0) return [...media];
    const rows = await this.#whileAvailable(() => this.options.catalogue.findByIds(tenant, missing));
    const now = dateOf(this.options.clock);
    return media.map((found, index) => {
      const id = ids[index] ?? null;
      // A provider that no longer lists a media does not tell whether it has a row.
      if (rows === null && found === null && id !== null) return asCatalogueFault(null);
      const row = isMissing(found) ? rows?.get(id ?? '') : undefined;
      return row ? asOf(row, now) : found;
    });
  }

  /**
   * Ensures that a listed media has a row: from its remembered listing, or by listing the message again. It has no effect
   * on media without a listing.
   * @throws MediagraphError as the provider's listing; a retryable INTERNAL_SERVER_ERROR if the catalogue is
   *   unavailable
   */
  async record(tenant: TenantId, id: MediaId, options: CallOptions): Promise<void> {
    const parts = decodeMediaId(id);
    if (!isOfMessage(parts)) return;
    const remembered = this.#memory.find(tenant, parts);
    if (remembered?.media.some((media) => media.id === id)) return this.#recorder.record(tenant, [remembered]);
    const [media] = await this.byIds(tenant, [id], { ...options, awaitsRecording: true });
    if (media instanceof Error) throw media;
  }

  /**
   * Ensures that media which this process has listed for these messages has rows.
   * @throws MediagraphError a retryable INTERNAL_SERVER_ERROR
   */
  async recordListed(tenant: TenantId, keys: readonly MessageKey[]): Promise<void> {
    const listings = keys.map((key) => this.#memory.find(tenant, key)).filter((listing) => listing !== null);
    await this.#recorder.record(tenant, listings);
  }

  /** The messages of the tenant's channels that have these provider message ids. */
  async byProviderMessageIds(tenant: TenantId, ids: readonly string[]): Promise<Array<readonly MessageKey[] | Error>> {
    const { catalogue, channels } = this.options;
    try {
      const found = await inTime(catalogue.findKeysByProviderMessageIds(tenant, ids));
      return ids.map((id) => {
        const catalogued = found.get(id)?.map(({ channelId }) => channelId) ?? [];
        return [...new Set([...catalogued, ...this.#memory.channelsOf(tenant, id)])]
          .filter((channelId) => channels.find(tenant, channelId))
          .map((channelId) => ({ channelId, providerMessageId: id }));
      });
    } catch (thrown) {
      return ids.map(() => asCatalogueFault(thrown));
    }
  }

  /** Requests unknown details from providers. Details that the provider does not know stay unknown. */
  async details(
    tenant: TenantId,
    media: readonly Media[],
    options: LookupOptions,
  ): Promise<Array<MediaDetails | Error>> {
    const described = await askPerChannel(this.options.channels, tenant, media, async (channel, ofChannel) =>
      channel.adapter.describeMedia
        ? askWithin(options.calls, ofChannel, (granted) => channel.adapter.describeMedia?.(granted, options))
        : ofChannel.map(() => UNKNOWN_DETAILS),
    );
    this.#keepDescriptions(tenant, media, described);
    // A provider may have deleted a media whose bytes are stored here.
    return described.map((details, index) =>
      details instanceof Error && isStored(media[index]) ? UNKNOWN_DETAILS : details,
    );
  }

  /** Whether {@link details} can find an unknown field. */
  canDescribe(media: Media, field: keyof MediaDetails): boolean {
    if (media.status !== 'READY' || media.described) return false;
    // A webhook contains the caption and the file name of its message, if they exist.
    if (isAnnounced(media) && (field === 'caption' || field === 'filename')) return false;
    const adapter = this.options.channels.find(media.tenant, media.channelId)?.adapter;
    return adapter?.describeMedia !== undefined && (adapter.describes?.has(field) ?? true);
  }

  /** Forgets a media that was deleted. */
  forgetMedia({ tenant, channelId, providerMessageId, id }: Media): void {
    if (providerMessageId !== null) this.#memory.remove(tenant, { channelId, providerMessageId }, id);
  }

  /** Forgets all listings, after changes that no process announced, such as an operator's. */
  forget(): void {
    this.#memory.clear();
  }

  /** Resolves when all listings so far are recorded. */
  async settle(): Promise<void> {
    await Promise.all([this.#recorder.settle(), this.#backgroundRecorder.settle()]);
  }

  #count(records: Records, keys: number, unknown: number): void {
    const { metrics } = this.options;
    metrics?.messagesLookedUp('unavailable', records === null ? keys : 0);
    metrics?.messagesLookedUp('hit', records === null ? 0 : keys - unknown);
    metrics?.messagesLookedUp('miss', records === null ? 0 : unknown);
  }

  /** Asks a channel's provider for the listings of messages, and remembers them. */
  async #list(
    channel: ConnectedChannel,
    keys: readonly MessageKey[],
    records: Records,
    options: LookupOptions,
  ): Promise<ReadonlyMap<MessageKey, readonly Media[] | Error>> {
    if (keys.length === 0 || !channel.adapter.listMedia) return new Map();
    const answers = await askWithin(
      options.calls,
      keys.map((key) => key.providerMessageId),
      (granted) => channel.adapter.listMedia?.(granted, options),
    );
    const now = dateOf(this.options.clock);
    const toRecord: Listing[] = [];
    const result = new Map<MessageKey, readonly Media[] | Error>();
    keys.forEach((key, index) => {
      const answer = answers[index] ?? new Error('an adapter returned fewer results than requested');
      if (answer instanceof Error) {
        result.set(key, answer);
        return;
      }
      const record = records?.get(formatMessageId(key)) ?? null;
      const listing = this.#listingOf(channel, key, answer, now);
      this.#memory.remember(channel.tenant, listing);
      if (options.awaitsRecording || this.#mustBeRecorded(channel, listing, record)) toRecord.push(listing);
      result.set(key, mergeListing(listing.media, record, now));
    });
    if (options.awaitsRecording) await this.#recorder.record(channel.tenant, toRecord);
    else if (records !== null) this.#backgroundRecorder.recordInBackground(channel.tenant, toRecord);
    return result;
  }

  #listingOf(channel: ConnectedChannel, key: MessageKey, media: readonly ProviderMedia[], now: Date): Listing {
    const retainedUntil = endOfListedRetention(this.options.retention.of(channel), media, now);
    const firstSeenAt = this.#memory.find(channel.tenant, key)?.firstSeenAt ?? now;
    const copies = channel.adapter.openMedia ? this.options.copies : [];
    const listed = media.map((one) => mediaOf(channel, one, retainedUntil));
    return { key, media: listed, listedAt: now, firstSeenAt, retainedUntil, copies };
  }

  #mustBeRecorded(channel: ConnectedChannel, listing: Listing, record: MessageRecord | null): boolean {
    return mustBeRecorded(listing, record, { isRetentionLimited: this.options.retention.of(channel) !== null });
  }

  #keepDescriptions(tenant: TenantId, media: readonly Media[], described: ReadonlyArray<MediaDetails | Error>): void {
    const ofRows: Description[] = [];
    media.forEach((one, index) => {
      const details = described[index];
      if (!details || details instanceof Error) return;
      const { id, channelId, providerMessageId } = one;
      if (providerMessageId !== null) this.#memory.describe(tenant, { channelId, providerMessageId }, id, details);
      if (isCatalogued(one)) ofRows.push({ id, details });
    });
    this.#backgroundRecorder.recordDescriptions(tenant, ofRows);
  }

  async #recordsOf(tenant: TenantId, keys: readonly MessageKey[]): Promise<Records> {
    const ours = keys.filter(({ channelId }) => this.options.channels.find(tenant, channelId));
    if (ours.length === 0) return new Map();
    return this.#whileAvailable(() => this.options.catalogue.findByMessages(tenant, ours));
  }

  /** Resolves with null if the catalogue is unavailable. */
  async #whileAvailable<Found>(ask: () => Promise<Found>): Promise<Found | null> {
    try {
      return await inTime(ask());
    } catch (err) {
      this.options.logger.warn({ err }, 'the catalogue is unavailable');
      return null;
    }
  }
}

function isMissing(media: Media | null | Error | undefined): boolean {
  return media === null || media === undefined || media instanceof Error;
}
