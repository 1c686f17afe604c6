import { isIP } from 'node:net';
import { z } from 'zod';
import type { ProviderName } from '../model/channel.js';
import { channelSettings } from '../providers/channel-schema.js';
import { baseUrl, channelFields, cidr, httpUrl, origin, text } from '../providers/channel-settings.js';
import { isLoopback } from './loopback.js';
import { boolean, bytes, duration, integer, LONGEST_TIMER_MS } from './units.js';

/** A section that may be left out, or stand there with every line commented out. */
function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((given) => given ?? {}, z.strictObject(shape)).prefault({});
}

const DAY_MS = 86_400_000;
/** What V8 holds in one text, with room for what is around it (v8.dev, "kMaxLength" of strings: 2^29 - 24). */
const LONGEST_TEXT = 500_000_000;
const timer = (example: string) => duration({ minMs: 1, maxMs: LONGEST_TIMER_MS, example });
const positive = () => integer({ min: 1, max: 1_000_000_000, what: 'a whole number' });
const port = (min: 0 | 1) => integer({ min, max: 65_535, what: 'a port' });

const host = text
  .refine((value) => isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$/.test(value), {
    error: 'expected an address or a host name, without port and brackets',
  })
  .meta({ form: 'an address or a host name' });

const corsOrigin = z.union([z.literal('*'), origin], {
  error: 'expected "*" or an origin such as https://app.example.com',
});

const server = section({
  host: host
    .default('127.0.0.1')
    .describe(
      'The interface to listen on; `0.0.0.0` for all. Any but loopback needs authentication, or `auth.allowOpen`.',
    ),
  port: port(0).default(4000).describe('`0` takes a free one, which is logged.'),
  publicUrl: baseUrl
    .nullable()
    .default(null)
    .describe(
      'Where browsers and providers reach this server, from outside of every proxy. Links begin with it unless `delivery.baseUrl` is set, and a provider that fetches our URLs is given it. `null`: the address that it listens on.',
    ),
  explorer: z
    .enum(['sandbox', 'graphiql', 'off'])
    .default('sandbox')
    .describe(
      'The page at `/graphql` for people. `graphiql` comes with the package and works offline; `sandbox` is loaded from Apollo.',
    ),
  trustProxy: boolean()
    .default(false)
    .describe(
      'Believe `X-Forwarded-*`. Only behind a proxy that sets them: anybody else could name any address of a caller.',
    ),
  routerSecret: text
    .nullable()
    .default(null)
    .describe(
      'When set, `/graphql` answers only requests that carry it in `X-Router-Secret`: callers go through the router. Links and webhooks need none.',
    ),
  requestTimeout: timer('30s')
    .default(30_000)
    .describe("For a request's headers and its body to arrive; after that its connection is closed."),
  allowedOrigins: z
    .array(corsOrigin)
    .default([])
    .meta({ form: 'a list of `*` and origins such as `https://app.example.com`' })
    .describe('Pages that may ask `/graphql` by script (CORS), without a router in between.'),
}).transform(({ requestTimeout, ...rest }) => ({ ...rest, requestTimeoutMs: requestTimeout }));

const log = section({
  level: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('What is logged at least. Lines are JSON on standard output.'),
});

const metrics = section({
  port: port(0)
    .nullable()
    .default(null)
    .describe(
      'A port of its own for `GET /metrics`, which asks for no credentials, so that it can stay inside; `null`: on the server’s port, where it needs `metrics.token`.',
    ),
  token: text
    .nullable()
    .default(null)
    .describe(
      'What `GET /metrics` on the server’s port wants as `Authorization: Bearer <token>`. `null`: nothing is served there, unless `auth.mode` is `none`, which asks for none.',
    ),
});

