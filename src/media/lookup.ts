import type { ChannelId, TenantId } from '../model/channel.js';
import { toError } from '../model/errors.js';
import { decodeMediaId, encodeMediaId, formatMessageId } from '../model/ids.js';
import {
  type Media,
  type MediaDetails,
  type MediaId,
  type MediaRef,
  type MessageKey,
  type ProviderMedia,
  UNKNOWN_DETAILS,
} from '../model/media.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';

/** Which media a message has, and what is known of them. Answers are aligned with what was asked; an Error fails one. */
export class MediaLookup {
  constructor(private readonly channels: ChannelDirectory) {}

  /** Keys are distinct; each costs its provider one call at most. */
  async byMessages(
    tenant: TenantId,
    keys: readonly MessageKey[],
    options: CallOptions,
  ): Promise<Array<readonly Media[] | Error>> {
    return this.#perChannel(tenant, keys, async (channel, ofChannel) => {
      if (!channel.adapter.listMedia) return ofChannel.map(() => []);
      const listed = await channel.adapter.listMedia(
        ofChannel.map((key) => key.providerMessageId),
        options,
      );
      return listed.map((media) => (media instanceof Error ? media : media.map((one) => toMedia(channel, one))));
    });
  }

  /**
   * What the provider lists for the message that an id stands for. The id itself is no capability: what it names beyond
   * the message is looked for in the listing and never asked for. null for ids that are malformed, not listed, or of a
   * channel that is not the tenant's.
   */
  async byIds(tenant: TenantId, ids: readonly MediaId[], options: CallOptions): Promise<Array<Media | null | Error>> {
    const parts = ids.map((id) => {
      const decoded = decodeMediaId(id);
      return decoded && this.channels.find(tenant, decoded.channelId) ? decoded : null;
    });
    const messages = new Map(parts.filter((part) => part !== null).map((part) => [formatMessageId(part), part]));
    const listings = await this.byMessages(tenant, [...messages.values()], options);
    const byMessage = new Map([...messages.keys()].map((message, index) => [message, listings[index] ?? []]));
    return ids.map((id, index) => {
      const part = parts[index];
      const listing = part ? byMessage.get(formatMessageId(part)) : null;
      if (listing instanceof Error) return listing;
      return listing?.find((media) => media.id === id) ?? null;
    });
  }

  /** What listing did not tell. A provider that knows no more leaves it unknown. */
  async details(tenant: TenantId, media: readonly Media[], options: CallOptions): Promise<Array<MediaDetails | Error>> {
    return this.#perChannel(tenant, media, async (channel, ofChannel) =>
      channel.adapter.describeMedia
        ? channel.adapter.describeMedia(ofChannel, options)
        : ofChannel.map(() => UNKNOWN_DETAILS),
    );
  }

  /** Whether {@link details} can tell more than listing did; false saves the caller the question. */
  canDescribe(media: Media): boolean {
    return this.channels.find(media.tenant, media.channelId)?.adapter.describeMedia !== undefined;
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
      const answered = await askSafely(() => ask(this.channels.get(tenant, channelId), ofChannel), ofChannel.length);
      indexes.forEach((index, position) => {
        answers[index] = answered[position] ?? new Error('an adapter gave fewer answers than it was asked for');
      });
    };
    await Promise.all([...indexesByChannel].map(askChannel));
    return answers;
  }
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

/** Media of providers that put one into a message are named by the message: whoever tells of it, the id is the same. */
function mediaIdOf(
  { id: channelId, adapter }: ConnectedChannel,
  { providerMessageId, providerMediaId }: MediaRef,
): MediaId {
  const several = adapter.mediaPerMessage === 'several';
  return encodeMediaId({ channelId, providerMessageId, providerMediaId: several ? providerMediaId : null });
}

// Private: field by field, because spreading an object of this size costs more than all the rest of a look-up.
function toMedia(channel: ConnectedChannel, media: ProviderMedia): Media {
  const { providerMessageId, providerMediaId } = media;
  return {
    id: mediaIdOf(channel, media),
    tenant: channel.tenant,
    channelId: channel.id,
    provider: channel.provider,
    providerMessageId,
    providerMediaId,
    downloadUrl: media.downloadUrl,
    status: media.status,
    kind: media.kind,
    mimeType: media.mimeType,
    sizeBytes: media.sizeBytes,
    sha256: media.sha256,
    filename: media.filename,
    caption: media.caption,
    createdAt: media.createdAt,
    availableUntil: media.availableUntil,
    expiresAt: null,
  };
}
