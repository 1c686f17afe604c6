import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { RefusalVerdict } from '../toolkit/graph-error.js';
import { harmlessToken } from '../toolkit/harmless-token.js';
import type { UpstreamFault } from '../toolkit/provider-call.js';

/** UTF-8 bytes. A documented path has 117: two UUIDs, a WhatsApp message id and an extension. */
const MAX_MEDIA_PATH_BYTES = 512;

/**
 * Returns why a text is no valid `media_path`, or null. The format is `media/{app_id}/{device_id}-{message_id}.{ext}`
 * (WA Gateway, "Media"). Only its start and its safety are checked, because the gateway chooses the ids and must get
 * its path back unchanged. The extension is not significant: a JPEG may be a `.bin`.
 */
export function faultOfMediaPath(path: string): string | null {
  if (Buffer.byteLength(path) > MAX_MEDIA_PATH_BYTES) return `more than ${MAX_MEDIA_PATH_BYTES} bytes`;
  if (!path.isWellFormed()) return 'a lone surrogate';
  for (let decoded = path; ; ) {
    const fault = faultOfDecoded(decoded);
    if (fault !== null) return fault;
    const next = decodeOnce(decoded);
    if (next === decoded) return null;
    decoded = next;
  }
}

// A server that decodes the path once more must not find another path in it.
function faultOfDecoded(path: string): string | null {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(path)) return 'a control character';
  if (path.includes('\\')) return 'a backslash';
  const [root, ...rest] = path.split('/');
  if (root !== 'media' || rest.length === 0) return 'a path outside of media/';
  if (rest.some((segment) => segment === '.' || segment === '..')) return 'a dot segment';
  return rest.includes('') ? 'an empty segment' : null;
}

/** Decodes ASCII only, which includes dots, slashes, backslashes, control characters and `%`. */
function decodeOnce(path: string): string {
  return path.replace(/%([0-7][0-9a-f])/gi, (_encoded, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * The codes are documented (WA Gateway, "Errors": validation_error, invalid_api_key, forbidden, not_found,
 * device_not_connected …), but not the JSON around them. `{code}`, `{error:{code}}` and `{error:"code"}` are all
 * accepted.
 */
const errorBody = z
  .object({ code: z.unknown(), error: z.union([z.string(), z.object({ code: z.unknown() }).partial()]).catch('') })
  .partial();

const VERDICTS: ReadonlyMap<string | undefined, RefusalVerdict> = new Map([
  ['rate_limit_exceeded', 'throttled'],
  ['internal_error', 'temporary'],
  ['invalid_api_key', 'operator'],
  ['unauthorized', 'operator'],
  ['forbidden', 'operator'],
]);

/** A disconnected device may connect again, so this error is temporary. */
export const DEVICE_AWAY = 'device_not_connected';

export function readWaGatewayFault(response: BufferedResponse): UpstreamFault {
  const requestId = harmlessToken(response.headers['x-wa-request-id'] ?? response.headers['x-request-id']);
  try {
    const { code, error } = errorBody.parse(JSON.parse(response.body.toString('utf8')));
    const nested = typeof error === 'string' ? error : error?.code;
    const named = harmlessToken(nested) ?? harmlessToken(code);
    const verdict = VERDICTS.get(named);
    return { code: named, requestId, ...(verdict && { verdict }) };
  } catch {
    return { requestId };
  }
}
