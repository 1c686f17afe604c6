import { z } from 'zod';
import { SECRET } from '../../settings/section.js';
import { channelFields, channelOptionFields, headerName, headerText, text } from '../channel-settings.js';

/** A `kirim` channel of the configuration file. */
export const kirimChannel = z.strictObject({
  ...channelFields,
  provider: z.literal('kirim'),
  credentials: z.strictObject({
    token: headerText
      .meta(SECRET)
      .describe("The organisation's API key, `kdv_live_…`. The server sends it as a Bearer token."),
  }),
  options: z
    .strictObject({
      ...channelOptionFields,
      phoneNumberId: text
        .pipe(z.string().regex(/^\d{6,20}$/, 'expected 6 to 20 digits'))
        .meta({ form: '6 to 20 digits' })
        .optional()
        .describe(
          'The phone number id, for newer accounts. With it, paths are `/{phoneNumberId}/messages/{id}`; without it, `/messages/{id}`.',
        ),
    })
    .prefault({}),
  webhook: z
    .strictObject({
      secret: text
        .meta(SECRET)
        .describe("The subscription's signing secret, which Kirim shows only once, at its creation."),
      signatureHeader: headerName
        .default('X-Kirim-Signature')
        .describe("The header that contains the signature. One page of Kirim's documentation uses another name."),
    })
    .optional()
    .describe('The webhook of the channel. Without this key, `/webhooks/<id>` answers 404.'),
});

export type KirimChannel = z.infer<typeof kirimChannel>;
