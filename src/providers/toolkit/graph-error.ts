import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { MAX_ENVELOPE_BYTES } from './error-body.js';
import { harmlessToken } from './harmless-token.js';

/** Meta's error envelope, as sent by Meta and forwarded by its partners. */
export interface GraphFault {
  readonly code?: string;
  readonly subcode?: string;
  readonly requestId?: string;
  /**
   * The provider's own text, for recognition only, of at most {@link MAX_TEXT_CHARACTERS} characters. It is never
   * passed to callers.
   */
  readonly message?: string;
  /** "Indicates whether the error is transient" (Graph API, "Handle errors"). */
  readonly isTransient: boolean;
}

/**
 * `throttled`: a rate limit. `temporary`: a failure of the provider. `operator`: the operator must fix it. `absent`:
 * gone or not permitted, which Meta does not distinguish.
 */
export type RefusalVerdict = 'throttled' | 'temporary' | 'operator' | 'absent';

const MAX_TEXT_CHARACTERS = 1_000;

/**
 * Limits of the app (4), the user (17), a page (32) and the application as a whole (341), a temporarily blocked action
 * (368), a custom limit (613) and a number's throughput (130429). Business use cases have 80000 to 80014 (Graph API,
 * "Rate limits").
 */
const THROTTLES: ReadonlySet<number> = new Set([4, 17, 32, 341, 368, 613, 130429]);
/**
 * "Unknown error" and "Service temporarily unavailable" of the Graph API; "Something went wrong", "Service unavailable"
 * and "maintenance mode" of the Cloud API.
 */
const TEMPORARY: ReadonlySet<number> = new Set([1, 2, 131000, 131016, 131057]);
/**
 * No session (0, 102, 190), no capability (3), no permission (10, 131005), a locked account (131031). The codes 200 to
 * 299 are permissions too.
 */
const OPERATORS: ReadonlySet<number> = new Set([0, 3, 10, 102, 190, 131005, 131031]);

const envelope = z.object({
  error: z
    .object({
      code: z.unknown(),
      error_subcode: z.unknown(),
      fbtrace_id: z.unknown(),
      message: z.unknown(),
      is_transient: z.unknown(),
      error_data: z.object({ details: z.unknown() }).partial().nullish().catch(null),
      error_user_msg: z.unknown(),
    })
    .partial(),
});

/** Parses Meta's error envelope; null for any other body. */
export function readGraphError({ body }: Pick<BufferedResponse, 'body'>): GraphFault | null {
  if (body.length === 0 || body.length > MAX_ENVELOPE_BYTES) return null;
  try {
    const { error } = envelope.parse(JSON.parse(body.toString('utf8')));
    const texts = [error.message, error.error_user_msg, error.error_data?.details].filter(isText);
    return {
      code: harmlessToken(error.code),
      subcode: harmlessToken(error.error_subcode),
      requestId: harmlessToken(error.fbtrace_id),
      isTransient: error.is_transient === true,
      ...(texts.length > 0 && { message: texts.join(' ').slice(0, MAX_TEXT_CHARACTERS) }),
    };
  } catch {
    return null;
  }
}

/**
 * Classifies a refusal by its error code, for any HTTP status; null where the code decides nothing. Some partners
 * forward only the text, "(#130429) Rate limit hit"; the code is then read from it. Sources: Graph API, "Handle errors"
 * and "Rate limits"; Cloud API, "Error codes".
 */
export function graphVerdict(response: Pick<BufferedResponse, 'body'>): RefusalVerdict | null {
  const fault = readGraphError(response);
  const code = Number(codeOf(fault) ?? codeInText(response.body) ?? Number.NaN);
  if (THROTTLES.has(code) || (code >= 80_000 && code <= 80_014)) return 'throttled';
  if (TEMPORARY.has(code) || fault?.isTransient) return 'temporary';
  if (OPERATORS.has(code) || (code >= 200 && code <= 299)) return 'operator';
  return code === 100 && fault?.subcode === '33' ? 'absent' : null;
}

/** Only numeric codes are Meta's. Its partners use words for their own errors. */
function codeOf(fault: GraphFault | null): string | null {
  return fault?.code !== undefined && /^\d{1,9}$/.test(fault.code) ? fault.code : null;
}

function codeInText(body: Buffer): string | null {
  const text = body.subarray(0, MAX_TEXT_CHARACTERS).toString('utf8').trimStart();
  // An HTML page comes from another server in front of the provider.
  return text.startsWith('<') ? null : (/\(#(\d{1,9})\)/.exec(text)?.[1] ?? null);
}

const usages = z.record(z.string(), z.array(z.object({ estimated_time_to_regain_access: z.number() }).partial()));
const MAX_USAGE_CHARACTERS = 8_192;

/**
 * Reads from `X-Business-Use-Case-Usage`, in minutes, when calls are allowed again ("Rate limits"); null = it does not
 * say.
 */
export function regainAccessMs(headers: IncomingHttpHeaders): number | null {
  const header = headers['x-business-use-case-usage'];
  if (typeof header !== 'string' || header.length > MAX_USAGE_CHARACTERS) return null;
  try {
    const minutes = Object.values(usages.parse(JSON.parse(header))).flatMap((cases) =>
      cases.map((usage) => usage.estimated_time_to_regain_access ?? 0),
    );
    const longest = Math.max(0, ...minutes);
    return longest > 0 ? longest * 60_000 : null;
  } catch {
    return null;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
