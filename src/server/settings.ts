import { z } from 'zod';
import { retentionTime } from '../media/settings.js';
import { SCOPES } from '../model/caller.js';
import { channelFields } from '../providers/channel-settings.js';
import { valueAt } from '../settings/faults.js';
import { isLoopback } from '../settings/loopback.js';
import { distinct, isOn, type Rule } from '../settings/rules.js';
import { KEYS_MAY_BE_SECRETS, SECRET, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { baseUrl, corsOrigin, host, httpUrl, text } from '../settings/texts.js';
import { boolean, bytes, port, positive, timer } from '../settings/units.js';

export { isLoopback } from '../settings/loopback.js';

const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = 4000;
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
const DEFAULT_AUTH_MODE = 'none';

/** The section `server`. */
export const server = section({
  host: host
    .default(DEFAULT_HOST)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'The interface that the server listens on. `0.0.0.0` selects all interfaces. Every address except loopback requires authentication or `auth.allowOpen`. The environment variable `MEDIA_HOST` replaces the default; the container image sets it to `0.0.0.0`.',
    ),
  port: port(0)
    .default(DEFAULT_PORT)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'The port that the server listens on. With `0`, the operating system chooses a free port, and the server logs it.',
    ),
  publicUrl: baseUrl
    .nullable()
    .default(null)
    .describe(
      'The public URL of this server, as browsers and providers see it outside all proxies. Links start with it unless `delivery.baseUrl` is set. Providers that download uploads also use it. `null`: the address that the server listens on.',
    ),
  explorer: z
    .enum(['sandbox', 'graphiql', 'off'])
    .default('sandbox')
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'The GraphQL explorer at `/graphql`. `graphiql` is part of the package and works offline. `sandbox` loads from Apollo. `off` serves no page.',
    ),
  trustProxy: boolean()
    .default(false)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'Trust `X-Forwarded-*` headers. Enable this only behind a proxy that sets them; otherwise a client can forge its address.',
    ),
  routerSecret: text
    .meta(SECRET)
    .nullable()
    .default(null)
    .describe(
      'If set, `/graphql` accepts only requests that contain this secret in `X-Router-Secret`, so that all callers must use the router. Links and webhooks need no secret.',
    ),
  requestTimeout: timer('30s')
    .default(DEFAULT_REQUEST_TIMEOUT_MS)
    .describe("The maximum time for receiving a request's headers and body. The server then closes the connection."),
  allowedOrigins: z
    .array(corsOrigin)
    .default([])
    .meta({ form: 'a list of `*` and origins such as `https://app.example.com`' })
    .describe('The origins of pages whose scripts may call `/graphql` directly (CORS).'),
})
  .transform(({ requestTimeout, ...rest }) => ({ ...rest, requestTimeoutMs: requestTimeout }))
  .describe('These keys set where the server listens and how clients reach it.');

const apiKey = z
  .strictObject({
    sha256: text
      .pipe(z.string().regex(/^[0-9a-f]{64}$/i, 'expected the SHA-256 digest of a key: 64 hexadecimal digits'))
      .transform((digest) => digest.toLowerCase())
      .meta({ ...SECRET, form: '64 hexadecimal digits' })
      .describe('The SHA-256 digest of the key, never the key itself: `printf %s "$KEY" | sha256sum`.'),
    tenant: channelFields.tenant.describe('The tenant whose channels and media the key can access.'),
    scopes: z
      .array(z.enum(SCOPES).meta(SHOWN_IN_FAULTS))
      .min(1, 'expected at least one scope')
      .describe(
        'The permissions of the key: `media:read` for queries and subscriptions, `media:write` for uploads and retries, `media:delete` for deletions.',
      ),
  })
  .meta(KEYS_MAY_BE_SECRETS);

const jwt = z
  .strictObject({
    jwksUrl: httpUrl
      .refine((value) => new URL(value).protocol === 'https:' || isLoopback(new URL(value).hostname), {
        error: 'expected https; http is allowed on loopback only',
      })
      .describe("The URL of the issuer's key set. It must use https, or http on loopback."),
    issuer: text.describe('The required value of the claim `iss`.'),
    audience: text.describe('A value that the claim `aud` must contain.'),
    tenantClaim: text.default('tenant').describe('The claim that contains the tenant, a non-empty text.'),
    scopeClaim: text
      .default('scope')
      .describe(
        'The claim that contains the scopes: a text separated by spaces, or a list of texts. Scopes of other services are ignored.',
      ),
  })
  .meta(KEYS_MAY_BE_SECRETS);

/** The section `auth`. */
export const auth = section({
  mode: z
    .enum(['none', 'apiKey', 'jwt'])
    .default(DEFAULT_AUTH_MODE)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'The authentication of callers. `none`: every caller has the tenant `default`, and the server listens only on loopback. `apiKey`: callers send `Authorization: Bearer <key>`. `jwt`: callers send `Authorization: Bearer <token>` with a token of the issuer in `auth.jwt`, or one of `auth.apiKeys`. SIGHUP does not change it from or to `none`.',
    ),
  allowOpen: boolean()
    .default(false)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'Allow mode `none` on addresses other than loopback. Every client that can connect to the port can then access all media.',
    ),
  apiKeys: z
    .array(apiKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? [])
    .describe('The API keys of the modes `apiKey` and `jwt`. SIGHUP reloads them.'),
  jwt: jwt
    .nullable()
    .default(null)
    .describe('The verification of tokens in mode `jwt`, with the key set of an issuer. SIGHUP reloads it.'),
}).describe('These keys set who can call the API and with which permissions.');

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

const openOnTheNetwork: Rule = (document) => {
  const mode = valueAt(document, ['auth', 'mode']) ?? DEFAULT_AUTH_MODE;
  const address = valueAt(document, ['server', 'host']) ?? DEFAULT_HOST;
  const isGuarded = mode !== 'none' || isOn(document, ['auth', 'allowOpen']);
  if (isGuarded || typeof address !== 'string' || isLoopback(address)) return [];
  const message =
    'none gives every client access, and server.host is not a loopback address; use apiKey or jwt, or set auth.allowOpen: true';
  return [{ path: 'auth.mode', message }];
};

const apiKeyModeWithoutKeys: Rule = (document) => {
  const keys = valueAt(document, ['auth', 'apiKeys']) ?? [];
  const isApiKeyMode = valueAt(document, ['auth', 'mode']) === 'apiKey';
  if (!isApiKeyMode || !Array.isArray(keys) || keys.length > 0) return [];
  return [{ path: 'auth.apiKeys', message: 'auth.mode apiKey needs at least one key' }];
};

const jwtModeWithoutIssuer: Rule = (document) => {
  const isJwtMode = valueAt(document, ['auth', 'mode']) === 'jwt';
  if (!isJwtMode || (valueAt(document, ['auth', 'jwt']) ?? null) !== null) return [];
  return [{ path: 'auth.jwt', message: 'auth.mode jwt needs the key set, the issuer and the audience of tokens' }];
};

/** Rules over `server` and `auth`. */
export const serverRules: readonly Rule[] = [
  distinct(['auth', 'apiKeys'], 'sha256', (digest) => digest.toLowerCase()),
  openOnTheNetwork,
  apiKeyModeWithoutKeys,
  jwtModeWithoutIssuer,
];
