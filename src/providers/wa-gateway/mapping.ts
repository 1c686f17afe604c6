import type { MediaDetails } from '../../model/media.js';
import { kindOfMimeType } from '../../model/text/mime-type.js';
import type { ByteStream } from '../provider-adapter.js';

/** The details in the headers of the bytes. The caption and the sender's file name come with the webhook only. */
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

/** The file name of a download, unless it is only the gateway's name of the stored file. */
export function senderFilename(filename: string | null, mediaPath: string): string | null {
  return filename !== null && mediaPath.endsWith(`/${filename}`) ? null : filename;
}
