import { z } from 'zod';
import { valueAt } from '../settings/faults.js';
import { isOn, type Rule } from '../settings/rules.js';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { boolean, bytes, DAY_MS, duration, LONGEST_TIMER_MS, timer, wholeNumber } from '../settings/units.js';

/** The section `mirror`. */
export const mirror = section({
  mode: z
    .enum(['eager', 'lazy', 'off'])
    .default('eager')
    .describe(
      'When the server copies media. `eager`: when a webhook announces it. `lazy`: at its first request. `off`: never, so the media is lost when the provider deletes it.',
    ),
  listed: boolean()
    .default(false)
    .describe(
      'Whether media that only a listing contains is copied too, after all media that webhooks announced. `false`: it is copied at its first request.',
    ),
  concurrency: wholeNumber(1, 1_000).default(8).describe('The maximum number of media that are copied at once.'),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('These keys configure the copies of media that are stored at providers.');

const copiesOfListedWithoutCopies: Rule = (document) => {
  const mode = valueAt(document, ['mirror', 'mode']);
  if (mode !== 'off' || !isOn(document, ['mirror', 'listed'])) return [];
  return [{ path: 'mirror.listed', message: 'expected false where mirror.mode is off, got true' }];
};

/** Rules over `mirror`. */
export const mirrorRules: readonly Rule[] = [copiesOfListedWithoutCopies];

/** The section `upload`. */
export const upload = section({
  maxBytes: bytes().default(100_000_000).describe('The maximum size of an upload and of a download from a provider.'),
  timeout: timer('60s').default(60_000).describe('The maximum time for downloading the URL of an upload.'),
  respondWithin: timer('20s')
    .default(20_000)
    .describe('The time after which the mutation responds with PENDING while the upload continues.'),
})
  .transform(({ timeout, respondWithin, ...rest }) => ({
    ...rest,
    timeoutMs: timeout,
    respondWithinMs: respondWithin,
  }))
  .meta(SHOWN_IN_FAULTS);

/** The time after which media expires. */
export function retentionTime() {
  return duration({ minMs: 1_000, maxMs: 36_500 * DAY_MS, example: '30d' });
}

/** The section `retention`. */
export const retention = section({
  default: retentionTime()
    .nullable()
    .default(null)
    .describe(
      'The time after its announcement when media expires and the server deletes its bytes. `null`: media does not expire.',
    ),
  sweepInterval: duration({ minMs: 1_000, maxMs: LONGEST_TIMER_MS, example: '10m' })
    .default(600_000)
    .describe('The interval between sweeps, which delete expired media and blobs that no media references.'),
})
  .transform(({ default: defaultMs, sweepInterval }) => ({ defaultMs, sweepIntervalMs: sweepInterval }))
  .meta(SHOWN_IN_FAULTS);
