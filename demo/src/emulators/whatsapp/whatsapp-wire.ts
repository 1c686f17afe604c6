import type { Answer } from '../faults.js';
import { sha256Of, type WhatsAppMedia } from './whatsapp-media-store.js';

/**
 * The response to `GET` by id, at Meta and at Chakra. `file_size` is documented as a string, but a number in real
 * responses.
 */
export function metadataOf(media: WhatsAppMedia, url: string, options: { readonly fileSizeAsString: boolean }): object {
  const { length } = media.bytes;
  return {
    url,
    mime_type: media.mimeType,
    sha256: sha256Of(media, 'hex'),
    file_size: options.fileSizeAsString ? String(length) : length,
    id: media.id,
    messaging_product: 'whatsapp',
  };
}

/** The bytes, with the headers of a recorded response of lookaside.fbsbx.com: the file name is generic and unquoted. */
export function attachmentAnswer(media: WhatsAppMedia): Answer {
  const contentType = media.contentType === undefined ? media.mimeType : media.contentType;
  return {
    status: 200,
    headers: {
      ...(contentType === null ? {} : { 'content-type': contentType }),
      'content-disposition': `inline;filename=whatsapp.${extensionOf(media.mimeType)}`,
      'accept-ranges': 'bytes',
      etag: `"${sha256Of(media, 'hex').slice(0, 40)}"`,
      'cache-control': 'private, no-cache, no-store, must-revalidate',
    },
    body: media.bytes,
    isFile: true,
  };
}

export interface GraphError {
  readonly message: string;
  readonly type: 'GraphMethodException' | 'OAuthException';
  readonly code: number;
  readonly subcode?: number;
}

/** Meta's error envelope. X-Fb-Request-Id equals `fbtrace_id`, as in recorded responses. */
export function graphErrorAnswer(
  status: number,
  { message, type, code, subcode }: GraphError,
  traceId: string,
): Answer {
  const detail = subcode === undefined ? {} : { error_subcode: subcode };
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8', 'x-fb-request-id': traceId },
    body: metaJson({ error: { message, type, code, ...detail, fbtrace_id: traceId } }),
  };
}

/** "Unsupported … request", which comes with 400 for an id that is unknown, expired, or of another number. */
export function unknownObject(id: string, method: 'get' | 'post' = 'get'): GraphError {
  return {
    message: `Unsupported ${method} request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api`,
    type: 'GraphMethodException',
    code: 100,
    subcode: 33,
  };
}

/** JSON as Meta writes it: with escaped slashes, and in ASCII. */
export function metaJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('/', '\\/')
    .replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The extension is `png` for `image/png` in the only recording. Other types are our deduction. */
function extensionOf(mimeType: string): string {
  const subtype = /\/([a-z0-9]+)/i.exec(mimeType)?.[1] ?? 'bin';
  return subtype === 'jpeg' ? 'jpg' : subtype;
}
