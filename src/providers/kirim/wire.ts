import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { RefusalVerdict } from '../toolkit/graph-error.js';
import { harmlessToken } from '../toolkit/harmless-token.js';
import type { UpstreamFault } from '../toolkit/provider-call.js';

/**
 * `GET …/messages/{id}`: the fields of a media message (developers.kirim.chat, sending/receive-messages). All are
 * optional, since three generations of the documentation disagree on the required ones.
 */
export const kirimMessage = z.object({
  type: z.string().nullish().catch(null),
  mime_type: z.string().nullish().catch(null),
  filename: z.string().nullish().catch(null),
  caption: z.string().nullish().catch(null),
});

export type KirimMessage = z.infer<typeof kirimMessage>;

/**
 * The published example of the error envelope lacks `message`, which its schema requires. So no field is required here.
 */
const errorEnvelope = z.object({
  error: z.object({ type: z.unknown(), code: z.unknown(), request_id: z.unknown() }).partial(),
});

/**
 * Error types that say more than the status (developers.kirim.chat, concepts/errors). The published example has the
 * same `invalid_request_error` for every status, so other types mean nothing.
 */
const VERDICTS: ReadonlyMap<unknown, RefusalVerdict> = new Map([
  ['rate_limit_error', 'throttled'],
  ['api_error', 'temporary'],
  ['authentication_error', 'operator'],
  ['permission_error', 'operator'],
]);

/** The documentation asks to branch on `error.code`. `request_id` equals the header X-Request-Id. */
export function readKirimFault(response: BufferedResponse): UpstreamFault {
  const requestIdHeader = harmlessToken(response.headers['x-request-id']);
  try {
    const { error } = errorEnvelope.parse(JSON.parse(response.body.toString('utf8')));
    const verdict = VERDICTS.get(error.type);
    return {
      code: harmlessToken(error.code),
      requestId: harmlessToken(error.request_id) ?? requestIdHeader,
      ...(verdict && { verdict }),
    };
  } catch {
    return { requestId: requestIdHeader };
  }
}