const apiKey = z.strictObject({
  sha256: text
    .pipe(z.string().regex(/^[0-9a-f]{64}$/i, 'expected the SHA-256 digest of a key: 64 hexadecimal digits'))
    .transform((digest) => digest.toLowerCase())
    .meta({ form: '64 hexadecimal digits' })
    .describe('The SHA-256 digest of the key, never the key itself: `printf %s "$KEY" | sha256sum`.'),
  tenant: channelFields.tenant.describe('Whose channels and media the key opens.'),
  scopes: z
    .array(z.enum(['media:read', 'media:write', 'media:delete']))
    .min(1, 'expected at least one scope')
    .describe('`media:read` for queries and subscriptions, `media:write` for uploads, `media:delete` for deletions.'),
});

const jwt = z.strictObject({
  jwksUrl: httpUrl
    .refine((value) => new URL(value).protocol === 'https:' || isLoopback(new URL(value).hostname), {
      error: 'expected https; http is allowed on loopback only',
    })
    .describe("The issuer's key set; https, or http on loopback."),
  issuer: text.describe('What `iss` must be.'),
  audience: text.describe('What `aud` must have.'),
  tenantClaim: text.default('tenant').describe('The claim that names the tenant.'),
  scopeClaim: text.default('scope').describe('The claim that has the scopes.'),
});

const auth = section({
  mode: z
    .enum(['none', 'apiKey'], {
      error: ({ input }) =>
        input === 'jwt' ? 'jwt is not available in this version; expected none or apiKey' : undefined,
    })
    .default('none')
    .describe(
      'Who may ask. `none`: everybody, as tenant `default`, and the server refuses to listen anywhere but on loopback. `apiKey`: callers send `Authorization: Bearer <key>`.',
    ),
  allowOpen: boolean()
    .default(false)
    .describe('Let mode `none` listen on other addresses too: whoever reaches the port sees all media.'),
  apiKeys: z
    .array(apiKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? [])
    .describe('For mode `apiKey`. SIGHUP reads them anew.'),
  jwt: jwt.nullable().default(null).describe('For tokens of an issuer, checked against its key set.'),
});

const database = section({
  url: z
    .string()
    .regex(/^(pglite:.|postgres(ql)?:\/\/.)/, 'expected pglite:<folder> or postgres://…')
    .default('pglite:./data/catalog')
    .meta({ form: '`pglite:<folder>` or `postgres://…`' })
    .describe(
      'Where the catalogue is. `pglite:` is PostgreSQL inside this process, for one process a folder; `postgres://user:password@host/name` is a server, which replicas share.',
    ),
});

const s3 = z.strictObject({
  bucket: text.describe('The bucket; it must exist. Put, get, list and delete are needed.'),
  region: text.default('us-east-1').describe('Of the bucket.'),
  endpoint: baseUrl.nullable().default(null).describe("For services other than AWS; `null`: AWS's own."),
  forcePathStyle: boolean()
    .default(false)
    .describe('Put the bucket into the path instead of the host name, as many services other than AWS want it.'),
  accessKeyId: text
    .nullable()
    .default(null)
    .describe('`null`, both: the credentials that the AWS SDK finds in its own places.'),
  secretAccessKey: text.nullable().default(null).describe('Goes with `accessKeyId`.'),
  redirect: boolean()
    .default(false)
    .describe(
      'Answer a link with a redirect to the bucket instead of passing the bytes on. Saves traffic here; the bucket must be reachable for browsers.',
    ),
});

const storage = section({
  driver: z.enum(['fs', 's3']).default('fs').describe('Where copies of media are kept: a folder or a bucket.'),
  root: text.default('./data/blobs').describe('The folder of driver `fs`.'),
  s3: s3.nullable().default(null).describe('The bucket of driver `s3`.'),
});

