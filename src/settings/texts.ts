import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { parseUrl } from '../model/text/parse-url.js';

/** JavaScript rounds integers above 2^53, and a rounded account number would name another account. */
const exactNumber = z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), {
  error: 'expected a text; a number of this length needs quotes',
});

/** A string that may be written as a YAML number, as account numbers and numeric tokens are. */
export const text = z
  .union([z.string(), exactNumber], { error: 'expected a text' })
  .transform(String)
  .pipe(z.string().min(1, 'expected a non-empty text'))
  .meta({ form: 'text' });

/** A header's value. Files of secrets often end with a line break, which would make every call fail. */
export const headerText = text
  .pipe(z.string().regex(/^[\x21-\x7e]+$/, 'expected visible ASCII without spaces'))
  .meta({ form: 'visible ASCII without spaces' });

export const headerName = text
  .pipe(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header'))
  .meta({ form: 'the name of a header' });

/** A CIDR such as `10.0.0.0/8` or `fd00::/8`, kept as text. Short forms are refused, since `10/8` would mean `0.0.0.10/8`. */
export const cidr = z
  .string()
  .refine((value) => ipaddr.IPv4.isValidCIDRFourPartDecimal(value) || ipaddr.IPv6.isValidCIDR(value), {
    error: 'expected a CIDR such as 127.0.0.0/8',
  })
  .meta({ form: 'CIDR such as 127.0.0.0/8' });

/** An http(s) URL without user information and fragment, kept as it was written: providers sign and compare its text. */
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

/** The address of an API: http(s), without credentials and query. Trailing slashes are removed. */
export const baseUrl = httpUrl
  .refine((value) => !value.includes('?'), { error: 'expected a URL without a query' })
  .transform((value) => withoutTrailingSlashes(new URL(value).href))
  .meta({ form: 'an http or https URL without a query' });

/** An origin such as `https://files.signalwire.com`: scheme, host and port only. */
export const origin = baseUrl
  .refine((value) => new URL(value).origin === value, { error: 'expected an origin without a path' })
  .meta({ form: 'origin such as https://files.example.com' });

/** An address or a name to listen on. */
export const host = text
  .refine((value) => isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$/.test(value), {
    error: 'expected an address or a host name, without port and brackets',
  })
  .meta({ form: 'an address or a host name' });

/** An entry of a CORS list. */
export const corsOrigin = z.union([z.literal('*'), origin], {
  error: 'expected "*" or an origin such as https://app.example.com',
});
