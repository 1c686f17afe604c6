import type { MediaDetails, ProviderMedia } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/mime-type.js';
import type { MediaHeaders } from '../toolkit/media-headers.js';
import { kindOfMessageType } from '../webhooks/announced-media.js';
import type { KirimMessage } from './wire.js';

/** A redirect is all that a listing tells: that there is one media, and where its bytes are for now. */
export function kirimListedMedia(providerMessageId: string, downloadUrl: string): ProviderMedia {
  return {
    providerMessageId,
    providerMediaId: null,
    downloadUrl,
    status: 'READY',
    kind: null,
    mimeType: null,
    sizeBytes: null,
    sha256: null,
    filename: null,
    caption: null,
    createdAt: null,
    availableUntil: null,
  };
}

/** The message resource knows names and types, the CDN knows sizes; what both tell, the message tells better. */
export function kirimDetails(message: KirimMessage | null, headers: MediaHeaders | null): MediaDetails {
  const mimeType = normalizeMimeType(message?.mime_type) ?? headers?.mimeType ?? null;
  return {
    kind: kindOfMessageType(message?.type) ?? kindOfMimeType(mimeType),
    mimeType,
    sizeBytes: headers?.sizeBytes ?? null,
    sha256: null,
    filename: message?.filename || null,
    caption: message?.caption || null,
  };
}
