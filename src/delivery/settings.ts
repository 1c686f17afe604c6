import { z } from 'zod';
import { signingKeys, urlTtl } from '../links/settings.js';
import { isMapping, valueAt } from '../settings/faults.js';
import { distinct, isOn, type Rule } from '../settings/rules.js';
import { SECRET, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { baseUrl, corsOrigin, httpUrl, text } from '../settings/texts.js';
import { boolean, bytes } from '../settings/units.js';

const DEFAULT_ALLOWED_ORIGINS: readonly string[] = ['*'];

const corsOrigins = z.array(corsOrigin);
const corsOriginsByTenant = z.record(z.string().min(1), corsOrigins);

/** One list, or a list per tenant. A zod union would report a faulty entry without its path. */
const allowedOrigins = z
  .unknown()
  .transform((origins, context): string[] | Record<string, string[]> => {
    const result = Array.isArray(origins) ? corsOrigins.safeParse(origins) : corsOriginsByTenant.safeParse(origins);
    for (const { message, path } of result.error?.issues ?? []) {
      const nested = path.length > 0 && message.startsWith('expected');
      context.addIssue({
        code: 'custom',
        path,
        message: nested ? message : 'expected a list of origins, or one per tenant',
      });
    }
    return result.data ?? z.NEVER;
  })
  .meta({ form: 'a list of `*` and origins such as `https://app.example.com`, or a mapping of tenants to such lists' });

/** The first parts of paths that the server itself answers. */
const ROUTES: ReadonlySet<string> = new Set(['graphql', 'livez', 'media', 'metrics', 'readyz', 'webhooks']);
const MAX_PREFIX_LENGTH = 200;
/** Needs no escapes in a header or in nginx's configuration. No part is `.` or `..`. */
const PREFIX = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+\/$/;
const PREFIX_FAULT = `expected a path of at most ${MAX_PREFIX_LENGTH} letters, digits and -._~ that starts and ends with "/", with no part that starts with a dot, such as /blobs/`;

const offloadPrefix = z
  .string(PREFIX_FAULT)
  .superRefine((value, context) => {
    const [, first = ''] = value.split('/', 2);
    const isPath = value.length <= MAX_PREFIX_LENGTH && PREFIX.test(value);
    const routeFault = `expected a path that is no route of this server; /${first} is one`;
    if (!isPath) context.addIssue({ code: 'custom', message: PREFIX_FAULT });
    else if (ROUTES.has(first)) context.addIssue({ code: 'custom', message: routeFault });
  })
  .meta({ form: 'a path that starts and ends with `/`, and is no route of this server' });

/** The section `delivery`. */
export const delivery = section({
  baseUrl: baseUrl
    .nullable()
    .default(null)
    .describe('The origin of a CDN in front of this server. Links start with it. `null`: `server.publicUrl`.'),
  signingKeys,
  urlTtl,
  visibility: z
    .enum(['private', 'public'])
    .default('private')
    .meta(SHOWN_IN_FAULTS)
    .describe('The caches that may store the bytes: `private` allows the browser only, `public` also allows a CDN.'),
  allowedOrigins: allowedOrigins
    .default([...DEFAULT_ALLOWED_ORIGINS])
    .describe(
      'The origins of pages whose scripts may read the bytes (CORS). Pictures and players do not need CORS. A tenant that is missing in the mapping has no origins.',
    ),
  bindToOrigins: boolean()
    .default(false)
    .describe(
      'Restrict links to pages of `allowedOrigins`, which then must not contain `*`. Shared caches do not store the responses.',
    ),
  purge: httpUrl
    .nullable()
    .default(null)
    .describe('A URL that the server calls for each deletion, so that a CDN purges the media; see [cdn.md](cdn.md).'),
  purgeHeaders: z
    .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header'), text.meta(SECRET))
    .nullable()
    .default(null)
    .transform((headers) => headers ?? {})
    .describe('The headers of the purge request, for example a secret.'),
  offload: z
    .enum(['x-accel-redirect'])
    .nullable()
    .default(null)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'Let nginx in front of this server send the bytes that are files of `storage.root`. The server answers such requests with headers only, so clients must not reach it except through nginx; see [operations.md](operations.md#offload-to-nginx). It has no effect with S3.',
    ),
  offloadPrefix: offloadPrefix.default('/blobs/').describe("The path of nginx's internal location for `storage.root`."),
  memoryCache: bytes({ min: 0 })
    .default(64_000_000)
    .describe('The memory for media of at most 1 MiB that clients request often. `0` disables this cache.'),
})
  .transform(({ urlTtl, memoryCache, ...rest }) => ({ ...rest, urlTtlMs: urlTtl, memoryCacheBytes: memoryCache }))
  .describe('These keys configure links and the delivery of media.');

const boundToEveryOrigin: Rule = (document) => {
  const origins = valueAt(document, ['delivery', 'allowedOrigins']) ?? DEFAULT_ALLOWED_ORIGINS;
  const lists = Array.isArray(origins) ? [origins] : isMapping(origins) ? Object.values(origins) : [];
  const isOpen = lists.some((list) => Array.isArray(list) && list.includes('*'));
  if (!isOpen || !isOn(document, ['delivery', 'bindToOrigins'])) return [];
  const message = 'links can be bound to named origins only; delivery.allowedOrigins contains "*"';
  return [{ path: 'delivery.bindToOrigins', message }];
};

/** Rules over `delivery`. */
export const deliveryRules: readonly Rule[] = [distinct(['delivery', 'signingKeys'], 'id'), boundToEveryOrigin];
