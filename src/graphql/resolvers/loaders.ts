import DataLoader from 'dataloader';
import type { LookupOptions, MediaLookup } from '../../media/lookup/lookup.js';
import type { TenantId } from '../../model/channel.js';
import type { Media, MediaDetails, MediaId, MessageKey } from '../../model/media.js';
import type { CachePolicy } from '../transport/cache-policy.js';

/** One set per operation. However often an operation names a message or a media, it is asked for once. */
export interface MediaLoaders {
  readonly mediaByMessage: DataLoader<MessageKey, readonly Media[], string>;
  /** By a provider's own message id, without its channel. */
  readonly messageKeys: DataLoader<string, readonly MessageKey[]>;
  readonly mediaById: DataLoader<MediaId, Media | null>;
  readonly mediaDetails: DataLoader<Media, MediaDetails, MediaId>;
  /** Whether `mediaDetails` can tell a field that the media does not. */
  canDescribe(media: Media, field: keyof MediaDetails): boolean;
}

// Private: not the message id, since a channel id that a router made up may hold a colon; neither part can hold a line break.
function loaderKey({ channelId, providerMessageId }: MessageKey): string {
  return `${channelId}\n${providerMessageId}`;
}

export interface LoadersOptions {
  readonly lookup: MediaLookup;
  readonly tenant: TenantId;
  readonly call: LookupOptions;
  /** Hears of everything that is loaded. */
  readonly cache: CachePolicy;
}

export function createLoaders({ lookup, tenant, call, cache }: LoadersOptions): MediaLoaders {
  const heard = <Loaded extends readonly Media[] | Media | Error | null>(loaded: Loaded[]): Loaded[] => {
    for (const one of loaded) cache.media(one);
    return loaded;
  };
  return {
    mediaByMessage: new DataLoader((keys) => lookup.byMessages(tenant, keys, call).then(heard), {
      cacheKeyFn: loaderKey,
    }),
    messageKeys: new DataLoader((ids) => lookup.byProviderMessageIds(tenant, ids)),
    mediaById: new DataLoader((ids) => lookup.byIds(tenant, ids, call).then(heard)),
    mediaDetails: new DataLoader((media) => lookup.details(tenant, media, call), {
      cacheKeyFn: (media) => media.id,
    }),
    canDescribe: (media, field) => lookup.canDescribe(media, field),
  };
}
