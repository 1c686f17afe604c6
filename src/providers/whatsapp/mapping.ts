import type { MediaDetails } from '../../model/media.js';
import { essenceOf, kindOfMimeType, normalizeMimeType } from '../../model/text/mime-type.js';
import type { WhatsAppMetadata } from './wire.js';

/** The metadata has no names and captions; those come with the webhook. */
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
 * Whether the type suggests that another server answered: a log-in page, or an error as JSON. A customer may send such
 * files too; the metadata then has the same type.
 */
export function contradictsMetadata(declared: string | null, promised: string | null): boolean {
  if (declared === null) return false;
  const essence = essenceOf(declared);
  const suspicious = /^(text\/html|application\/xhtml\+xml|[^/]+\/(.+\+)?json)$/.test(essence);
  return suspicious && (promised === null || essenceOf(promised) !== essence);
}
