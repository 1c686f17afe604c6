import { asCatalogueFault, inTime } from '../../catalogue/catalogue-fault.js';
import type {
  CataloguedMedia,
  Description,
  MediaCatalogue,
  MessageRecord,
  Recording,
} from '../../catalogue/media-catalogue.js';
import type { ChannelId, TenantId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { toError } from '../../model/errors.js';
import { type DecodedMediaId, decodeMediaId, formatMessageId, type MediaIdParts } from '../../model/ids.js';
import {
  type Media,
  type MediaDetails,
  type MediaId,
  type MessageKey,
  type MessageMedia,
  UNKNOWN_DETAILS,
} from '../../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import type { CallOptions, ProviderCallAllowance } from '../../providers/provider-adapter.js';
import type { Logger } from '../../telemetry/logger.js';
import { mediaOf } from '../media-of.js';
import { asOf, endOfRetention } from '../retention.js';
import { mayAnswerAlone } from './freshness.js';

export interface MediaLookupOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  /** `retention.default`; null = until deleted. */
  readonly retentionMs: number | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a look-up may ask of providers. */
export interface LookupOptions extends CallOptions {
  /** What was listed is in the catalogue when the answer is given. */
  readonly awaitsRecording?: boolean;
  /** Absent: as often as there is need. */
  readonly calls?: ProviderCallAllowance;
}

/** Records by `formatMessageId`; null = the catalogue cannot be asked. */
type Records = ReadonlyMap<string, MessageRecord> | null;

interface Listing {
  readonly key: MessageKey;
  readonly media: readonly MessageMedia[];
}

/** Which media a message has, and what is known of them. Answers are aligned with what was asked; an Error fails one. */
export class MediaLookup {
  readonly #recording = new Set<Promise<void>>();
  /** By message, while its listing is being recorded. */
  readonly #recordingOf = new Map<string, Promise<void>>();

  constructor(private readonly options: MediaLookupOptions) {}

  /**
   * Keys are distinct. The catalogue is asked once for all of them; the provider, at most once for each, only where
   * the catalogue cannot answer alone. While the catalogue is away, providers that can be asked still answer.
   */
  async byMessages(
    tenant: TenantId,
    keys: readonly MessageKey[],
    options: LookupOptions,
  ): Promise<Array<readonly Media[] | Error>> {
    const records = await this.#recordsOf(tenant, keys);
    const now = dateOf(this.options.clock);
    return this.#perChannel(tenant, keys, async (channel, ofChannel) => {
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
   * What the catalogue has, else what the provider lists for the message that an id stands for. The id itself is no
   * capability: what it names beyond the message is looked for in the listing and never asked for. null for ids that are
   * malformed, neither known nor listed, or of a channel that is not the tenant's.
   */
  async byIds(tenant: TenantId, ids: readonly MediaId[], options: LookupOptions): Promise<Array<Media | null | Error>> {
    const { channels, catalogue } = this.options;
    const parts = ids.map((id) => {
      const decoded = decodeMediaId(id);
      return decoded && channels.find(tenant, decoded.channelId) ? decoded : null;
    });
    const known = await this.#whileThere(() =>
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
      // Of an upload, the catalogue alone knows.
      if (known === null && part && !isOfMessage(part)) return asCatalogueFault(null);
      const listing = isOfMessage(part) ? byMessage.get(formatMessageId(part)) : null;
      if (listing instanceof Error) return listing;
      return listing?.find((media) => media.id === id) ?? null;
    });
  }

  /**
   * Sees to it that a media which is listed has a row: what is being recorded is waited for, what has no row is looked up.
   * Without effect for media that no provider lists. @throws what the provider's listing rejects with; a retryable
   *   INTERNAL_SERVER_ERROR while the catalogue cannot be written
   */
  async record(tenant: TenantId, id: MediaId, options: CallOptions): Promise<void> {
    const parts = decodeMediaId(id);
    if (!isOfMessage(parts)) return;
    const underway = this.#recordingOf.get(recordingName(tenant, parts));
    await underway;
    if (underway && (await this.options.catalogue.findByIds(tenant, [id])).has(id)) return;
    const [media] = await this.byIds(tenant, [id], { ...options, awaitsRecording: true });
    if (media instanceof Error) throw media;
  }

  /** The messages that a provider's own id may mean, among the tenant's channels. */
  async byProviderMessageIds(tenant: TenantId, ids: readonly string[]): Promise<Array<readonly MessageKey[] | Error>> {
    const { catalogue, channels } = this.options;
    try {
      const found = await inTime(catalogue.findKeysByProviderMessageIds(tenant, ids));
      return ids.map((id) => (found.get(id) ?? []).filter(({ channelId }) => channels.find(tenant, channelId)));
    } catch (thrown) {
      return ids.map(() => asCatalogueFault(thrown));
    }
  }

  /** What is not known yet. A provider that knows no more leaves it unknown. */
  async details(
    tenant: TenantId,
    media: readonly Media[],
    options: LookupOptions,
  ): Promise<Array<MediaDetails | Error>> {
    const told = await this.#perChannel(tenant, media, async (channel, ofChannel) =>
      channel.adapter.describeMedia
        ? askWithin(options.calls, ofChannel, (granted) => channel.adapter.describeMedia?.(granted, options))
        : ofChannel.map(() => UNKNOWN_DETAILS),
    );
    this.#recordDescriptions(
      tenant,
      media.flatMap(({ id }, index) => {
        const details = told[index];
        return details && !(details instanceof Error) ? [{ id, details }] : [];
      }),
    );
    // Of bytes that are here, the provider may know nothing any more.
    return told.map((details, index) =>
      details instanceof Error && isStored(media[index]) ? UNKNOWN_DETAILS : details,
    );
  }

  /** Whether {@link details} can tell more than is known; false saves the caller the question. */
  canDescribe(media: Media, field: keyof MediaDetails): boolean {
    if (media.status !== 'READY' || isDescribed(media)) return false;
    // A webhook tells all that its message has; what it did not tell of these is not there.
    if (isAnnounced(media) && (field === 'caption' || field === 'filename')) return false;
    const adapter = this.options.channels.find(media.tenant, media.channelId)?.adapter;
    return adapter?.describeMedia !== undefined && (adapter.describes?.has(field) ?? true);
  }

  /** Until everything that was listed is recorded. */
  async settle(): Promise<void> {
    await Promise.all(this.#recording);
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
      const answer = answers[index] ?? new Error('an adapter gave fewer answers than it was asked for');
      if (answer instanceof Error) {
        result.set(key, answer);
        return;
      }
      const media = answer.map((one) => mediaOf(channel, one, recording.retainedUntil));
      listings.push({ key, media });
      result.set(key, merged(media, records?.get(formatMessageId(key)) ?? null, now));
    });
    if (listings.length === 0) return result;
    if (records !== null) await this.#record(channel.tenant, listings, recording, options);
    else if (options.awaitsRecording) throw asCatalogueFault(null);
    return result;
  }

  /** In the background, unless the caller needs the rows; the next query asks the provider again where it failed. */
  async #record(
    tenant: TenantId,
    listings: readonly Listing[],
    how: Recording,
    { awaitsRecording = false }: LookupOptions,
  ): Promise<void> {
    const recorded = this.options.catalogue.recordListings(tenant, listings, how);
    const ended = this.#inBackground(recorded);
    const names = listings.map(({ key }) => recordingName(tenant, key));
    for (const name of names) this.#recordingOf.set(name, ended);
    void ended.then(() => {
      for (const name of names) if (this.#recordingOf.get(name) === ended) this.#recordingOf.delete(name);
    });
    if (!awaitsRecording) return;
    await recorded.catch((thrown: unknown) => {
      throw asCatalogueFault(thrown);
    });
  }

  // Private: after the listing that it is about, if that is being recorded still.
  #recordDescriptions(tenant: TenantId, descriptions: readonly Description[]): void {
    if (descriptions.length === 0) return;
    const { catalogue } = this.options;
    const listed = Promise.all(this.#recording);
    void this.#inBackground(
      listed.then(() => catalogue.recordDescriptions(tenant, descriptions, dateOf(this.options.clock))),
    );
  }

  #inBackground(work: Promise<void>): Promise<void> {
    const recording = work
      .catch((err: unknown) => this.options.logger.warn({ err }, 'what a provider told could not be recorded'))
      .finally(() => this.#recording.delete(recording));
    this.#recording.add(recording);
    return recording;
  }

  async #recordsOf(tenant: TenantId, keys: readonly MessageKey[]): Promise<Records> {
    const ours = keys.filter(({ channelId }) => this.options.channels.find(tenant, channelId));
    if (ours.length === 0) return new Map();
    return this.#whileThere(() => this.options.catalogue.findByMessages(tenant, ours));
  }

  // Private: null while the catalogue is away.
  async #whileThere<Found>(ask: () => Promise<Found>): Promise<Found | null> {
    try {
      return await inTime(ask());
    } catch (err) {
      this.options.logger.warn({ err }, 'the catalogue cannot be asked');
      return null;
    }
  }

  // Private: one call per channel for all its items, channels side by side; a channel that fails fails its items alone.
  async #perChannel<Item extends { readonly channelId: ChannelId }, Answer>(
    tenant: TenantId,
    items: readonly Item[],
    ask: (channel: ConnectedChannel, items: readonly Item[]) => Promise<ReadonlyArray<Answer | Error>>,
  ): Promise<Array<Answer | Error>> {
    const indexesByChannel = new Map<ChannelId, number[]>();
    items.forEach(({ channelId }, index) => {
      const indexes = indexesByChannel.get(channelId);
      if (indexes) indexes.push(index);
      else indexesByChannel.set(channelId, [index]);
    });
    const answers = new Array<Answer | Error>(items.length);
    const askChannel = async ([channelId, indexes]: [ChannelId, number[]]): Promise<void> => {
      const ofChannel = indexes.map((index) => items[index]).filter((item) => item !== undefined);
      const get = () => this.options.channels.get(tenant, channelId);
      const answered = await askSafely(() => ask(get(), ofChannel), ofChannel.length);
      indexes.forEach((index, position) => {
        answers[index] = answered[position] ?? new Error('an adapter gave fewer answers than it was asked for');
      });
    };
    await Promise.all([...indexesByChannel].map(askChannel));
    return answers;
  }
}

