import type { Config } from '../../config/config.js';
import { MediagraphError } from '../../model/errors.js';
import type { OriginPools } from '../../net/client/origin-pools.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import type { ChannelSettings } from '../../providers/channel-schema.js';
import { connectChannels } from '../../providers/connect-channels.js';
import type { Quota } from '../../providers/quota.js';
import { Slots } from '../../streams/slots.js';
import { type Check, type CheckResult, runCheck } from './check.js';

const LIMIT_MS = 10_000;
const CALLS_AT_ONCE = 32;
/** The check of credentials counts against no quota. */
const NO_QUOTA: Quota = { take: async () => null, hold: async () => ({ kind: 'held', settle: async () => {} }) };

type Outcome = Pick<CheckResult, 'status' | 'message'>;

/**
 * Checks the credentials of each channel with one call. Channels of one account share the call, because repeated
 * refusals may lock the account out.
 */
export async function checkCredentials(config: Config, pools: OriginPools): Promise<readonly CheckResult[]> {
  const { directory, close } = connectChannels(config, { pools, quota: NO_QUOTA });
  const slots = new Slots(CALLS_AT_ONCE);
  const byAccount = new Map<string, Promise<readonly CheckResult[]>>();
  try {
    const settings = new Map(config.channels.map((channel) => [channel.id, channel]));
    const results = directory.all().map(async (channel) => {
      const account = accountOf(settings.get(channel.id));
      const shared = byAccount.get(account) ?? runInTurn(slots, checkOf(channel));
      byAccount.set(account, shared);
      return (await shared).map((result) => ({ ...result, channelId: channel.id }));
    });
    return (await Promise.all(results)).flat();
  } finally {
    await close();
  }
}

function accountOf(channel: ChannelSettings | undefined): string {
  return JSON.stringify([channel?.provider, channel?.baseUrl, channel?.credentials, channel?.options]);
}

async function runInTurn(slots: Slots, check: Check): Promise<readonly CheckResult[]> {
  await slots.take();
  try {
    return await runCheck(check);
  } finally {
    slots.release();
  }
}

function checkOf({ id, adapter }: ConnectedChannel): Check {
  const run = async (signal: AbortSignal): Promise<readonly CheckResult[]> => {
    const outcome = adapter.checkCredentials
      ? await adapter.checkCredentials({ signal }).then(() => ACCEPTED, outcomeOf)
      : UNKNOWABLE;
    return [{ check: 'credentials', channelId: id, ...outcome }];
  };
  return { name: 'credentials', channelId: id, limitMs: LIMIT_MS, run };
}

const ACCEPTED: Outcome = { status: 'ok', message: 'the provider accepts the credentials' };
const UNKNOWABLE: Outcome = {
  status: 'warn',
  message: 'the provider has no call that would test the credentials without effect; send a picture to test them',
};

function outcomeOf(thrown: unknown): Outcome {
  if (!(thrown instanceof MediagraphError)) throw thrown;
  const { upstreamStatus, upstreamCode } = thrown.details;
  const facts = [
    ...(upstreamStatus === undefined ? [] : [`status ${upstreamStatus}`]),
    ...(upstreamCode === undefined ? [] : [`code ${upstreamCode}`]),
  ];
  const answer = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  switch (thrown.code) {
    case 'PROVIDER_CREDENTIALS':
      return {
        status: 'fail',
        message: `the provider refuses the credentials${answer}; check credentials of the channel and their permissions at the provider`,
      };
    case 'PROVIDER_RATE_LIMITED':
      return {
        status: 'warn',
        message: `the provider's rate limit refuses the call${answer}, so the credentials are not tested; try again later`,
      };
    case 'PROVIDER_UNAVAILABLE':
      return upstreamStatus === undefined
        ? { status: 'fail', message: 'the provider does not answer; check baseUrl, the DNS and the firewall' }
        : { status: 'fail', message: `the provider cannot answer now${answer}; try again later, and check baseUrl` };
    case 'PROVIDER_REJECTED':
      return upstreamStatus === 404
        ? {
            status: 'warn',
            message: `the provider does not know what was requested${answer}, so the credentials are not tested; check baseUrl and the ids of the channel`,
          }
        : {
            status: 'fail',
            message: `the provider refuses the call${answer}; check baseUrl and the ids of the channel`,
          };
    default:
      return { status: 'fail', message: `the answer is not that of the provider's API${answer}; check baseUrl` };
  }
}
