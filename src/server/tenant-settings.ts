import { z } from 'zod';
import { retentionTime } from '../media/settings.js';
import { channelFields } from '../providers/settings.js';
import { SHOWN_IN_FAULTS } from '../settings/section.js';
import { bytes, positive } from '../settings/units.js';

const tenant = z
  .strictObject({
    requestsPerMinute: positive()
      .nullable()
      .optional()
      .describe(
        'The maximum number of GraphQL requests of this tenant in any minute. Default: `limits.requestsPerMinute`. `null`: no limit.',
      ),
    maxStorageBytes: bytes()
      .nullable()
      .default(null)
      .describe('The maximum size of the originals and renditions of this tenant. `null`: no limit.'),
    retention: retentionTime()
      .nullable()
      .default(null)
      .describe(
        'The time after which media of this tenant expires. The shortest of `channels[].retention`, this and `retention.default` applies.',
      ),
  })
  .transform(({ retention, ...rest }) => ({ ...rest, retentionMs: retention }));

/** The section `tenants`. */
export const tenants = z
  .preprocess((input) => input ?? {}, z.record(channelFields.tenant.unwrap(), tenant))
  .prefault({})
  .meta(SHOWN_IN_FAULTS)
  .describe(
    'These keys set what applies to one tenant, by its name: `tenants: { acme: { requestsPerMinute: 600 } }`. SIGHUP reloads them.',
  );
