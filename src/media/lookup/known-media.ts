import { isToCopy } from '../../catalogue/media/listed-copies.js';
import type { CataloguedMedia, Listing, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { DecodedMediaId, MediaIdParts } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import { asOf } from '../retention.js';

/** The media of a message that a caller sees. Deleted media stays hidden, even if its provider still lists it. */
export function visibleMedia(record: MessageRecord | null, now: Date): readonly CataloguedMedia[] {
  return record?.media.filter(({ status }) => status !== 'DELETED').map((media) => asOf(media, now)) ?? [];
}

/**
 * The media of a message without another request to its provider. A record that is more recent than the listing takes
 * precedence.
 */
export function knownMedia(record: MessageRecord | null, remembered: Listing | null, now: Date): readonly Media[] {
  if (!remembered || (record?.listedAt && record.listedAt > remembered.listedAt)) return visibleMedia(record, now);
  if (!record) return listedAsOf(remembered.media, now);
  return inOrderOf(record, mergeListing(remembered.media, record, now)).map((media) =>
    asGivenOut(media, remembered, now),
  );
}

/**
 * A row as it is after this process has signed a link for the listed media: a webhook that another replica received does not
 * revoke the link. A row that was READY itself has lost that status for another reason.
 */
export function asGivenOut(media: Media, remembered: Listing | null, now: Date): Media {
  if (media.status !== 'PENDING' || !remembered || !isCatalogued(media) || media.wasReady) return media;
  const wasReady = remembered.media.some(({ id, status }) => id === media.id && status === 'READY');
  return wasReady ? asOf({ ...media, status: 'READY' }, now) : media;
}

/** The order of the record, if it has all media: webhooks may have announced the message whole. */
function inOrderOf({ media: rows }: MessageRecord, merged: readonly Media[]): readonly Media[] {
  const byId = new Map(merged.map((media) => [media.id, media]));
  const ordered = rows.flatMap(({ id }) => byId.get(id) ?? []);
  return ordered.length === merged.length ? ordered : merged;
}

/**
 * Whether a listing must be recorded although no link of its media was opened: PENDING media is followed until it is
 * READY, retention counts from the recording if the provider reports no time, and a row with an older status would
 * contradict the listing.
 */
export function mustBeRecorded(
  listing: Listing,
  record: MessageRecord | null,
  { isRetentionLimited }: { readonly isRetentionLimited: boolean },
): boolean {
  const rows = new Map(record?.media.map((row) => [row.id, row]));
  return listing.media.some((media) => {
    const row = rows.get(media.id);
    if (row) return row.status !== media.status && isNewer(media, row);
    if (isToCopy(listing, media)) return true;
    return media.status === 'PENDING' || (isRetentionLimited && media.createdAt === null);
  });
}

/**
 * Merges a new listing with the catalogue's rows. A row takes precedence if the media has ended or its bytes are
 * stored. Media that only the catalogue knows follows the listed media, because providers delete media, announce media
 * before they list it, and do not list uploads.
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

/** Returns the same array if nothing has expired, which is the usual case. */
function listedAsOf(listed: readonly Media[], now: Date): readonly Media[] {
  return listed.some((media) => asOf(media, now) !== media) ? listed.map((media) => asOf(media, now)) : listed;
}

/** Whether the listing takes precedence over the row: if the catalogue knows the media only from earlier listings. */
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
