import { z } from 'zod';
import { CHANNEL_ID_PATTERN, MAX_TENANT_BYTES } from '../model/channel.js';
import { baseUrl, cidr, origin, text } from '../settings/texts.js';
import { DAY_MS, duration } from '../settings/units.js';

export { headerName, headerText, httpUrl, text } from '../settings/texts.js';

/** The keys of every channel, for every provider. */
export const channelFields = {
  id: z
    .string()
    .regex(CHANNEL_ID_PATTERN, 'expected lower-case letters, digits and dashes, at most 63, not starting with a dash')
    .meta({ form: 'lower-case letters, digits and dashes, at most 63' })
    .describe(
      'Your name for the channel. Message ids, media ids and the webhook URL contain it. When you change it, the server treats all known media as new.',
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
    "The URL of the provider's API. The server trusts it and sends credentials to it, even in a private network.",
  ),
  retention: duration({ minMs: 1_000, maxMs: 36_500 * DAY_MS, example: '30d' })
    .nullable()
    .optional()
    .describe(
      'The time after which media of this channel expires. The shortest of this, `tenants.<tenant>.retention` and `retention.default` applies.',
    ),
};

/** The keys of every channel's `options`. */
export const channelOptionFields = {
  allowPrivate: z
    .array(cidr)
    .readonly()
    .default([])
    .describe(
      "Private networks that the server may connect to when a URL in this provider's responses leads there, on any port.",
    ),
  mediaOrigins: z
    .array(origin)
    .readonly()
    .optional()
    .describe(
      "Further origins of media that receive the channel's credentials, in addition to the origin of `baseUrl`. This list replaces the adapter's built-in list; with an empty list no other origin receives the credentials.",
    ),
};
