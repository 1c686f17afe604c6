import { z } from 'zod';
import { SECRET } from '../../settings/section.js';
import { channelFields, channelOptionFields, headerText, text } from '../channel-settings.js';

/** `v23.0`: a part of every path. */
const apiVersion = text
  .pipe(z.string().regex(/^v\d{1,3}\.\d{1,2}$/, 'expected a version such as v23.0'))
  .meta({ form: 'a version such as v23.0' });

/** A `whatsapp-cloud` channel of the configuration file. */
export const whatsappCloudChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('whatsapp-cloud'),
  credentials: z.strictObject({
    token: headerText
      .meta(SECRET)
      .describe(
        'A system user token with `whatsapp_business_messaging`; sent as a Bearer token to `baseUrl` and to Meta’s media origin.',
      ),
  }),
  options: z.strictObject({
    ...channelOptionFields,
    apiVersion: apiVersion.default('v23.0').describe('The version of the Graph API. It is a part of every path.'),
    phoneNumberId: text
      .pipe(z.string().regex(/^\d{1,20}$/, 'expected digits'))
      .meta({ form: 'digits' })
      .describe(
        'The id of the phone number, not the number itself. It is sent with every call, so that Meta returns media of this number only. Webhooks of other numbers are ignored.',
      ),
  }),
  webhook: z
    .strictObject({
      secret: text.meta(SECRET).describe('The app secret, which signs every webhook.'),
      verifyToken: text
        .meta(SECRET)
        .optional()
        .describe(
          'Any text. Enter the same text next to the webhook’s URL at Meta. Without it, the server refuses Meta’s verification request, and Meta does not accept the URL.',
        ),
    })
    .optional()
    .describe(
      'The webhook of the channel. Without this key, `/webhooks/<id>` answers 404, and the channel has no media.',
    ),
});

/** A `chakra` channel of the configuration file. */
export const chakraChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('chakra'),
  credentials: z.strictObject({
    token: headerText.meta(SECRET).describe('The access token of an API key; sent as a Bearer token.'),
  }),
  options: z
    .strictObject({
      ...channelOptionFields,
      apiVersion: apiVersion
        .default('v19.0')
        .describe('The version of the pass-through to Meta. It is a part of every path.'),
      pluginId: text
        .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected letters, digits, dashes and underscores'))
        .meta({ form: 'letters, digits, dashes and underscores' })
        .optional()
        .describe(
          'The id of the WhatsApp plugin. With it, the server also sends uploads to Chakra, which publishes them at a public URL. Without it, this server keeps uploads itself.',
        ),
    })
    .prefault({}),
  webhook: z
    .strictObject({
      secret: text
        .meta(SECRET)
        .describe(
          'The `?token=` of the webhook’s URL, because Chakra documents no signature. Use letters and digits, which need no escaping.',
        ),
      verifyToken: text
        .meta(SECRET)
        .optional()
        .describe('The token of a verification request like Meta’s. Default: the secret.'),
    })
    .transform(({ secret, verifyToken = secret }) => ({ secret, verifyToken }))
    .optional()
    .describe(
      'The webhook of the channel. Without this key, `/webhooks/<id>` answers 404, and the channel has no media.',
    ),
});

export type WhatsAppChannel = z.infer<typeof whatsappCloudChannel> | z.infer<typeof chakraChannel>;
