import { z } from 'zod';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `wa-gateway` channel of the configuration file. */
export const waGatewayChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('wa-gateway'),
  /** The token of one app: media of other apps are refused to it. */
  credentials: z.strictObject({ token: headerText }),
  options: z.strictObject(channelOptionFields).prefault({}),
  webhook: z.strictObject({ secret: text, signatureHeader: headerName.default('X-WA-Signature') }).optional(),
});

export type WaGatewayChannel = z.infer<typeof waGatewayChannel>;
