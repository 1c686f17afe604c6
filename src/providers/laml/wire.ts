import { z } from 'zod';
import { MAX_PROVIDER_MEDIA_ID_BYTES } from '../../model/ids.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { RefusalVerdict } from '../toolkit/graph-error.js';
import { harmlessToken } from '../toolkit/harmless-token.js';
import type { UpstreamFault } from '../toolkit/provider-call.js';

/**
 * A media of `media_list`. SIDs need not be UUIDs: SignalWire's own example is none. They become parts of paths and of
 * media ids, hence the strict alphabet and length.
 */
const lamlMedia = z.object({
  sid: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/)
    .max(MAX_PROVIDER_MEDIA_ID_BYTES),
  content_type: z.string().nullish().catch(null),
  /** RFC 2822, `+0000`. */
  date_created: z.string().nullish().catch(null),
});

/** "Retrieve Message Media". The caller knows the SID, and any other field may be missing. */
export const lamlMediaDetails = lamlMedia.pick({ content_type: true });

/** `GET …/Messages/{M}/Media.json`: one page. Twilio adds `start` and `end`. */
export const lamlMediaPage = z.object({
  media_list: z.array(lamlMedia),
  /** A path without a host. The documentation allows no other way to the next page. */
  next_page_uri: z.string().nullish(),
});

export type LamlMedia = z.infer<typeof lamlMedia>;
export type LamlMediaDetails = z.infer<typeof lamlMediaDetails>;
export type LamlMediaPage = z.infer<typeof lamlMediaPage>;

/** "Media deletion while the message is in progress": queued or initiated. The status is 400 or 422. */
export const MESSAGE_IN_PROGRESS = '20009';

/** "Too many requests" and "Permission denied", with any status (Twilio's and SignalWire's lists of error codes). */
const VERDICTS: ReadonlyMap<string | undefined, RefusalVerdict> = new Map([
  ['20429', 'throttled'],
  ['20003', 'operator'],
]);

/** `{"code":20404,"message":…,"more_info":…,"status":404}` */
const errorBody = z.object({ code: z.unknown() });

export function readLamlFault(response: BufferedResponse): UpstreamFault {
  const requestId = harmlessToken(response.headers['twilio-request-id'] ?? response.headers['x-request-id']);
  try {
    const code = harmlessToken(errorBody.parse(JSON.parse(response.body.toString('utf8'))).code);
    const verdict = VERDICTS.get(code);
    return { code, requestId, ...(verdict && { verdict }) };
  } catch {
    return { requestId };
  }
}