const signingKey = z.strictObject({
  id: text
    .pipe(z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 letters, digits, dashes and underscores'))
    .meta({ form: '1 to 32 letters, digits, dashes and underscores' })
    .describe('Stands in every link, so that the key is found again.'),
  secret: text.describe('Whoever has it can make links to all media. 32 random bytes: `openssl rand -base64 32`.'),
});

const corsOrigins = z.array(corsOrigin);
const corsOriginsByTenant = z.record(z.string().min(1), corsOrigins);

/** A list for everybody, or a list per tenant; told apart by hand so that a fault has the path of the entry. */
const allowedOrigins = z
  .unknown()
  .transform((given, context): string[] | Record<string, string[]> => {
    const result = Array.isArray(given) ? corsOrigins.safeParse(given) : corsOriginsByTenant.safeParse(given);
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

const delivery = section({
  baseUrl: baseUrl
    .nullable()
    .default(null)
    .describe('The origin of a CDN before this server; links begin with it. `null`: `server.publicUrl`.'),
  signingKeys: z
    .array(signingKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? [])
    .describe(
      'The first signs, all verify. To rotate, put the new key first and drop the old one after `urlTtl`. Left out: a key is made once and kept in the database.',
    ),
  urlTtl: duration({ minMs: 60_000, maxMs: 7 * DAY_MS, example: '1h' })
    .default(3_600_000)
    .describe('How long a link works. A link stays the same for a quarter of it, so that caches can hit.'),
  visibility: z
    .enum(['private', 'public'])
    .default('private')
    .describe('Who may cache the bytes: the browser alone, or a CDN too.'),
  allowedOrigins: allowedOrigins
    .default(['*'])
    .describe(
      'Which pages may read the bytes by script (CORS). Pictures and players need none of this. A tenant that the mapping does not name has no origins.',
    ),
  bindToOrigins: boolean()
    .default(false)
    .describe(
      'Links work for pages of `allowedOrigins` alone, which then may not hold `*`. No shared cache keeps such an answer.',
    ),
  purge: httpUrl
    .nullable()
    .default(null)
    .describe('A URL that is told of each deletion, so that a CDN forgets the media; see [cdn.md](cdn.md).'),
  purgeHeaders: z
    .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header'), text)
    .nullable()
    .default(null)
    .transform((headers) => headers ?? {})
    .describe('Headers of that call by name, mostly a secret.'),
  memoryCache: bytes({ min: 0 })
    .default(64_000_000)
    .describe('Memory for media of at most 1 MiB that is asked for often; `0` keeps none.'),
}).transform(({ urlTtl, memoryCache, ...rest }) => ({ ...rest, urlTtlMs: urlTtl, memoryCacheBytes: memoryCache }));

const rendering = section({
  placeholders: boolean()
    .default(true)
    .describe('Make `Media.thumbHash` from a small still of every picture, video and PDF as it is stored.'),
  concurrency: integer({ min: 1, max: 64, what: 'a whole number' })
    .default(2)
    .describe('How many stills are made at once.'),
  timeout: timer('20s').default(20_000).describe('For each step of one; what takes longer is given up.'),
  maxPixels: positive()
    .default(50_000_000)
    .describe('Of a picture, width times height. Larger ones are refused before they are decoded.'),
}).transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }));

const mirror = section({
  mode: z
    .enum(['eager', 'lazy', 'off'])
    .default('eager')
    .describe(
      'When bytes are copied: `eager`, as soon as a webhook announces them; `lazy`, when they are first asked for; `off`, never: media is gone here when the provider forgets it.',
    ),
  concurrency: integer({ min: 1, max: 1_000, what: 'a whole number' })
    .default(8)
    .describe('How many copies are made at once.'),
});

const upload = section({
  maxBytes: bytes().default(100_000_000).describe('The largest upload, and the largest download from a provider.'),
  timeout: timer('60s').default(60_000).describe('For fetching the URL of an upload, in all.'),
  respondWithin: timer('20s')
    .default(20_000)
    .describe('After this long the mutation answers PENDING and the upload goes on.'),
}).transform(({ timeout, respondWithin, ...rest }) => ({
  ...rest,
  timeoutMs: timeout,
  respondWithinMs: respondWithin,
}));

const network = section({
  allowPrivate: z
    .array(cidr)
    .default([])
    .describe('Networks that may be reached although they are not public, on any port: for development.'),
  allowedPorts: z.array(port(1)).default([80, 443]).describe('Ports that such a URL may name.'),
});

