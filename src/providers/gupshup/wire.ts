import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { retryAfterMs } from '../../net/client/retry-after.js';
import { isMediaId } from '../toolkit/meta-media.js';
import { MAX_RETRY_AFTER_MS } from '../toolkit/provider-call.js';

/** "Cooldown 1 hour" (partner-docs.gupshup.io, media-management). */
const LOCK_OUT_MS = 60 * 60 * 1000;

/**
 * Returns how long a 429 asks to wait. The time comes from "New quota will be available on {epoch}" in
 * `{"status":"error","message":"Api rate limit reached due to multiple invalid calls. …"}`, else from Retry-After, else
 * it is an hour. The unit of the epoch is undocumented: ten digits count as seconds, thirteen as milliseconds.
 */
export function quotaWaitMs(response: BufferedResponse, nowMs: number): number {
  const epochMs = epochMsIn(response.body.subarray(0, MAX_MESSAGE_BYTES).toString('utf8'));
  const waitMs = epochMs > nowMs ? epochMs - nowMs : retryAfterMs(response.headers['retry-after'], nowMs);
  return waitMs !== null && waitMs <= MAX_RETRY_AFTER_MS ? waitMs : LOCK_OUT_MS;
}

const BEFORE_EPOCH = 'quota will be available on';
/** Characters between these words and the number: a blank, a colon, a quotation mark. */
const MAX_BETWEEN = 8;

/** Returns 0 where the text contains no time. */
function epochMsIn(text: string): number {
  const at = text.toLowerCase().indexOf(BEFORE_EPOCH);
  const rest = at < 0 ? '' : text.slice(at + BEFORE_EPOCH.length);
  const start = rest.search(/\d/);
  if (start < 0 || start > MAX_BETWEEN) return 0;
  const [digits = ''] = rest.slice(start).split(/\D/, 1);
  return digits.length === 10 ? Number(digits) * 1000 : digits.length === 13 ? Number(digits) : 0;
}

/** `{"mediaId":"1852559851913765","status":"success"}` (partner-docs.gupshup.io, post_partner-app-appid-media). */
export const gupshupUpload = z.object({ mediaId: z.string().refine(isMediaId) });

export interface UploadAdvice {
  readonly code: 'PROVIDER_REJECTED' | 'PROVIDER_UNAVAILABLE';
  readonly retryable: boolean;
  readonly message: string;
}

/**
 * Advice for the operator, by the text of a documented upload refusal (partner-docs.gupshup.io,
 * post_partner-app-appid-media).
 */
const ADVICE: ReadonlyArray<UploadAdvice & { readonly providerText: string }> = [
  {
    providerText: 'only capi apps allowed',
    code: 'PROVIDER_REJECTED',
    retryable: false,
    message:
      "the provider makes media ids for apps on WhatsApp's Cloud API (CAPI) alone, and this channel's app is on another: have Gupshup move the app to the Cloud API, or send its media by their URL",
  },
  {
    providerText: 'unable to upload requested media',
    code: 'PROVIDER_UNAVAILABLE',
    retryable: true,
    message:
      'the provider could not fetch the media from this server, or could not hand it to WhatsApp: make sure that delivery URLs can be reached from the internet, and upload again',
  },
];
const MAX_MESSAGE_BYTES = 2_000;

/** Returns advice for a refused upload; null for an undocumented refusal. */
export function uploadAdvice({ body }: Pick<BufferedResponse, 'body'>): UploadAdvice | null {
  const text = body.subarray(0, MAX_MESSAGE_BYTES).toString('utf8').toLowerCase();
  return ADVICE.find(({ providerText }) => text.includes(providerText)) ?? null;
}

/**
 * Classifies the response to a deletion. `gone` includes a media that never existed: the API has no 404 but the
 * documented "Failed to delete media" with 400. `blocked` is a 429, or a 400 with "temporarily blocked … due to
 * previous errors". Source: partner-docs.gupshup.io, delete_partner-app-appid-media-mediaid.
 */
export function deletionVerdict({ statusCode, body }: BufferedResponse): 'gone' | 'blocked' | 'refused' {
  const text = body.toString('utf8');
  if (statusCode === 429 || (statusCode === 400 && /temporarily blocked/i.test(text))) return 'blocked';
  if (statusCode === 200) return /"status"\s*:\s*"success"/.test(text) ? 'gone' : 'refused';
  return statusCode === 400 && /failed to delete media/i.test(text) ? 'gone' : 'refused';
}
