import DataLoader from 'dataloader';
import type { LookupOptions, MediaLookup } from '../../media/lookup/lookup.js';
import type { TenantId } from '../../model/channel.js';
import { formatMessageId, type MessageId } from '../../model/ids.js';
import type { Media, MediaDetails, MediaId, MessageKey } from '../../model/media.js';
import type { CachePolicy } from '../transport/cache-policy.js';

/** The loaders of one operation. An operation loads each message and each media once, however often it names them. */
export interface MediaLoaders {
  readonly mediaByMessage: DataLoader<MessageKey, readonly Media[], MessageId>;
  /** The messages with a provider's bare message id. */
  readonly messageKeys: DataLoader<string, readonly MessageKey[]>;
  readonly mediaById: DataLoader<MediaId, Media | null>;
  readonly mediaDetails: DataLoader<Media, MediaDetails, MediaId>;
  /** Whether `mediaDetails` can supply a field that is null in the media. */
  canDescribe(media: Media, field: keyof MediaDetails): boolean;
}

export interface LoadersOptions {
  readonly lookup: MediaLookup;
  readonly tenant: TenantId;
  readonly call: LookupOptions;
  /** Takes every loaded media into account. */
  readonly cache: CachePolicy;
}

export function createLoaders({ lookup, tenant, call, cache }: LoadersOptions): MediaLoaders {
  const recordInCache = <Loaded extends readonly Media[] | Media | Error | null>(loaded: Loaded[]): Loaded[] => {
    for (const media of loaded) cache.media(media);
    return loaded;
  };
  return {
    mediaByMessage: new DataLoader((keys) => lookup.byMessages(tenant, keys, call).then(recordInCache), {
      cacheKeyFn: formatMessageId,
    }),
    messageKeys: new DataLoader((ids) => lookup.byProviderMessageIds(tenant, ids)),
    mediaById: new DataLoader((ids) => lookup.byIds(tenant, ids, call).then(recordInCache)),
    mediaDetails: new DataLoader((media) => lookup.details(tenant, media, call), {
      cacheKeyFn: (media) => media.id,
    }),
    canDescribe: (media, field) => lookup.canDescribe(media, field),
  };
}