const retention = section({
  default: duration({ minMs: 1_000, maxMs: 36_500 * DAY_MS, example: '30d' })
    .nullable()
    .default(null)
    .describe(
      'Media expires this long after it was announced, and its bytes are deleted; `null`: it is kept until it is deleted.',
    ),
  sweepInterval: duration({ minMs: 1_000, maxMs: LONGEST_TIMER_MS, example: '10m' })
    .default(600_000)
    .describe('How often what has expired is swept, and bytes that nothing owns.'),
}).transform((given) => ({ defaultMs: given.default, sweepIntervalMs: given.sweepInterval }));

const limits = section({
  maxDepth: positive().default(8).describe('Levels of fields.'),
  maxAliases: positive().default(30).describe('Fields with another name.'),
  maxTokens: positive().default(2_000).describe('Words and signs of the document.'),
  maxNodes: positive()
    .default(500_000)
    .describe('Fields that one operation answers with: aliases times items of lists times fields.'),
  maxProviderCalls: positive()
    .default(1_000)
    .describe('How often one operation may ask providers for what is not known yet.'),
  maxAnswerBytes: bytes({ max: LONGEST_TEXT }).default(64_000_000).describe('Of one answer, errors included.'),
  bodyBytes: bytes()
    .default(4_000_000)
    .describe("Of the request's body, decoded; 10,000 representations of a router are above one megabyte."),
  requestsPerMinute: positive().nullable().default(null).describe('Of one tenant; `null`: no limit.'),
  subscriptionsPerConnection: integer({ min: 1, max: 10_000, what: 'a whole number' })
    .default(100)
    .describe('Of one WebSocket: a router puts those of all its clients on one.'),
});

const tracing = section({
  propagateToProviders: boolean()
    .default(false)
    .describe('Send `traceparent` with calls to providers. Off: they learn nothing of your traces.'),
});

const federation = section({
  messageIds: z
    .enum(['transparent', 'bare', 'owned'])
    .default('transparent')
    .describe(
      "What the ids of `Message` are made of: `<channelId>:<providerMessageId>`, the provider's own id alone, or something that only the subgraph of the messages knows; see [supergraph.md](supergraph.md).",
    ),
  authDirectives: boolean()
    .default(false)
    .describe(
      'Put `@authenticated` and `@requiresScopes` into the SDL, for routers that check them before they ask. `@apollo/gateway` refuses a supergraph that has them.',
    ),
});

const policy = section({
  timeout: timer('10s').default(10_000).describe('Until the headers of an answer, and of silence within its body.'),
  retries: integer({ min: 0, max: 10, what: 'a whole number' })
    .default(2)
    .describe('Of reads that failed by network, 429 or 5xx, with growing pauses. Uploads are never repeated.'),
  maxConcurrency: integer({ min: 1, max: 1_000, what: 'a whole number' })
    .default(32)
    .describe('Calls under way at once.'),
}).transform(({ timeout, ...rest }) => ({ timeoutMs: timeout, ...rest }));

const providers = section({
  kirim: policy,
  signalwire: policy,
  twilio: policy,
  chakra: policy,
  'whatsapp-cloud': policy,
  'wa-gateway': policy,
  gupshup: policy,
} satisfies Record<ProviderName, typeof policy>);

/** The whole file. Each key stands where the documentation has it; a number in a unit gets the unit into its name. */
export const configSchema = z.strictObject({
  server: server.describe('Where the server listens, and how others reach it.'),
  log,
  metrics,
  auth: auth.describe('Who may ask what.'),
  database,
  storage: storage.describe('Where the bytes of media are kept.'),
  delivery: delivery.describe('Links, and the answers to them.'),
  rendering: rendering.describe('Stills and playable sound.'),
  mirror: mirror.describe('Copies of what providers have.'),
  upload,
  network: network.describe(
    'For URLs that a caller or a provider’s answer names. The `baseUrl` of a channel is not judged by these.',
  ),
  retention,
  limits: limits.describe('Of what one caller may ask. What is above is `QUERY_TOO_COMPLEX` or `RATE_LIMITED`.'),
  federation: federation.describe('How the subgraph fits into a supergraph.'),
  tracing,
  providers: providers.describe('Bounds of the calls to each provider.'),
  channels: z.array(channelSettings).describe('The lines: one entry for each account or number at a provider.'),
});
