import { asCatalogueFault, inTime } from '../../catalogue/catalogue-fault.js';
import type { Listing, MediaCatalogue, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { decodeMediaId, formatMessageId, type MessageId } from '../../model/ids.js';
import { type Media, type MediaDetails, type MediaId, type MessageKey, UNKNOWN_DETAILS } from '../../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import type { CallOptions, ProviderCallAllowance } from '../../providers/provider-adapter.js';
import type { Logger } from '../../telemetry/logger.js';
import { mediaOf } from '../media-of.js';
import { asOf, endOfRetention } from '../retention.js';
import { mayAnswerAlone } from './freshness.js';
import { isAnnounced, isDescribed, isOfMessage, isStored, mergeListing, visibleMedia } from './known-media.js';
import { ListingRecorder } from './listing-recorder.js';
import { askPerChannel, askWithin } from './per-channel.js';

export interface MediaLookupOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  /** `retention.default`; null if media does not expire. */
  readonly retentionMs: number | null;
  readonly clock: Clock;
  readonly logger: Logger;
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
  readonly #recorder: ListingRecorder;

  constructor(private readonly options: MediaLookupOptions) {
    this.#recorder = new ListingRecorder(options);
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
        if (records === null) throw asCatalogueFault(null);
        return known.map((record) => visibleMedia(record, now));
      }
      const unanswered = ofChannel.filter((_, index) => !mayAnswerAlone(known[index] ?? null, now));
      const listed = await this.#list(channel, unanswered, records, options);
      return ofChannel.map((key, index) => listed.get(key) ?? visibleMedia(known[index] ?? null, now));
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
    return ids.map((id, index) => {
      const part = parts[index] ?? null;
      const catalogued = known?.get(id);
      if (catalogued) return asOf(catalogued, now);
      // Only the catalogue contains uploads.
      if (known === null && part && !isOfMessage(part)) return asCatalogueFault(null);
      const listing = isOfMessage(part) ? byMessage.get(formatMessageId(part)) : null;
      if (listing instanceof Error) return listing;
      return listing?.find((media) => media.id === id) ?? null;
    });
  }

  /**
   * Ensures that a listed media has a row: waits for a running recording, or lists the message again. It has no effect
   * on media without a listing.
   * @throws MediagraphError as the provider's listing; a retryable INTERNAL_SERVER_ERROR if the catalogue is
   *   unavailable
   */
  async record(tenant: TenantId, id: MediaId, options: CallOptions): Promise<void> {
    const parts = decodeMediaId(id);
    if (!isOfMessage(parts)) return;
    const underway = this.#recorder.underway(tenant, parts);
    await underway;
    if (underway && (await this.options.catalogue.findByIds(tenant, [id])).has(id)) return;
    const [media] = await this.byIds(tenant, [id], { ...options, awaitsRecording: true });
    if (media instanceof Error) throw media;
  }

  /** The messages of the tenant's channels that have these provider message ids. */
  async byProviderMessageIds(tenant: TenantId, ids: readonly string[]): Promise<Array<readonly MessageKey[] | Error>> {
    const { catalogue, channels } = this.options;
    try {
      const found = await inTime(catalogue.findKeysByProviderMessageIds(tenant, ids));
      return ids.map((id) => (found.get(id) ?? []).filter(({ channelId }) => channels.find(tenant, channelId)));
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
    this.#recorder.recordDescriptions(
      tenant,
      media.flatMap(({ id }, index) => {
        const details = described[index];
        return details && !(details instanceof Error) ? [{ id, details }] : [];
      }),
    );
    // A provider may have deleted a media whose bytes are stored here.
    return described.map((details, index) =>
      details instanceof Error && isStored(media[index]) ? UNKNOWN_DETAILS : details,
    );
  }

  /** Whether {@link details} can find an unknown field. */
  canDescribe(media: Media, field: keyof MediaDetails): boolean {
    if (media.status !== 'READY' || isDescribed(media)) return false;
    // A webhook contains the caption and the file name of its message, if they exist.
    if (isAnnounced(media) && (field === 'caption' || field === 'filename')) return false;
    const adapter = this.options.channels.find(media.tenant, media.channelId)?.adapter;
    return adapter?.describeMedia !== undefined && (adapter.describes?.has(field) ?? true);
  }

  /** Resolves when all listings so far are recorded. */
  settle(): Promise<void> {
    return this.#recorder.settle();
  }

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
    const recording = { now, retainedUntil: endOfRetention(this.options.retentionMs, now) };
    const listings: Listing[] = [];
    const result = new Map<MessageKey, readonly Media[] | Error>();
    keys.forEach((key, index) => {
      const answer = answers[index] ?? new Error('an adapter returned fewer results than requested');
      if (answer instanceof Error) {
        result.set(key, answer);
        return;
      }
      const media = answer.map((one) => mediaOf(channel, one, recording.retainedUntil));
      listings.push({ key, media });
      result.set(key, mergeListing(media, records?.get(formatMessageId(key)) ?? null, now));
    });
    if (listings.length === 0) return result;
    const awaitsRecording = options.awaitsRecording ?? false;
    if (records !== null) await this.#recorder.record(channel.tenant, listings, recording, { awaitsRecording });
    else if (awaitsRecording) throw asCatalogueFault(null);
    return result;
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
