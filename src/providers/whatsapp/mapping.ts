import type { MediaDetails } from '../../model/media.js';
import { essenceOf, kindOfMimeType, normalizeMimeType } from '../../model/mime-type.js';
import type { WhatsAppMetadata } from './wire.js';

/** Names and captions are in the message that a webhook brought, never in the metadata. */
export function whatsappDetails(metadata: WhatsAppMetadata): MediaDetails {
  const mimeType = normalizeMimeType(metadata.mime_type);
  return {
    kind: kindOfMimeType(mimeType),
    mimeType,
    sizeBytes: metadata.file_size ?? null,
    sha256: metadata.sha256?.toLowerCase() ?? null,
    filename: null,
    caption: null,
  };
}

/**
 * Whether a type says that something answered in the media's place: a log-in page, or an error as JSON. Customers may
 * send such files too, and then the metadata says so.
 */
export function contradictsMetadata(declared: string | null, promised: string | null): boolean {
  if (declared === null) return false;
  const essence = essenceOf(declared);
  const suspicious = /^(text\/html|application\/xhtml\+xml|[^/]+\/(.+\+)?json)$/.test(essence);
  return suspicious && (promised === null || essenceOf(promised) !== essence);
}
