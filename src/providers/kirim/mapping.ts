import type { MediaDetails, ProviderMedia } from '../../model/media.js';
import { kindOfMimeType, normalizeMimeType } from '../../model/text/mime-type.js';
import type { MediaHeaders } from '../toolkit/media-headers.js';
import { kindOfMessageType } from '../webhooks/announced-media.js';
import type { KirimMessage } from './wire.js';

/** A listing contains a redirect only: it proves that there is one media, and shows where its bytes are for now. */
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

/**
 * The message resource has names and types, the CDN has sizes. Where both have a value, the message's is more reliable.
 */
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
