import { z } from 'zod';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { cidr } from '../settings/texts.js';
import { port } from '../settings/units.js';

/** The section `network`. */
export const network = section({
  allowPrivate: z
    .array(cidr)
    .default([])
    .describe('Private networks that the server may connect to, on any port. Use this for development.'),
  allowedPorts: z.array(port(1)).default([80, 443]).describe('The ports that such a URL may contain.'),
})
  .meta(SHOWN_IN_FAULTS)
  .describe(
    'These keys restrict URLs that callers send or that a provider’s response contains. They do not restrict the `baseUrl` of a channel.',
  );
