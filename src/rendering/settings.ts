import { section } from '../settings/section.js';
import { boolean, positive, timer, wholeNumber } from '../settings/units.js';

/** The section `rendering`. */
export const rendering = section({
  placeholders: boolean()
    .default(true)
    .describe('Make `Media.thumbHash` from a small still of every picture, video and PDF as it is stored.'),
  concurrency: wholeNumber(1, 64).default(2).describe('How many stills are made at once.'),
  timeout: timer('20s').default(20_000).describe('For each step of one; what takes longer is given up.'),
  maxPixels: positive()
    .default(50_000_000)
    .describe('Of a picture, width times height. Larger ones are refused before they are decoded.'),
})
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }))
  .describe('Stills and playable sound.');
