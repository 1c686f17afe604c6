import { MAX_PROVIDER_MEDIA_ID_BYTES } from '../../model/ids.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';

const MEDIA_ID = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_PROVIDER_MEDIA_ID_BYTES}}$`);

/**
 * Whether a text is a media id of Meta, which its partners also use. All samples are digits. The alphabet is safe in a
 * path.
 */
export function isMediaId(id: string): boolean {
  return MEDIA_ID.test(id);
}

const MB = 1_000_000;
const OFFICE = 'application/vnd.openxmlformats-officedocument';

/**
 * Upload limits of WhatsApp in bytes, by media type: Meta's Cloud API, "Media", "Supported media types". The page does
 * not say whether a megabyte is 10^6 or 2^20, so the smaller one applies. A webp is a sticker: 500 KB, the limit of
 * animated ones.
 */
export const WHATSAPP_UPLOAD_LIMITS: ReadonlyMap<string, number> = new Map([
  ['audio/aac', 16 * MB],
  ['audio/amr', 16 * MB],
  ['audio/mpeg', 16 * MB],
  ['audio/mp4', 16 * MB],
  ['audio/ogg', 16 * MB],
  ['text/plain', 100 * MB],
  ['application/pdf', 100 * MB],
  ['application/msword', 100 * MB],
  ['application/vnd.ms-excel', 100 * MB],
  ['application/vnd.ms-powerpoint', 100 * MB],
  [`${OFFICE}.wordprocessingml.document`, 100 * MB],
  [`${OFFICE}.spreadsheetml.sheet`, 100 * MB],
  [`${OFFICE}.presentationml.presentation`, 100 * MB],
  ['image/jpeg', 5 * MB],
  ['image/png', 5 * MB],
  ['image/webp', 0.5 * MB],
  ['video/mp4', 16 * MB],
  ['video/3gpp', 16 * MB],
]);

/**
 * Whether an upload was refused for its type. Meta's text, which its partners forward: "(#100) Param file must be a
 * file with one of the following types: …. Received file of type 'x'."
 */
export function isFileTypeRefusal({ statusCode, body }: BufferedResponse): boolean {
  return statusCode < 500 && /must be a file with one of the following types/i.test(body.toString('utf8'));
}
