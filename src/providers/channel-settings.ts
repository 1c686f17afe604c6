import { z } from 'zod';
import { CHANNEL_ID_PATTERN, MAX_TENANT_BYTES } from '../model/channel.js';
import { baseUrl, cidr, origin, text } from '../settings/texts.js';

export { headerName, headerText, httpUrl, text } from '../settings/texts.js';

/** What every channel has, whatever its provider. */
export const channelFields = {
  id: z
    .string()
    .regex(CHANNEL_ID_PATTERN, 'expected lower-case letters, digits and dashes, at most 63, not starting with a dash')
    .meta({ form: 'lower-case letters, digits and dashes, at most 63' })
    .describe(
      'Your name for the line. It is a part of message ids and media ids and of the webhook URL: changing it makes new media of all that is known.',
    ),
  tenant: text
    .refine((value) => value.isWellFormed() && Buffer.byteLength(value) <= MAX_TENANT_BYTES, {
      error: `expected a tenant of at most ${MAX_TENANT_BYTES} bytes of well-formed text`,
    })
    .default('default')
    .describe(
      'Who owns the line. A caller sees the channels of its own tenant alone; the others do not exist for it. Without authentication everybody is `default`.',
    ),
  baseUrl: baseUrl.describe(
    "The provider's API. It is your word and trusted: credentials go there, also in a private network.",
  ),
};

/** What every channel's `options` may have. */
export const channelOptionFields = {
  allowPrivate: z
    .array(cidr)
    .readonly()
    .default([])
    .describe("Networks that this provider's answers may name although they are not public, on any port."),
  mediaOrigins: z
    .array(origin)
    .readonly()
    .optional()
    .describe(
      "Origins of media that get the channel's credentials besides that of `baseUrl`. Replaces the adapter's own list: an empty one sends them nowhere else.",
    ),
};
