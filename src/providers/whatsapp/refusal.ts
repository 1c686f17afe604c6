import type { MediagraphError } from '../../model/errors.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { graphVerdict, readGraphError } from '../toolkit/graph-error.js';
import { isFileTypeRefusal } from '../toolkit/meta-media.js';
import type { ProviderFaults } from '../toolkit/provider-call.js';

/**
 * What the Graph API refused, by its own code first: its statuses say less, and a media that is gone, was never there, or is
 * not permitted is a 400 (GraphMethodException, code 100, subcode 33), not a 404. Whether that is the end is not said here.
 * Source: recorded answers, Graph API v19 and v20; Meta's list of error codes.
 */
export function graphRefusal(response: BufferedResponse, asked: string, faults: ProviderFaults): MediagraphError {
  const refusal = faults.ofStatus(response, asked);
  const verdict = graphVerdict(response);
  const isPlain404 = verdict === null && response.statusCode === 404 && !isHtml(response);
  if (response.statusCode >= 500 || (verdict !== 'absent' && !isPlain404)) return refusal;
  return faults.error(
    'MEDIA_NOT_FOUND',
    'expected this media, got word of the provider that it does not have it (any more)',
    refusal.details,
  );
}

/** Like {@link graphRefusal}, for an upload: what is unknown then is the number that was posted to. */
export function uploadRefusal(response: BufferedResponse, asked: string, faults: ProviderFaults): MediagraphError {
  const refusal = faults.ofStatus(response, asked);
  // What is too large, or of such a type, stays so, whatever else the body says.
  const final = { ...refusal.details, retryable: false };
  if (response.statusCode === 413)
    return faults.error(
      'MEDIA_TOO_LARGE',
      'expected a media of a size that the provider takes, got a larger one',
      final,
    );
  if (isFileTypeRefusal(response))
    return faults.error(
      'CONTENT_TYPE_NOT_ALLOWED',
      'expected a media of a type that the provider takes, got another',
      final,
    );
  return refusal;
}

/**
 * Whether a deletion was refused because there is no such media: besides the answers that a look-up gets, 400 with code
 * 100 and "Invalid post_id parameter" (recorded, Graph API v20). Other parameters may be invalid, too: then it is there.
 */
export function isGone(refusal: MediagraphError, response: BufferedResponse): boolean {
  const { code, message = '' } = readGraphError(response) ?? {};
  return refusal.code === 'MEDIA_NOT_FOUND' || (code === '100' && message.toLowerCase().includes('invalid post_id'));
}

/**
 * Whether a call was refused because of the number that went with it: "(#100) Param phone_number_id is not a valid whatsapp
 * business phone number id ID" (github.com/chatwoot/chatwoot/pull/13319), or an object by that number's id. A media that is
 * another number's is refused in other words, and stays refused.
 */
export function refusesNumber(response: BufferedResponse, phoneNumberId: string): boolean {
  const verdict = graphVerdict(response);
  if (verdict !== null && verdict !== 'absent') return false;
  const told = (readGraphError(response)?.message ?? '').toLowerCase();
  return [`'${phoneNumberId}'`, 'phone_number_id', 'phone number id'].some((words) => told.includes(words));
}

// A page says that no API answered, so its 404 is about the path and not about the media.
function isHtml(response: BufferedResponse): boolean {
  return (response.headers['content-type'] ?? '').startsWith('text/html');
}
