import { z } from 'zod';
import type { ProviderName } from '../model/channel.js';
import { distinct, type Rule } from '../settings/rules.js';
import { KEYS_MAY_BE_SECRETS, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { timer, wholeNumber } from '../settings/units.js';
import { channelSettings } from './channel-schema.js';

export { channelFields } from './channel-settings.js';

const policy = section({
  timeout: timer('10s')
    .default(10_000)
    .describe('The maximum time until the headers of a response, and between two parts of its body.'),
  retries: wholeNumber(0, 10)
    .default(2)
    .describe(
      'The number of retries, with increasing delays, of a read that failed with a network error, 429 or 5xx. Uploads are never retried.',
    ),
  maxConcurrency: wholeNumber(1, 1_000).default(32).describe('The maximum number of concurrent calls of one channel.'),
}).transform(({ timeout, ...rest }) => ({ timeoutMs: timeout, ...rest }));

/** The section `providers`. */
export const providers = section({
  kirim: policy,
  signalwire: policy,
  twilio: policy,
  chakra: policy,
  'whatsapp-cloud': policy,
  'wa-gateway': policy,
  gupshup: policy,
} satisfies Record<ProviderName, typeof policy>)
  .meta(SHOWN_IN_FAULTS)
  .describe('These keys limit the calls to each provider.');

// The marks are set here for all providers, so that the settings of a new one cannot lack them.
for (const { shape } of channelSettings.options) {
  mark(shape.id, SHOWN_IN_FAULTS);
  mark(shape.provider, SHOWN_IN_FAULTS);
  mark(shape.credentials, KEYS_MAY_BE_SECRETS);
  mark(shape.webhook, KEYS_MAY_BE_SECRETS);
}

function mark(schema: z.ZodType, meta: Readonly<Record<string, boolean>>): void {
  z.globalRegistry.add(schema, { ...schema.meta(), ...meta });
}

/** The list `channels`. */
export const channels = z
  .array(channelSettings)
  .describe('The channels: one entry for each account or number at a provider.');

/** The provider names that a channel may have. */
export const CHANNEL_PROVIDERS: ReadonlySet<unknown> = new Set(
  channelSettings.options.map(({ shape }) => shape.provider.value),
);

/** Rules over `channels`. */
export const channelRules: readonly Rule[] = [distinct(['channels'], 'id')];
