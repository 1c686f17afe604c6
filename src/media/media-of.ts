import { encodeMediaId } from '../model/ids.js';
import { earliest, type MediaId, type MessageMedia, type ProviderMedia } from '../model/media.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';

/**
 * If messages of a provider have at most one media, the id contains only the message, so that a webhook and a listing
 * produce the same id.
 */
function mediaIdOf(
  { id: channelId, adapter }: ConnectedChannel,
  { providerMessageId, providerMediaId }: ProviderMedia,
): MediaId {
  const several = adapter.mediaPerMessage === 'several';
  return encodeMediaId({ channelId, providerMessageId, providerMediaId: several ? providerMediaId : null });
}

/**
 * Creates the media of a channel from the values that an adapter or a webhook reports.
 * @param retainedUntil the end of its retention
 */
export function mediaOf(channel: ConnectedChannel, media: ProviderMedia, retainedUntil: Date | null): MessageMedia {
  // Copies each field, because spreading an object of this size costs more than the rest of a look-up.
  return {
    id: mediaIdOf(channel, media),
    tenant: channel.tenant,
    channelId: channel.id,
    provider: channel.provider,
    providerMessageId: media.providerMessageId,
    providerMediaId: media.providerMediaId,
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
    expiresAt: earliest(media.availableUntil, retainedUntil),
    voice: media.voice ?? null,
    contact: media.contact ?? null,
    direction: media.direction ?? null,
    ...(media.fault !== undefined && { fault: media.fault }),
    measures: null,
  };
}
