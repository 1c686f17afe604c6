import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { MAX_URL_LENGTH } from '../../net/guarded/url-policy.js';
import { readGraphError } from '../toolkit/graph-error.js';
import { harmlessToken } from '../toolkit/harmless-token.js';
import { isMediaId } from '../toolkit/meta-media.js';
import type { UpstreamFault } from '../toolkit/provider-call.js';
import { webUrlOf } from '../webhooks/announced-media.js';

/** Documented as a string, a number on the wire. */
const fileSize = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,16}$/)
      .transform(Number),
  ])
  .pipe(z.int().nonnegative());

/**
 * `GET /{version}/{media id}` at Meta; `GET /v1/whatsapp/{version}/media/{media id}` at Chakra, without its usual
 * `_data` envelope. `sha256` is hexadecimal here and Base64 in webhooks. Sources: Meta's business messaging OpenAPI
 * v23.0; Chakra's API reference, "Fetch Whatsapp Media API".
 */
export const whatsappMetadata = z.object({
  /**
   * Valid for five minutes, and only with the Bearer token that requested it. The parsed URL decides whether
   * credentials may be sent there, so anything that a parser would tolerate is refused: relative references,
   * backslashes, tabs, non-ASCII letters.
   */
  url: z
    .string()
    .regex(/^https?:\/\/[\x21-\x5b\x5d-\x7e]+$/i)
    .max(MAX_URL_LENGTH),
  mime_type: z.string().nullish().catch(null),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .nullish()
    .catch(null),
  /** Bytes. */
  file_size: fileSize.nullish().catch(null),
});

export type WhatsAppMetadata = z.infer<typeof whatsappMetadata>;

/** `POST /{version}/{phone number id}/media` at Meta: Cloud API, "Upload media". */
export const cloudUpload = z.object({ id: z.string().refine(isMediaId) });

/** `DELETE /{version}/{media id}` at Meta: Cloud API, "Delete media". */
export const cloudDeletion = z.object({ success: z.boolean() });

/**
 * `POST /v1/ext/plugin/whatsapp/{plugin id}/upload-public-media` at Chakra, in its usual envelope ("Response Format").
 * A failed upload may have status 200 and report the failure in `_errors` only.
 */
export const chakraUpload = z.object({
  _data: z.object({ publicMediaUrl: z.unknown() }).nullish(),
  _errors: z.array(z.unknown()).nullish(),
});

/** The link for send calls: an http or https URL exactly as Chakra wrote it. */
export const publicMediaUrl = z.string().refine((url) => webUrlOf(url) !== null);

/**
 * The header X-Fb-Request-Id equals `fbtrace_id` (seen in recorded answers), and is also present where the body is no
 * envelope.
 */
export function readGraphFault(response: BufferedResponse): UpstreamFault {
  const { code, requestId } = readGraphError(response) ?? {};
  return { code, requestId: requestId ?? harmlessToken(response.headers['x-fb-request-id']) };
}
