import { z } from 'zod';
import { SCOPES } from '../model/caller.js';
import { channelFields } from '../providers/channel-settings.js';
import { valueAt } from '../settings/faults.js';
import { isLoopback } from '../settings/loopback.js';
import { distinct, isOn, type Rule } from '../settings/rules.js';
import { KEYS_MAY_BE_SECRETS, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { baseUrl, corsOrigin, host, httpUrl, text } from '../settings/texts.js';
import { boolean, port, timer } from '../settings/units.js';

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
      'The interface to listen on; `0.0.0.0` for all. Any but loopback needs authentication, or `auth.allowOpen`.',
    ),
  port: port(0).default(DEFAULT_PORT).meta(SHOWN_IN_FAULTS).describe('`0` takes a free one, which is logged.'),
  publicUrl: baseUrl
    .nullable()
    .default(null)
    .describe(
      'Where browsers and providers reach this server, from outside of every proxy. Links begin with it unless `delivery.baseUrl` is set, and a provider that fetches our URLs is given it. `null`: the address that it listens on.',
    ),
  explorer: z
    .enum(['sandbox', 'graphiql', 'off'])
    .default('sandbox')
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'The page at `/graphql` for people. `graphiql` comes with the package and works offline; `sandbox` is loaded from Apollo.',
    ),
  trustProxy: boolean()
    .default(false)
    .meta(SHOWN_IN_FAULTS)
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
    .default(DEFAULT_REQUEST_TIMEOUT_MS)
    .describe("For a request's headers and its body to arrive; after that its connection is closed."),
  allowedOrigins: z
    .array(corsOrigin)
    .default([])
    .meta({ form: 'a list of `*` and origins such as `https://app.example.com`' })
    .describe('Pages that may ask `/graphql` by script (CORS), without a router in between.'),
})
  .transform(({ requestTimeout, ...rest }) => ({ ...rest, requestTimeoutMs: requestTimeout }))
  .describe('Where the server listens, and how others reach it.');

const apiKey = z
  .strictObject({
    sha256: text
      .pipe(z.string().regex(/^[0-9a-f]{64}$/i, 'expected the SHA-256 digest of a key: 64 hexadecimal digits'))
      .transform((digest) => digest.toLowerCase())
      .meta({ form: '64 hexadecimal digits' })
      .describe('The SHA-256 digest of the key, never the key itself: `printf %s "$KEY" | sha256sum`.'),
    tenant: channelFields.tenant.describe('Whose channels and media the key opens.'),
    scopes: z
      .array(z.enum(SCOPES).meta(SHOWN_IN_FAULTS))
      .min(1, 'expected at least one scope')
      .describe('`media:read` for queries and subscriptions, `media:write` for uploads, `media:delete` for deletions.'),
  })
  .meta(KEYS_MAY_BE_SECRETS);

const jwt = z
  .strictObject({
    jwksUrl: httpUrl
      .refine((value) => new URL(value).protocol === 'https:' || isLoopback(new URL(value).hostname), {
        error: 'expected https; http is allowed on loopback only',
      })
      .describe("The issuer's key set; https, or http on loopback."),
    issuer: text.describe('What `iss` must be.'),
    audience: text.describe('What `aud` must have.'),
    tenantClaim: text.default('tenant').describe('The claim that names the tenant.'),
    scopeClaim: text.default('scope').describe('The claim that has the scopes.'),
  })
  .meta(KEYS_MAY_BE_SECRETS);

/** The section `auth`. */
export const auth = section({
  mode: z
    .enum(['none', 'apiKey'], {
      error: ({ input }) =>
        input === 'jwt' ? 'jwt is not available in this version; expected none or apiKey' : undefined,
    })
    .default(DEFAULT_AUTH_MODE)
    .meta(SHOWN_IN_FAULTS)
    .describe(
      'Who may ask. `none`: everybody, as tenant `default`, and the server refuses to listen anywhere but on loopback. `apiKey`: callers send `Authorization: Bearer <key>`.',
    ),
  allowOpen: boolean()
    .default(false)
    .meta(SHOWN_IN_FAULTS)
    .describe('Let mode `none` listen on other addresses too: whoever reaches the port sees all media.'),
  apiKeys: z
    .array(apiKey)
    .nullable()
    .default(null)
    .transform((keys) => keys ?? [])
    .describe('For mode `apiKey`. SIGHUP reads them anew.'),
  jwt: jwt.nullable().default(null).describe('For tokens of an issuer, checked against its key set.'),
}).describe('Who may ask what.');

const openOnTheNetwork: Rule = (document) => {
  const mode = valueAt(document, ['auth', 'mode']) ?? DEFAULT_AUTH_MODE;
  const address = valueAt(document, ['server', 'host']) ?? DEFAULT_HOST;
  const isGuarded = mode !== 'none' || isOn(document, ['auth', 'allowOpen']);
  if (isGuarded || typeof address !== 'string' || isLoopback(address)) return [];
  const message =
    'none lets everybody in, and server.host is not a loopback address; use apiKey, or set auth.allowOpen: true';
  return [{ path: 'auth.mode', message }];
};

const apiKeyModeWithoutKeys: Rule = (document) => {
  const keys = valueAt(document, ['auth', 'apiKeys']) ?? [];
  const isApiKeyMode = valueAt(document, ['auth', 'mode']) === 'apiKey';
  if (!isApiKeyMode || !Array.isArray(keys) || keys.length > 0) return [];
  return [{ path: 'auth.apiKeys', message: 'auth.mode apiKey needs at least one key' }];
};

/** Rules over `server` and `auth`. */
export const serverRules: readonly Rule[] = [
  distinct(['auth', 'apiKeys'], 'sha256', (digest) => digest.toLowerCase()),
  openOnTheNetwork,
  apiKeyModeWithoutKeys,
];
