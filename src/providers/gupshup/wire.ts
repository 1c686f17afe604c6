import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { retryAfterMs } from '../../net/client/retry-after.js';
import { isMediaId } from '../toolkit/meta-media.js';

/** "Cooldown 1 hour" (partner-docs.gupshup.io, media-management). */
const LOCK_OUT_MS = 60 * 60 * 1000;
/** A time beyond this is a mistake, and would silence the channel for as long. */
const LONGEST_WAIT_MS = 24 * LOCK_OUT_MS;

/**
 * How long a 429 asks to wait, from the words "New quota will be available on {epoch}" of
 * `{"status":"error","message":"Api rate limit reached due to multiple invalid calls. …"}`, else from Retry-After, else
 * an hour. The unit of the epoch is not documented: ten digits are seconds, thirteen milliseconds.
 */
export function quotaWaitMs(response: BufferedResponse, nowMs: number): number {
  const epochMs = epochMsTold(response.body.subarray(0, MAX_MESSAGE_BYTES).toString('utf8'));
  const waitMs = epochMs > nowMs ? epochMs - nowMs : retryAfterMs(response.headers['retry-after'], nowMs);
  return waitMs !== null && waitMs <= LONGEST_WAIT_MS ? waitMs : LOCK_OUT_MS;
}

const BEFORE_EPOCH = 'quota will be available on';
/** Between these words and the number: a blank, a colon, a quotation mark. */
const MAX_BETWEEN = 8;

/** 0 where no time is told. */
function epochMsTold(text: string): number {
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
 * What its documented refusals of an upload mean to an operator, in our words, by theirs (partner-docs.gupshup.io,
 * post_partner-app-appid-media).
 */
const ADVICE: ReadonlyArray<UploadAdvice & { readonly theirs: string }> = [
  {
    theirs: 'only capi apps allowed',
    code: 'PROVIDER_REJECTED',
    retryable: false,
    message:
      "the provider makes media ids for apps on WhatsApp's Cloud API (CAPI) alone, and this channel's app is on another: have Gupshup move the app to the Cloud API, or send its media by their URL",
  },
  {
    theirs: 'unable to upload requested media',
    code: 'PROVIDER_UNAVAILABLE',
    retryable: true,
    message:
      'the provider could not fetch the media from this server, or could not hand it to WhatsApp: make sure that delivery URLs can be reached from the internet, and upload again',
  },
];
const MAX_MESSAGE_BYTES = 2_000;

/** What to do about a refused upload; null where the refusal is none that is documented. */
export function uploadAdvice({ body }: Pick<BufferedResponse, 'body'>): UploadAdvice | null {
  const told = body.subarray(0, MAX_MESSAGE_BYTES).toString('utf8').toLowerCase();
  return ADVICE.find(({ theirs }) => told.includes(theirs)) ?? null;
}

/**
 * What an answer to a deletion means: `gone` also for a media that was never there, which is the documented "Failed to
 * delete media" with 400, there being no 404; `blocked` for 429, and for 400 with "temporarily blocked … due to previous
 * errors". Source: partner-docs.gupshup.io, delete_partner-app-appid-media-mediaid.
 */
export function deletionVerdict({ statusCode, body }: BufferedResponse): 'gone' | 'blocked' | 'refused' {
  const told = body.toString('utf8');
  if (statusCode === 429 || (statusCode === 400 && /temporarily blocked/i.test(told))) return 'blocked';
  if (statusCode === 200) return /"status"\s*:\s*"success"/.test(told) ? 'gone' : 'refused';
  return statusCode === 400 && /failed to delete media/i.test(told) ? 'gone' : 'refused';
}
