import { z } from 'zod';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `kirim` channel of the configuration file. */
export const kirimChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('kirim'),
  credentials: z.strictObject({
    token: headerText.describe("The organisation's API key, `kdv_live_…`; sent as a Bearer token."),
  }),
  options: z
    .strictObject({
      ...channelOptionFields,
      phoneNumberId: text
        .pipe(z.string().regex(/^\d{6,20}$/, 'expected 6 to 20 digits'))
        .meta({ form: '6 to 20 digits' })
        .optional()
        .describe(
          'With it, paths are `/{phoneNumberId}/messages/{id}`, as newer accounts require; without it, `/messages/{id}`.',
        ),
    })
    .prefault({}),
  webhook: z
    .strictObject({
      secret: text.describe("The subscription's signing secret, which Kirim shows only once, at its creation."),
      signatureHeader: headerName
        .default('X-Kirim-Signature')
        .describe('The header with the signature. One page of Kirim names another.'),
    })
    .optional()
    .describe('Without it `/webhooks/<id>` answers 404.'),
});

export type KirimChannel = z.infer<typeof kirimChannel>;
