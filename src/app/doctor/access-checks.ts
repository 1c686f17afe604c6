import type { Config } from '../../config/config.js';
import { RECOMMENDED_SECRET_BYTES } from '../../links/settings.js';
import { dispatchBuffered } from '../../net/client/buffered-response.js';
import type { OriginPools } from '../../net/client/origin-pools.js';
import { userAgent } from '../../providers/connect-channels.js';
import { isLoopback } from '../../server/settings.js';
import { type Check, CheckFault, type CheckResult, kindOf } from './check.js';

const LIMIT_MS = 10_000;
const REACH_WITHIN_MS = 5_000;
const MAX_ANSWER_BYTES = 10_000;

/** The keys that sign links: that there are some, and their lengths. */
export function checkSigningKeys({ delivery: { signingKeys } }: Config): CheckResult {
  const check = 'signingKeys';
  const [first] = signingKeys;
  if (!first) {
    const message = 'no key is configured; the server generates one and keeps it in the database';
    return { check, status: 'ok', message };
  }
  const short = signingKeys.filter(({ secret }) => Buffer.byteLength(secret) < RECOMMENDED_SECRET_BYTES);
  const ids = signingKeys.map(({ id }) => id).join(', ');
  const summary = `${first.id} signs links; verified: ${ids}`;
  if (short.length === 0) return { check, status: 'ok', message: summary };
  const faulty = short.map(({ id, secret }) => `${id} has ${Buffer.byteLength(secret)} bytes`).join(', ');
  const advice = `use ${RECOMMENDED_SECRET_BYTES} random bytes: openssl rand -base64 32`;
  return { check, status: 'warn', message: `${summary}; ${faulty}; ${advice}` };
}

/** The key set of the issuer of tokens; null where tokens are not accepted. */
export function issuerCheck({ auth, server }: Config, pools: OriginPools): Check | null {
  const settings = auth.mode === 'jwt' ? auth.jwt : null;
  if (!settings) return null;
  const run = async (signal: AbortSignal): Promise<readonly CheckResult[]> => {
    const { fetchKeys, KeySet } = await import('../../server/jwt/verification.js');
    const read = fetchKeys({ url: settings.jwksUrl, pools, userAgent: userAgent(server.publicUrl) });
    const body = await read(signal).catch((thrown: unknown) => {
      throw new CheckFault(`the key set cannot be fetched (${kindOf(thrown)}); check auth.jwt.jwksUrl`);
    });
    const keys = keySetOf(() => new KeySet(body));
    if (keys.size > 0)
      return [{ check: 'auth.jwt', status: 'ok', message: `the key set has ${keys.size} usable keys` }];
    throw new CheckFault(
      'the key set has no usable key; check auth.jwt.jwksUrl, and that the issuer signs with RS, PS, ES or Ed',
    );
  };
  return { name: 'auth.jwt', limitMs: LIMIT_MS, run };
}

function keySetOf<Keys>(parse: () => Keys): Keys {
  try {
    return parse();
  } catch {
    throw new CheckFault('the document at auth.jwt.jwksUrl is not a key set; check auth.jwt.jwksUrl');
  }
}

/** The public URL. Whether the Internet reaches it cannot be known here, so the check never fails. */
export function publicUrlCheck({ server, channels }: Config, pools: OriginPools): Check {
  const { publicUrl } = server;
  const result = (status: 'ok' | 'warn', message: string): readonly CheckResult[] => [
    { check: 'publicUrl', status, message },
  ];
  const run = async (signal: AbortSignal): Promise<readonly CheckResult[]> => {
    if (publicUrl === null) {
      const message = 'server.publicUrl is not set, so links start with the address that the server listens on';
      const needsIt = channels.some(({ webhook, provider }) => webhook || provider === 'gupshup');
      return needsIt ? result('warn', `${message}; set it, because providers call this server`) : result('ok', message);
    }
    const { protocol, hostname } = new URL(publicUrl);
    if (protocol !== 'https:' && !isLoopback(hostname))
      return result('warn', 'server.publicUrl is not https; use https outside of this machine');
    if (await answers(publicUrl, pools, signal)) return result('ok', 'a server answers at server.publicUrl');
    const advice = 'if the server runs, check the DNS, the proxy and its certificate';
    return result('warn', `this server does not answer at server.publicUrl yet, as seen from here; ${advice}`);
  };
  return { name: 'publicUrl', limitMs: LIMIT_MS, run };
}

async function answers(publicUrl: string, pools: OriginPools, signal: AbortSignal): Promise<boolean> {
  const { origin, pathname } = new URL(publicUrl);
  const path = `${pathname.replace(/\/$/, '')}/livez`;
  const headers = { 'user-agent': userAgent(publicUrl) };
  const limits = { timeoutMs: REACH_WITHIN_MS, maxBytes: MAX_ANSWER_BYTES, signal };
  try {
    return (await dispatchBuffered(pools.for(origin), { method: 'GET', path, headers }, limits)).statusCode === 200;
  } catch {
    return false;
  }
}
