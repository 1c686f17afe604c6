import { type MediaDetails, type ProviderMedia, UNKNOWN_DETAILS } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/text/mime-type.js';
import { parseDate } from '../toolkit/media-headers.js';
import type { LamlMedia, LamlMediaDetails } from './wire.js';

/** LaML provides type and date, never size, name or hash. */
export function lamlListedMedia(providerMessageId: string, wire: LamlMedia): ProviderMedia {
  const mimeType = normalizeMimeType(wire.content_type);
  return {
    providerMessageId,
    providerMediaId: wire.sid,
    downloadUrl: null,
    status: 'READY',
    kind: kindOfMimeType(mimeType),
    mimeType,
    sizeBytes: null,
    sha256: null,
    filename: null,
    caption: null,
    createdAt: parseDate(wire.date_created),
    availableUntil: null,
  };
}

/** The details of "Retrieve Message Media"; null for a missing media. */
export function lamlDetails(wire: LamlMediaDetails | null): MediaDetails | null {
  if (wire === null) return null;
  const mimeType = normalizeMimeType(wire.content_type);
  return { ...UNKNOWN_DETAILS, kind: kindOfMimeType(mimeType), mimeType };
}
