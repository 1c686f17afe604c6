import type { MediagraphError } from '../../model/errors.js';
import type { BufferedResponse } from '../../net/buffered-response.js';
import { retryAfterMs } from '../../net/retry-after.js';
import { isFileTypeRefusal } from '../meta-media.js';
import type { ProviderFaults } from '../provider-call.js';
import { readGraphFault } from './wire.js';

const INVALID_TOKEN = '190';
/** Of the app, of the business account, of the number. */
const THROTTLES: ReadonlySet<string | undefined> = new Set(['4', '80007', '130429']);

/**
 * What the Graph API refused, by its own code first: its statuses say less, and a media that is gone or was never there
 * is a 400 (GraphMethodException, code 100, subcode 33), not a 404. Source: recorded answers, Graph API v19 and v20;
 * Meta's list of error codes.
 */
export function graphRefusal(response: BufferedResponse, asked: string, faults: ProviderFaults): MediagraphError {
  const byStatus = faults.ofStatus(response, asked);
  const { details } = byStatus;
  const { code, subcode } = readGraphFault(response);
  if (code === '100' && subcode === '33' && response.statusCode < 500) return gone(faults, details);
  if (code === INVALID_TOKEN)
    return faults.error('PROVIDER_CREDENTIALS', `the provider refused the channel's credentials for ${asked}`, details);
  if (THROTTLES.has(code)) {
    const waitMs = retryAfterMs(response.headers['retry-after'], Date.now());
    const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
    return faults.error('PROVIDER_RATE_LIMITED', `the provider's rate limit was reached for ${asked}`, {
      ...details,
      ...wait,
      retryable: true,
    });
  }
  return response.statusCode === 404 && !isHtml(response) ? gone(faults, details) : byStatus;
}

/** Like {@link graphRefusal}, for an upload: what is unknown then is the number that was posted to. */
export function uploadRefusal(response: BufferedResponse, asked: string, faults: ProviderFaults): MediagraphError {
  const byStatus = faults.ofStatus(response, asked);
  if (response.statusCode === 413)
    return faults.error('MEDIA_TOO_LARGE', 'the media is larger than the provider takes', byStatus.details);
  if (isFileTypeRefusal(response))
    return faults.error('CONTENT_TYPE_NOT_ALLOWED', 'the provider does not take media of this type', byStatus.details);
  const refusal = graphRefusal(response, asked, faults);
  return refusal.code === 'MEDIA_NOT_FOUND' ? byStatus : refusal;
}

/**
 * Whether a deletion was refused because there is no such media: besides the answers that a look-up gets, 400 with code
 * 100 and "Invalid post_id parameter" (recorded, Graph API v20). Other parameters may be invalid, too: then it is there.
 */
export function isGone(refusal: MediagraphError, response: BufferedResponse): boolean {
  const { code, message = '' } = readGraphFault(response);
  return refusal.code === 'MEDIA_NOT_FOUND' || (code === '100' && /invalid post_id/i.test(message));
}

function gone(faults: ProviderFaults, details: MediagraphError['details']): MediagraphError {
  return faults.error('MEDIA_NOT_FOUND', 'the provider does not have this media (any more)', details);
}

// Private: a page says that no API answered, so its 404 is about the path and not about the media.
function isHtml(response: BufferedResponse): boolean {
  return (response.headers['content-type'] ?? '').startsWith('text/html');
}
