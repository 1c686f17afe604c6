import { z } from 'zod';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { cidr } from '../settings/texts.js';
import { port } from '../settings/units.js';

/** The section `network`. */
export const network = section({
  allowPrivate: z
    .array(cidr)
    .default([])
    .describe('Networks that may be reached although they are not public, on any port: for development.'),
  allowedPorts: z.array(port(1)).default([80, 443]).describe('Ports that such a URL may name.'),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('For URLs that a caller or a provider’s answer names. The `baseUrl` of a channel is not judged by these.');
