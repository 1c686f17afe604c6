import { z } from 'zod';
import { SECRET } from '../../settings/section.js';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `wa-gateway` channel of the configuration file. */
export const waGatewayChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('wa-gateway'),
  credentials: z.strictObject({
    token: headerText
      .meta(SECRET)
      .describe('The token of one app, sent as a Bearer token. It gives no access to media of other apps.'),
  }),
  options: z.strictObject(channelOptionFields).prefault({}),
  webhook: z
    .strictObject({
      secret: text.meta(SECRET).describe('The webhook secret of the app.'),
      signatureHeader: headerName
        .default('X-WA-Signature')
        .describe('The header with the signature, the hexadecimal HMAC-SHA256 of the raw body.'),
    })
    .optional()
    .describe(
      'The webhook of the channel. Without this key, `/webhooks/<id>` answers 404, and the channel has no media.',
    ),
});

export type WaGatewayChannel = z.infer<typeof waGatewayChannel>;
