import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { CHANNEL_ID_PATTERN, MAX_TENANT_BYTES } from '../model/channel.js';
import { parseUrl } from '../model/parse-url.js';

/** JavaScript rounds long integers. A rounded account number would silently address another account. */
const exactNumber = z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), {
  error: 'expected a text; a number of this length needs quotes',
});

/** A text that YAML may contain as a number (account numbers, numeric tokens). */
export const text = z
  .union([z.string(), exactNumber], { error: 'expected a text' })
  .transform(String)
  .pipe(z.string().min(1, 'expected a non-empty text'))
  .meta({ form: 'text' });

/** A header's value. A stray line break, as at the end of a secret's file, would make every call fail. */
export const headerText = text
  .pipe(z.string().regex(/^[\x21-\x7e]+$/, 'expected visible ASCII without spaces'))
  .meta({ form: 'visible ASCII without spaces' });

export const headerName = text
  .pipe(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header'))
  .meta({ form: 'the name of a header' });

/**
 * A CIDR such as `10.0.0.0/8` or `fd00::/8`, kept as written. Short forms are refused: `10/8` would mean `0.0.0.10/8`.
 */
export const cidr = z
  .string()
  .refine((value) => ipaddr.IPv4.isValidCIDRFourPartDecimal(value) || ipaddr.IPv6.isValidCIDR(value), {
    error: 'expected a CIDR such as 127.0.0.0/8',
  })
  .meta({ form: 'CIDR such as 127.0.0.0/8' });

/**
 * An http(s) URL, kept exactly as written, because providers sign or compare its text. It has no user information and
 * no fragment.
 */
export const httpUrl = z
  .string()
  .superRefine((value, context) => {
    const url = parseUrl(value);
    if (!url || !['http:', 'https:'].includes(url.protocol) || /\s/.test(value)) {
      context.addIssue({ code: 'custom', message: 'expected an http or https URL' });
    } else if (url.username || url.password || url.href.includes('#')) {
      context.addIssue({ code: 'custom', message: 'expected a URL without user information and fragment' });
    }
  })
  .meta({ form: 'an http or https URL' });

function withoutTrailingSlashes(address: string): string {
  let end = address.length;
  while (address[end - 1] === '/') end -= 1;
  return address.slice(0, end);
}

/** The base URL of an API: http(s), without credentials and query. A trailing slash is dropped. */
export const baseUrl = httpUrl
  .refine((value) => !value.includes('?'), { error: 'expected a URL without a query' })
  .transform((value) => withoutTrailingSlashes(new URL(value).href))
  .meta({ form: 'an http or https URL without a query' });

/** An origin such as `https://files.signalwire.com`: only scheme, host and port. */
export const origin = baseUrl
  .refine((value) => new URL(value).origin === value, { error: 'expected an origin without a path' })
  .meta({ form: 'origin such as https://files.example.com' });

/** The keys of every channel, for every provider. */
export const channelFields = {
  id: z
    .string()
    .regex(CHANNEL_ID_PATTERN, 'expected lower-case letters, digits and dashes, at most 63, not starting with a dash')
    .meta({ form: 'lower-case letters, digits and dashes, at most 63' })
    .describe(
      'Your name for the channel. It is a part of message ids, media ids and the webhook URL. After a change all known media count as new.',
    ),
  tenant: text
    .refine((value) => value.isWellFormed() && Buffer.byteLength(value) <= MAX_TENANT_BYTES, {
      error: `expected a tenant of at most ${MAX_TENANT_BYTES} bytes of well-formed text`,
    })
    .default('default')
    .describe(
      'The owner of the channel. A caller sees only the channels of its own tenant. Without authentication every caller has the tenant `default`.',
    ),
  baseUrl: baseUrl.describe(
    "The provider's API. It is trusted: credentials are sent there, even in a private network.",
  ),
};

/** The keys of every channel's `options`. */
export const channelOptionFields = {
  allowPrivate: z
    .array(cidr)
    .readonly()
    .default([])
    .describe("Private networks that URLs in this provider's answers may lead to, on any port."),
  mediaOrigins: z
    .array(origin)
    .readonly()
    .optional()
    .describe(
      "Origins of media, besides that of `baseUrl`, that receive the channel's credentials. Replaces the adapter's own list; with an empty list no other origin receives them.",
    ),
};
