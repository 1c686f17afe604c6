import { z } from 'zod';
import { HIDDEN_IN_FAULTS, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { text } from '../settings/texts.js';
import { boolean, port } from '../settings/units.js';

/** The section `log`. */
export const log = section({
  level: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('What is logged at least. Lines are JSON on standard output.'),
}).meta(SHOWN_IN_FAULTS);

/** The section `metrics`. */
export const metrics = section({
  port: port(0)
    .nullable()
    .default(null)
    .describe(
      'A port of its own for `GET /metrics`, which asks for no credentials, so that it can stay inside; `null`: on the server’s port, where it needs `metrics.token`.',
    ),
  token: text
    .nullable()
    .default(null)
    .meta(HIDDEN_IN_FAULTS)
    .describe(
      'What `GET /metrics` on the server’s port wants as `Authorization: Bearer <token>`. `null`: nothing is served there, unless `auth.mode` is `none`, which asks for none.',
    ),
}).meta(SHOWN_IN_FAULTS);

/** The section `tracing`. */
export const tracing = section({
  propagateToProviders: boolean()
    .default(false)
    .describe('Send `traceparent` with calls to providers. Off: they learn nothing of your traces.'),
});
