import { z } from 'zod';
import { channelFields, channelOptionFields, httpUrl, text } from '../channel-settings.js';

const lamlFields = {
  ...channelFields,
  credentials: z.strictObject({
    /** Goes into every path, so it is held to what account SIDs and project ids look like. */
    accountSid: text.pipe(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected letters, digits and dashes')),
    username: text,
    password: text,
  }),
  options: z.strictObject(channelOptionFields).prefault({}),
  /** `url` is what the provider was told to call: its signature covers the text, so not even a slash may change. */
  webhook: z.strictObject({ secret: text, url: httpUrl.optional() }).optional(),
};

/** A `signalwire` channel of the configuration file. */
export const signalwireChannel = z.strictObject({ ...lamlFields, provider: z.literal('signalwire') });

/** A `twilio` channel of the configuration file: the same keys. */
export const twilioChannel = z.strictObject({ ...lamlFields, provider: z.literal('twilio') });

export type LamlChannel = z.infer<typeof signalwireChannel> | z.infer<typeof twilioChannel>;
