import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { CHANNEL_ID_PATTERN } from '../model/channel.js';

/** A string that may be written as a YAML number (account numbers, numeric tokens). */
export const text = z.union([z.string(), z.number()]).transform(String).pipe(z.string().min(1, 'expected a non-empty text'));

/** A CIDR such as `10.0.0.0/8` or `fd00::/8`, kept as its text. */
export const cidr = z.string().refine(ipaddr.isValidCIDR, { error: 'expected a CIDR such as 127.0.0.0/8' });

/** An API's address: http(s), no credentials, no query; a trailing slash is dropped. */
export const baseUrl = z.string().transform((value, context) => {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    context.addIssue({ code: 'custom', message: 'expected an http or https URL' });
    return z.NEVER;
  }
  if (url.username || url.password || url.search || url.hash) {
    context.addIssue({ code: 'custom', message: 'expected a URL without user information, query and fragment' });
    return z.NEVER;
  }
  return url.href.replace(/\/+$/, '');
});

/** An origin such as `https://files.signalwire.com`: scheme, host and port, nothing else. */
const origin = baseUrl.refine((value) => new URL(value).origin === value, { error: 'expected an origin without a path' });

/** What every channel has, whatever its provider. */
export const channelFields = {
  id: z.string().regex(CHANNEL_ID_PATTERN, 'expected lower-case letters, digits and dashes, at most 63, not starting with a dash'),
  tenant: z.string().min(1).default('default'),
  baseUrl,
};

/** What every channel's `options` may have. */
export const channelOptionFields = {
  /** Networks that this provider's answers may name although they are not public, on any port. */
  allowPrivate: z.array(cidr).default([]),
  /** Replaces the adapter's own list of origins that get credentials besides that of `baseUrl`. */
  mediaOrigins: z.array(origin).optional(),
};
