import { z } from 'zod';
import { SECRET } from '../../settings/section.js';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `gupshup` channel of the configuration file. */
export const gupshupChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('gupshup'),
  credentials: z.strictObject({
    token: headerText.meta(SECRET).describe('The partner app token, sent without a prefix.'),
    header: z
      .enum(['authorization', 'token'])
      .default('authorization')
      .describe("The header that contains the token. The documentation's table and its samples use different headers."),
  }),
  options: z.strictObject({
    ...channelOptionFields,
    /** Restricted to the characters of app ids, because it is a part of every path. */
    appId: text
      .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected letters, digits, dashes and underscores'))
      .meta({ form: 'letters, digits, dashes and underscores' })
      .describe('The id of the app, a UUID. It is a part of every path. Webhooks of other apps are refused.'),
  }),
  webhook: z
    .strictObject({
      headerName: headerName
        .default('X-Webhook-Token')
        .describe('The header that the subscription sends with each webhook. Gupshup does not sign webhooks.'),
      // HTTP drops spaces at the ends of a header's value.
      secret: text
        .pipe(
          z
            .string()
            .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'expected visible ASCII without spaces at the ends'),
        )
        .meta({ ...SECRET, form: 'visible ASCII without spaces at the ends' })
        .describe('The complete value of that header.'),
    })
    .optional()
    .describe(
      'The webhook of the channel. Without this key, `/webhooks/<id>` answers 404, and the channel has no media.',
    ),
});

export type GupshupChannel = z.infer<typeof gupshupChannel>;
