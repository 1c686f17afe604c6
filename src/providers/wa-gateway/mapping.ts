import type { MediaDetails } from '../../model/media.js';
import { kindOfMimeType } from '../../model/mime-type.js';
import type { ByteStream } from '../provider-adapter.js';

/** All that the headers of the bytes tell; caption and the sender's own name for the file came with the webhook alone. */
export function waGatewayDetails({ declaredMimeType, sizeBytes, filename }: Omit<ByteStream, 'body'>): MediaDetails {
  return {
    kind: kindOfMimeType(declaredMimeType),
    mimeType: declaredMimeType,
    sizeBytes,
    sha256: null,
    filename,
    caption: null,
  };
}

/** The name of a download, unless it is only the gateway's own name for the stored file. */
export function senderFilename(filename: string | null, mediaPath: string): string | null {
  return filename !== null && mediaPath.endsWith(`/${filename}`) ? null : filename;
}
