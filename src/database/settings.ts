import { z } from 'zod';
import { KEYS_MAY_BE_SECRETS, section } from '../settings/section.js';

/** The section `database`. */
export const database = section({
  url: z
    .string()
    .regex(/^(pglite:.|postgres(ql)?:\/\/.)/, 'expected pglite:<folder> or postgres://…')
    .default('pglite:./data/catalog')
    .meta({ form: '`pglite:<folder>` or `postgres://…`' })
    .describe(
      'The database of the catalogue. `pglite:<folder>` embeds PostgreSQL in this process; one process at a time can use a folder. `postgres://user:password@host/name` connects to a server, which replicas share.',
    ),
}).meta(KEYS_MAY_BE_SECRETS);
