import type { ProviderMedia } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/mime-type.js';
import { parseDate } from '../media-headers.js';
import type { LamlMedia } from './wire.js';

/** LaML knows type and date; size, name and hash are never told. */
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
