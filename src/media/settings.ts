import { z } from 'zod';
import { valueAt } from '../settings/faults.js';
import { isOn, type Rule } from '../settings/rules.js';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { bytes, DAY_MS, duration, LONGEST_TIMER_MS, timer, wholeNumber } from '../settings/units.js';

/** The section `mirror`. */
export const mirror = section({
  mode: z
    .enum(['eager', 'lazy', 'off'])
    .default('eager')
    .describe(
      'When bytes are copied: `eager`, as soon as a webhook announces them; `lazy`, when they are first asked for; `off`, never: media is gone here when the provider forgets it.',
    ),
  listed: z
    .boolean()
    .default(false)
    .describe(
      'Whether media that only a listing has named is copied as well, after everything that webhooks have announced. `false`: it is copied when it is first opened.',
    ),
  concurrency: wholeNumber(1, 1_000).default(8).describe('How many copies are made at once.'),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('Copies of what providers have.');

const copiesOfListedWithoutCopies: Rule = (document) => {
  const mode = valueAt(document, ['mirror', 'mode']);
  if (mode !== 'off' || !isOn(document, ['mirror', 'listed'])) return [];
  return [{ path: 'mirror.listed', message: 'expected false where mirror.mode is off, got true' }];
};

/** Rules over `mirror`. */
export const mirrorRules: readonly Rule[] = [copiesOfListedWithoutCopies];

/** The section `upload`. */
export const upload = section({
  maxBytes: bytes().default(100_000_000).describe('The largest upload, and the largest download from a provider.'),
  timeout: timer('60s').default(60_000).describe('For fetching the URL of an upload, in all.'),
  respondWithin: timer('20s')
    .default(20_000)
    .describe('After this long the mutation answers PENDING and the upload goes on.'),
})
  .transform(({ timeout, respondWithin, ...rest }) => ({
    ...rest,
    timeoutMs: timeout,
    respondWithinMs: respondWithin,
  }))
  .meta(SHOWN_IN_FAULTS);

/** The section `retention`. */
export const retention = section({
  default: duration({ minMs: 1_000, maxMs: 36_500 * DAY_MS, example: '30d' })
    .nullable()
    .default(null)
    .describe(
      'Media expires this long after it was announced, and its bytes are deleted; `null`: it is kept until it is deleted.',
    ),
  sweepInterval: duration({ minMs: 1_000, maxMs: LONGEST_TIMER_MS, example: '10m' })
    .default(600_000)
    .describe('How often what has expired is swept, and bytes that nothing owns.'),
})
  .transform(({ default: defaultMs, sweepInterval }) => ({ defaultMs, sweepIntervalMs: sweepInterval }))
  .meta(SHOWN_IN_FAULTS);
