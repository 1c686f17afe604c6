import { z } from 'zod';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `kirim` channel of the configuration file. */
export const kirimChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('kirim'),
  credentials: z.strictObject({ token: headerText }),
  options: z
    .strictObject({
      ...channelOptionFields,
      /** Selects the path generation `/{phoneNumberId}/messages/{id}`; absent: `/messages/{id}`. */
      phoneNumberId: text.pipe(z.string().regex(/^\d{6,20}$/, 'expected 6 to 20 digits')).optional(),
    })
    .prefault({}),
  webhook: z.strictObject({ secret: text, signatureHeader: headerName.default('X-Kirim-Signature') }).optional(),
});

export type KirimChannel = z.infer<typeof kirimChannel>;
