import type { CataloguedMedia, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { DecodedMediaId, MediaIdParts } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import { asOf } from '../retention.js';

/** The media of a message that a caller sees. Deleted media stays hidden, although its provider may still list it. */
export function visibleMedia(record: MessageRecord | null, now: Date): readonly CataloguedMedia[] {
  return record?.media.filter(({ status }) => status !== 'DELETED').map((media) => asOf(media, now)) ?? [];
}

/**
 * Merges a fresh listing with the catalogue's rows. A row wins where it knows more: the end of a media, or its stored bytes.
 * Media that is in the catalogue alone follows the listed media: providers forget, announce media that they do not list
 * yet, and do not know uploads.
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

/** Whether the listing knows a media better: where the catalogue knows it from earlier listings alone. */
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
