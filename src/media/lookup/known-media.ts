import type { CataloguedMedia, Listing, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { DecodedMediaId, MediaIdParts } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import { asOf } from '../retention.js';

/** The media of a message that a caller sees. Deleted media stays hidden, although its provider may still list it. */
export function visibleMedia(record: MessageRecord | null, now: Date): readonly CataloguedMedia[] {
  return record?.media.filter(({ status }) => status !== 'DELETED').map((media) => asOf(media, now)) ?? [];
}

/**
 * The media of a message that is known without another request. Where the catalogue was recorded after the listing, it
 * alone decides.
 */
export function knownMedia(
  record: MessageRecord | null,
  remembered: Listing | null,
  now: Date,
): readonly Media[] {
  if (!remembered || (record?.listedAt && record.listedAt > remembered.listedAt)) return visibleMedia(record, now);
  if (!record) return listedAsOf(remembered.media, now);
  return mergeListing(remembered.media, record, now).map((media) => {
    // This process has given out a link. A webhook that announced the media at another replica does not take it back.
    const wasReady = remembered.media.some(({ id, status }) => id === media.id && status === 'READY');
    return wasReady && media.status === 'PENDING' ? asOf({ ...media, status: 'READY' }, now) : media;
  });
}

/**
 * Whether the catalogue must have a listing although nobody opened its media: something may still change without another
 * reader, or nothing tells how long the media may be kept, or a row keeps callers from what the provider has now.
 */
export function mustBeRecorded(
  { media: listed, copies }: Listing,
  record: MessageRecord | null,
  { isRetentionLimited }: { readonly isRetentionLimited: boolean },
): boolean {
  return listed.some((media) => {
    const row = record?.media.find(({ id }) => id === media.id);
    if (row) return row.status !== media.status && isNewer(media, row);
    if (copies.some((status) => status === media.status)) return true;
    return media.status === 'PENDING' || (isRetentionLimited && media.createdAt === null);
  });
}

/**
 * Merges a fresh listing with the catalogue's rows. A row wins where it knows more: the end of a media, or its stored bytes.
 * Media that is in the catalogue alone follows the listed media: providers forget, announce media that they do not list
 * yet, and do not know uploads.
 */
export function mergeListing(listed: readonly Media[], record: MessageRecord | null, now: Date): readonly Media[] {
  if (!record || record.media.length === 0) return listedAsOf(listed, now);
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

/** The same array where nothing has expired, which is nearly always. */
function listedAsOf(listed: readonly Media[], now: Date): readonly Media[] {
  return listed.some((media) => asOf(media, now) !== media) ? listed.map((media) => asOf(media, now)) : listed;
}

/** Whether the listing knows a media better: where the catalogue knows it from earlier listings alone. */
function isNewer({ status }: Media, catalogued: CataloguedMedia): boolean {
  if (catalogued.announced || catalogued.stored || catalogued.mirrored) return false;
  return catalogued.status === 'PENDING' || (status !== catalogued.status && catalogued.status !== 'EXPIRED');
}

export function isOfMessage(parts: DecodedMediaId | null): parts is MediaIdParts {
  return parts !== null && 'providerMessageId' in parts;
}

/** Whether a media has a row; otherwise only a listing has named it. */
export function isCatalogued(media: Media | CataloguedMedia): media is CataloguedMedia {
  return 'announced' in media;
}

export function isAnnounced(media: Media | CataloguedMedia): boolean {
  return 'announced' in media && media.announced;
}

export function isStored(media: Media | CataloguedMedia | undefined): boolean {
  return media !== undefined && 'stored' in media && media.stored !== null;
}
