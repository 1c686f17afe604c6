import { z } from 'zod';
import { channelFields, channelOptionFields, headerText, text } from '../channel-settings.js';

/** `v23.0`: a part of every path. */
const apiVersion = text.pipe(z.string().regex(/^v\d{1,3}\.\d{1,2}$/, 'expected a version such as v23.0'));

const credentials = z.strictObject({ token: headerText });

/** A `whatsapp-cloud` channel of the configuration file. */
export const whatsappCloudChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('whatsapp-cloud'),
  credentials,
  options: z.strictObject({
    ...channelOptionFields,
    apiVersion: apiVersion.default('v23.0'),
    /** Goes with every call, so that Meta answers for this number's media alone. */
    phoneNumberId: text.pipe(z.string().regex(/^\d{1,20}$/, 'expected digits')),
  }),
  /** `secret` is the app secret that signs; without `verifyToken` there is no `hub.challenge` handshake. */
  webhook: z.strictObject({ secret: text, verifyToken: text.optional() }).optional(),
});

/** A `chakra` channel of the configuration file. */
export const chakraChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('chakra'),
  credentials,
  options: z
    .strictObject({
      ...channelOptionFields,
      apiVersion: apiVersion.default('v19.0'),
      /** A part of the paths of Chakra's own upload. */
      pluginId: text
        .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'expected letters, digits, dashes and underscores'))
        .optional(),
    })
    .prefault({}),
  /** No signature is documented: `secret` is the `?token=` of the webhook's URL, and the verify token unless one is given. */
  webhook: z
    .strictObject({ secret: text, verifyToken: text.optional() })
    .transform(({ secret, verifyToken = secret }) => ({ secret, verifyToken }))
    .optional(),
});

export type WhatsAppChannel = z.infer<typeof whatsappCloudChannel> | z.infer<typeof chakraChannel>;
