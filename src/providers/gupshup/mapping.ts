import type { MediaDetails } from '../../model/media.js';
import { kindOfMimeType } from '../../model/text/mime-type.js';
import type { ByteStream } from '../provider-adapter.js';

/** The details in the headers of the bytes. Kind, caption and name come with the webhook only. */
export function gupshupDetails({ declaredMimeType, sizeBytes, filename }: Omit<ByteStream, 'body'>): MediaDetails {
  return {
    kind: kindOfMimeType(declaredMimeType),
    mimeType: declaredMimeType,
    sizeBytes,
    sha256: null,
    filename,
    caption: null,
  };
}
