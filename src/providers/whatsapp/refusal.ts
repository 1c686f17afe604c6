import type { MediagraphError } from '../../model/errors.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { isHtmlPage } from '../toolkit/error-body.js';
import { graphVerdict, readGraphError } from '../toolkit/graph-error.js';
import { isFileTypeRefusal } from '../toolkit/meta-media.js';
import type { ProviderFaults } from '../toolkit/provider-call.js';

/**
 * Translates a refusal of the Graph API by its error code, which says more than the status. A media that is gone, never
 * existed or is not permitted is a 400 (GraphMethodException, code 100, subcode 33), not a 404. Whether the absence is
 * final is decided elsewhere. Source: recorded answers, Graph API v19 and v20; Meta's list of error codes.
 */
export function graphRefusal(response: BufferedResponse, subject: string, faults: ProviderFaults): MediagraphError {
  const refusal = faults.ofStatus(response, subject);
  const verdict = graphVerdict(response);
  const isPlain404 = verdict === null && response.statusCode === 404 && !isHtmlPage(response);
  if (response.statusCode >= 500 || (verdict !== 'absent' && !isPlain404)) return refusal;
  return faults.error(
    'MEDIA_NOT_FOUND',
    'expected this media, got the answer that the provider does not have it (any more)',
    refusal.details,
  );
}

/** Translates a refusal of an upload. Unlike in {@link graphRefusal}, an unknown object is the number in the path. */
export function uploadRefusal(response: BufferedResponse, subject: string, faults: ProviderFaults): MediagraphError {
  const refusal = faults.ofStatus(response, subject);
  // A wrong size or type is final, whatever else the body says.
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
 * Whether a deletion failed because the media does not exist. Besides the answers of a look-up this is 400 with code
 * 100 and "Invalid post_id parameter" (recorded, Graph API v20). Other invalid parameters do not mean that the media is
 * gone.
 */
export function isGone(refusal: MediagraphError, response: BufferedResponse): boolean {
  const { code, message = '' } = readGraphError(response) ?? {};
  return refusal.code === 'MEDIA_NOT_FOUND' || (code === '100' && message.toLowerCase().includes('invalid post_id'));
}

/**
 * Whether a call was refused because of its phone number id: "(#100) Param phone_number_id is not a valid whatsapp
 * business phone number id ID" (github.com/chatwoot/chatwoot/pull/13319), or an unknown object with that id. A media of
 * another number is refused with other words, and is not retried.
 */
export function refusesNumber(response: BufferedResponse, phoneNumberId: string): boolean {
  const verdict = graphVerdict(response);
  if (verdict !== null && verdict !== 'absent') return false;
  const text = (readGraphError(response)?.message ?? '').toLowerCase();
  return [`'${phoneNumberId}'`, 'phone_number_id', 'phone number id'].some((words) => text.includes(words));
}