// One call of a provider for each item. What the operation may not ask any more fails in its place.
async function askWithin<Item, Answer>(
  calls: ProviderCallAllowance | undefined,
  items: readonly Item[],
  ask: (granted: readonly Item[]) => Promise<ReadonlyArray<Answer | Error>> | undefined,
): Promise<ReadonlyArray<Answer | Error>> {
  const granted = calls?.grant(items.length) ?? items.length;
  const answers = granted > 0 ? ((await ask(items.slice(0, granted))) ?? []) : [];
  if (!calls || granted === items.length) return answers;
  const { exhausted } = calls;
  return items.map((_, index) => (index < granted ? (answers[index] ?? exhausted) : exhausted));
}

async function askSafely<Answer>(
  ask: () => Promise<ReadonlyArray<Answer | Error>>,
  count: number,
): Promise<ReadonlyArray<Answer | Error>> {
  try {
    return await ask();
  } catch (thrown) {
    return new Array<Error>(count).fill(toError(thrown));
  }
}

/** Deleted media is listed no more, although the provider may still list it. */
function visibleMedia(record: MessageRecord | null, now: Date): readonly CataloguedMedia[] {
  return record?.media.filter(({ status }) => status !== 'DELETED').map((media) => asOf(media, now)) ?? [];
}

