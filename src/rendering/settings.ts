import { section } from '../settings/section.js';
import { boolean, positive, timer, wholeNumber } from '../settings/units.js';

/** The section `rendering`. */
export const rendering = section({
  placeholders: boolean()
    .default(true)
    .describe('Compute `Media.thumbHash` of every picture, video and PDF when it is stored.'),
  concurrency: wholeNumber(1, 64).default(2).describe('The maximum number of stills that are rendered at once.'),
  timeout: timer('20s')
    .default(20_000)
    .describe('The maximum time for each step of a rendering. A longer rendering fails.'),
  maxPixels: positive()
    .default(50_000_000)
    .describe('The maximum width times height of a picture. The server refuses a larger picture before it decodes it.'),
})
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }))
  .describe('These keys limit the rendering of stills and playable sound.');
