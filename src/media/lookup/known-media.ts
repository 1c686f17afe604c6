import type { CataloguedMedia, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { DecodedMediaId, MediaIdParts } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import { asOf } from '../retention.js';

/** The media of a message that a caller sees. Deleted media stays hidden, even if its provider still lists it. */
export function visibleMedia(record: MessageRecord | null, now: Date): readonly CataloguedMedia[] {
  return record?.media.filter(({ status }) => status !== 'DELETED').map((media) => asOf(media, now)) ?? [];
}

/**
 * Merges a new listing with the catalogue's rows. A row takes precedence if the media has ended or its bytes are
 * stored. Media that only the catalogue knows follows the listed media, because providers delete media, announce media
 * before they list it, and do not list uploads.
 */
export function mergeListing(listed: readonly Media[], record: MessageRecord | null, now: Date): readonly Media[] {
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

/** Whether the listing takes precedence over the row: if the catalogue knows the media only from earlier listings. */
function isNewer({ status }: Media, catalogued: CataloguedMedia): boolean {
  if (catalogued.announced || catalogued.stored || catalogued.mirrored) return false;
  return catalogued.status === 'PENDING' || (status !== catalogued.status && catalogued.status !== 'EXPIRED');
}

export function isOfMessage(parts: DecodedMediaId | null): parts is MediaIdParts {
  return parts !== null && 'providerMessageId' in parts;
}

export function isAnnounced(media: Media | CataloguedMedia): boolean {
  return 'announced' in media && media.announced;
}

export function isDescribed(media: Media | CataloguedMedia): boolean {
  return 'described' in media && media.described;
}

export function isStored(media: Media | CataloguedMedia | undefined): boolean {
  return media !== undefined && 'stored' in media && media.stored !== null;
}