/**
 * What the provider lists, as far as the catalogue does not know better: what became of it, and what is stored here. Then
 * what it lists no more, or not yet, or not at all: providers forget, announce what they are still fetching, and know
 * nothing of uploads.
 */
function merged(listed: readonly Media[], record: MessageRecord | null, now: Date): readonly Media[] {
  if (!record || record.media.length === 0) return listed.map((media) => asOf(media, now));
  const known = new Map(record.media.map((media) => [media.id, media]));
  const isListed = new Set(listed.map(({ id }) => id));
  const forgotten = visibleMedia(record, now).filter(({ id }) => !isListed.has(id));
  const ofProvider = listed.flatMap((media) => {
    const catalogued = known.get(media.id);
    if (!catalogued) return [asOf(media, now)];
    if (catalogued.status === 'DELETED') return [];
    return [asOf(isNewer(media, catalogued) ? media : catalogued, now)];
  });
  return [...ofProvider, ...forgotten];
}

/** Where the catalogue knows a media from its listings alone, the last one tells how it is. */
function isNewer({ status }: Media, catalogued: CataloguedMedia): boolean {
  if (catalogued.announced || catalogued.stored || catalogued.mirrored) return false;
  return catalogued.status === 'PENDING' || (status !== catalogued.status && catalogued.status !== 'EXPIRED');
}

function recordingName(tenant: TenantId, key: MessageKey): string {
  return `${tenant}\n${formatMessageId(key)}`;
}

function isOfMessage(parts: DecodedMediaId | null): parts is MediaIdParts {
  return parts !== null && 'providerMessageId' in parts;
}

function isAnnounced(media: Media | CataloguedMedia): boolean {
  return 'announced' in media && media.announced;
}

function isDescribed(media: Media | CataloguedMedia): boolean {
  return 'described' in media && media.described;
}

function isStored(media: Media | CataloguedMedia | undefined): boolean {
  return media !== undefined && 'stored' in media && media.stored !== null;
}
