import { z } from 'zod';
import { SECRET } from '../../settings/section.js';
import { channelFields, channelOptionFields, httpUrl, text } from '../channel-settings.js';

const lamlFields = {
  ...channelFields,
  credentials: z.strictObject({
    /** Restricted to the characters of account SIDs and project ids, because it is a part of every path. */
    accountSid: text
      .pipe(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected letters, digits and dashes'))
      .meta({ form: 'letters, digits and dashes' })
      .describe("SignalWire's project id, or Twilio's account SID (`AC…`). It is a part of every path."),
    username: text.describe("SignalWire's project id, or Twilio's API key SID or account SID."),
    password: text
      .meta(SECRET)
      .describe("SignalWire's API token with the scope Messaging, or Twilio's API key secret or auth token."),
  }),
  options: z.strictObject(channelOptionFields).prefault({}),
  webhook: z
    .strictObject({
      secret: text
        .meta(SECRET)
        .describe("The key that signs webhooks: SignalWire's signing key, or Twilio's primary auth token."),
      url: httpUrl
        .optional()
        .describe(
          'The URL exactly as configured at the provider. The signature covers its text, so even a slash matters. By default it is built from `server.publicUrl` and the request.',
        ),
    })
    .optional()
    .describe('The webhook of the channel. Without this key, `/webhooks/<id>` answers 404.'),
};

/** A `signalwire` channel of the configuration file. */
export const signalwireChannel = z.strictObject({ ...lamlFields, provider: z.literal('signalwire') });

/** A `twilio` channel of the configuration file: the same keys. */
export const twilioChannel = z.strictObject({ ...lamlFields, provider: z.literal('twilio') });

export type LamlChannel = z.infer<typeof signalwireChannel> | z.infer<typeof twilioChannel>;
