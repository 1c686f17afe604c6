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
const timer = (example: string) => duration({ minMs: 1, maxMs: LONGEST_TIMER_MS, example });
const positive = () => integer({ min: 1, max: 1_000_000_000, what: 'a whole number' });
const port = (min: 0 | 1) => integer({ min, max: 65_535, what: 'a port' });

const host = text.refine((value) => isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$/.test(value), {
  error: 'expected an address or a host name, without port and brackets',
});

const server = section({
  host: host.default('127.0.0.1'),
  port: port(0).default(4000),
  publicUrl: baseUrl.nullable().default(null),
  explorer: z.enum(['sandbox', 'graphiql', 'off']).default('sandbox'),
  trustProxy: boolean().default(false),
  routerSecret: text.nullable().default(null),
});

const log = section({
  level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

const metrics = section({ port: port(0).nullable().default(null) });

const apiKey = z.strictObject({
  sha256: text
    .pipe(z.string().regex(/^[0-9a-f]{64}$/i, 'expected the SHA-256 digest of a key: 64 hexadecimal digits'))
    .transform((digest) => digest.toLowerCase()),
  tenant: channelFields.tenant,
  scopes: z.array(z.enum(['media:read', 'media:write', 'media:delete'])).min(1, 'expected at least one scope'),
});

const jwt = z.strictObject({
  jwksUrl: httpUrl.refine((value) => new URL(value).protocol === 'https:' || isLoopback(new URL(value).hostname), {
    error: 'expected https; http is allowed on loopback only',
  }),
  issuer: text,
  audience: text,
  tenantClaim: text.default('tenant'),
  scopeClaim: text.default('scope'),
});

const auth = section({
  mode: z
    .enum(['none', 'apiKey'], {
      error: ({ input }) =>
        input === 'jwt' ? 'jwt is not available in this version; expected none or apiKey' : undefined,
    })
    .default('none'),
  allowOpen: boolean().default(false),
  apiKeys: z
    .array(apiKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? []),
  jwt: jwt.nullable().default(null),
});

const database = section({
  url: z
    .string()
    .regex(/^(pglite:.|postgres(ql)?:\/\/.)/, 'expected pglite:<folder> or postgres://…')
    .default('pglite:./data/catalog'),
});

const s3 = z.strictObject({
  bucket: text,
  region: text.default('us-east-1'),
  endpoint: baseUrl.nullable().default(null),
  forcePathStyle: boolean().default(false),
  accessKeyId: text.nullable().default(null),
  secretAccessKey: text.nullable().default(null),
  redirect: boolean().default(false),
});

const storage = section({
  driver: z.enum(['fs', 's3']).default('fs'),
  root: text.default('./data/blobs'),
  s3: s3.nullable().default(null),
});

const signingKey = z.strictObject({
  id: text.pipe(z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 letters, digits, dashes and underscores')),
  secret: text,
});

const corsOrigin = z.union([z.literal('*'), origin], {
  error: 'expected "*" or an origin such as https://app.example.com',
});
const corsOrigins = z.array(corsOrigin);
const corsOriginsByTenant = z.record(z.string().min(1), corsOrigins);

/** A list for everybody, or a list per tenant; told apart by hand so that a fault has the path of the entry. */
const allowedOrigins = z.unknown().transform((given, context): string[] | Record<string, string[]> => {
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
});

const delivery = section({
  baseUrl: baseUrl.nullable().default(null),
  signingKeys: z
    .array(signingKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? []),
  urlTtl: duration({ minMs: 60_000, maxMs: 7 * DAY_MS, example: '1h' }).default(3_600_000),
  visibility: z.enum(['private', 'public']).default('private'),
  allowedOrigins: allowedOrigins.default(['*']),
  bindToOrigins: boolean().default(false),
  purge: httpUrl.nullable().default(null),
  purgeHeaders: z
    .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header'), text)
    .nullable()
    .default(null)
    .transform((headers) => headers ?? {}),
  memoryCache: bytes({ min: 0 }).default(64_000_000),
}).transform(({ urlTtl, memoryCache, ...rest }) => ({ ...rest, urlTtlMs: urlTtl, memoryCacheBytes: memoryCache }));

const rendering = section({
  placeholders: boolean().default(true),
  concurrency: integer({ min: 1, max: 64, what: 'a whole number' }).default(2),
  timeout: timer('20s').default(20_000),
  maxPixels: positive().default(50_000_000),
}).transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }));

const mirror = section({
  mode: z.enum(['eager', 'lazy', 'off']).default('eager'),
  concurrency: integer({ min: 1, max: 1_000, what: 'a whole number' }).default(8),
});

const upload = section({
  maxBytes: bytes().default(100_000_000),
  timeout: timer('60s').default(60_000),
  respondWithin: timer('20s').default(20_000),
}).transform(({ timeout, respondWithin, ...rest }) => ({
  ...rest,
  timeoutMs: timeout,
  respondWithinMs: respondWithin,
}));

const network = section({
  allowPrivate: z.array(cidr).default([]),
  allowedPorts: z.array(port(1)).default([80, 443]),
});

const retention = section({
  default: duration({ minMs: 1_000, maxMs: 36_500 * DAY_MS, example: '30d' })
    .nullable()
    .default(null),
  sweepInterval: duration({ minMs: 1_000, maxMs: LONGEST_TIMER_MS, example: '10m' }).default(600_000),
}).transform((given) => ({ defaultMs: given.default, sweepIntervalMs: given.sweepInterval }));

const limits = section({
  maxDepth: positive().default(8),
  maxAliases: positive().default(30),
  maxTokens: positive().default(2_000),
  bodyBytes: bytes().default(4_000_000),
  requestsPerMinute: positive().nullable().default(null),
  subscriptionsPerConnection: integer({ min: 1, max: 10_000, what: 'a whole number' }).default(100),
});

const tracing = section({ propagateToProviders: boolean().default(false) });

const federation = section({
  messageIds: z.enum(['transparent', 'bare', 'owned']).default('transparent'),
  authDirectives: boolean().default(false),
});

const policy = section({
  timeout: timer('10s').default(10_000),
  retries: integer({ min: 0, max: 10, what: 'a whole number' }).default(2),
  maxConcurrency: integer({ min: 1, max: 1_000, what: 'a whole number' }).default(32),
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
  server,
  log,
  metrics,
  auth,
  database,
  storage,
  delivery,
  rendering,
  mirror,
  upload,
  network,
  retention,
  limits,
  federation,
  tracing,
  providers,
  channels: z.array(channelSettings),
});
