import { z } from 'zod';
import { HIDDEN_IN_FAULTS, SECRET, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { text } from '../settings/texts.js';
import { boolean, port } from '../settings/units.js';

/** The section `log`. */
export const log = section({
  level: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('The lowest level that the server logs. It writes JSON lines to standard output.'),
}).meta(SHOWN_IN_FAULTS);

/** The section `metrics`. */
export const metrics = section({
  enabled: boolean()
    .default(true)
    .describe('Record metrics. With `false`, `GET /metrics` answers 404 and recording costs nothing.'),
  operations: z
    .array(z.string().regex(/^[_A-Za-z][_0-9A-Za-z]{0,99}$/, 'expected the name of a GraphQL operation'))
    .max(100)
    .default([])
    .describe(
      'The names of GraphQL operations that have time series of their own. Names that are not listed are counted together, because callers choose them.',
    ),
  port: port(0)
    .nullable()
    .default(null)
    .describe(
      'A separate port for `GET /metrics` without authentication, for an internal network. `null`: the server’s port serves the metrics and requires `metrics.token`.',
    ),
  token: text
    .meta(SECRET)
    .nullable()
    .default(null)
    .meta(HIDDEN_IN_FAULTS)
    .describe(
      'The token that `GET /metrics` on the server’s port requires as `Authorization: Bearer <token>`. `null`: the server’s port serves no metrics, except with `auth.mode: none`, which requires no token.',
    ),
}).meta(SHOWN_IN_FAULTS);

/** The section `tracing`. */
export const tracing = section({
  propagateToProviders: boolean()
    .default(false)
    .describe('Send the header `traceparent` to providers. By default providers receive no trace ids.'),
});
