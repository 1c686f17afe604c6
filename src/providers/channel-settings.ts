import { z } from 'zod';
import { CHANNEL_ID_PATTERN, MAX_TENANT_BYTES } from '../model/channel.js';
import { baseUrl, cidr, origin, text } from '../settings/texts.js';

export { headerName, headerText, httpUrl, text } from '../settings/texts.js';

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
