import { z } from 'zod';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `gupshup` channel of the configuration file. */
export const gupshupChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('gupshup'),
  credentials: z.strictObject({
    token: headerText,
    /** Which header bears the app token, bare: the documentation's table says one, its samples the other. */
    header: z.enum(['authorization', 'token']).default('authorization'),
  }),
  options: z.strictObject({
    ...channelOptionFields,
    /** Goes into every path of the Partner API, so it is held to what app ids look like. */
    appId: text.pipe(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected letters, digits, dashes and underscores')),
  }),
  /** Gupshup signs nothing: it sends the static header that the subscription was given. */
  webhook: z
    .strictObject({
      headerName: headerName.default('X-Webhook-Token'),
      /** The header's whole value; no space at its ends, where HTTP would drop it. */
      secret: text.pipe(
        z
          .string()
          .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'expected visible ASCII without spaces at the ends'),
      ),
    })
    .optional(),
});

export type GupshupChannel = z.infer<typeof gupshupChannel>;
