import DataLoader from 'dataloader';
import type { LookupOptions, MediaLookup } from '../../media/lookup/lookup.js';
import type { TenantId } from '../../model/channel.js';
import { formatMessageId, type MessageId } from '../../model/ids.js';
import type { Media, MediaDetails, MediaId, MessageKey } from '../../model/media.js';
import type { LoaderName, WorkMetrics } from '../../telemetry/instruments/work-metrics.js';
import { inSpan } from '../../telemetry/spans.js';
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
  readonly metrics?: Pick<WorkMetrics, 'batchLoaded'>;
}

export function createLoaders({ lookup, tenant, call, cache, metrics }: LoadersOptions): MediaLoaders {
  const recordInCache = <Loaded extends readonly Media[] | Media | Error | null>(loaded: Loaded[]): Loaded[] => {
    for (const media of loaded) cache.media(media);
    return loaded;
  };
  const measured =
    <Key, Loaded>(loader: LoaderName, load: (keys: readonly Key[]) => Promise<Loaded[]>) =>
    (keys: readonly Key[]): Promise<Loaded[]> => {
      metrics?.batchLoaded(loader, keys.length);
      const attributes = { 'mediagraph.batch.keys': keys.length };
      return inSpan(
        () => ({ name: `load ${loader}`, attributes }),
        () => load(keys),
      );
    };
  return {
    mediaByMessage: new DataLoader(
      measured('mediaByMessage', (keys: readonly MessageKey[]) =>
        lookup.byMessages(tenant, keys, call).then(recordInCache),
      ),
      { cacheKeyFn: formatMessageId },
    ),
    messageKeys: new DataLoader(
      measured('messageKeys', (ids: readonly string[]) => lookup.byProviderMessageIds(tenant, ids)),
    ),
    mediaById: new DataLoader(
      measured('mediaById', (ids: readonly MediaId[]) => lookup.byIds(tenant, ids, call).then(recordInCache)),
    ),
    mediaDetails: new DataLoader(
      measured('mediaDetails', (media: readonly Media[]) => lookup.details(tenant, media, call)),
      { cacheKeyFn: (media) => media.id },
    ),
    canDescribe: (media, field) => lookup.canDescribe(media, field),
  };
}
