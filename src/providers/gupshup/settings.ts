import { z } from 'zod';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `gupshup` channel of the configuration file. */
export const gupshupChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('gupshup'),
  credentials: z.strictObject({
    token: headerText.describe('The partner app token, sent bare.'),
    header: z
      .enum(['authorization', 'token'])
      .default('authorization')
      .describe("The header that bears it: the documentation's table says one, its samples the other."),
  }),
  options: z.strictObject({
    ...channelOptionFields,
    /** Restricted to the characters of app ids, because it is a part of every path. */
    appId: text
      .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected letters, digits, dashes and underscores'))
      .meta({ form: 'letters, digits, dashes and underscores' })
      .describe('The app, a UUID; a part of every path. Webhooks of other apps are refused.'),
  }),
  webhook: z
    .strictObject({
      headerName: headerName
        .default('X-Webhook-Token')
        .describe('A header that the subscription was told to send with each webhook: Gupshup signs nothing.'),
      // HTTP drops spaces at the ends of a header's value.
      secret: text
        .pipe(
          z
            .string()
            .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'expected visible ASCII without spaces at the ends'),
        )
        .meta({ form: 'visible ASCII without spaces at the ends' })
        .describe("That header's whole value."),
    })
    .optional()
    .describe('Left out: `/webhooks/<id>` answers 404, and no media is ever known on this channel.'),
});

export type GupshupChannel = z.infer<typeof gupshupChannel>;
