import type { MediaDetails } from '../../model/media.js';
import { kindOfMimeType } from '../../model/mime-type.js';
import type { ByteStream } from '../provider-adapter.js';

/** All that the headers of the bytes tell; kind, caption and name of a media came with its webhook. */
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
