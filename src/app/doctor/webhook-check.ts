import type { Config } from '../../config/config.js';
import type { ChannelSettings } from '../../providers/channel-schema.js';
import { isLoopback } from '../../server/settings.js';
import type { CheckResult, CheckStatus } from './check.js';

/** Shorter secrets can be guessed. */
const MIN_SECRET_CHARACTERS = 16;

/** These providers list the media of a message. The others announce media by webhook only. */
const LISTING_PROVIDERS: ReadonlySet<string> = new Set(['kirim', 'signalwire', 'twilio']);

interface Finding {
  readonly status: Exclude<CheckStatus, 'ok'>;
  readonly message: string;
}

/** What the configuration says about each channel's webhook. The provider's side cannot be read. */
export function checkWebhooks({ channels, server: { publicUrl } }: Config): readonly CheckResult[] {
  return channels.map((channel) => ({ check: 'webhook', channelId: channel.id, ...outcomeOf(channel, publicUrl) }));
}

function outcomeOf(channel: ChannelSettings, publicUrl: string | null): Pick<CheckResult, 'status' | 'message'> {
  if (!channel.webhook) {
    return LISTING_PROVIDERS.has(channel.provider)
      ? { status: 'ok', message: 'no webhook is configured; media is found when a message is queried' }
      : {
          status: 'warn',
          message: 'no webhook is configured, and this provider announces media by webhook only; set webhook',
        };
  }
  const findings = [...addressFindings(channel, publicUrl), ...secretFindings(channel)];
  const status = findings.some((finding) => finding.status === 'fail') ? 'fail' : findings.length > 0 ? 'warn' : 'ok';
  return { status, message: [enterAt(channel, publicUrl), ...findings.map(({ message }) => message)].join('; ') };
}

function enterAt(channel: ChannelSettings, publicUrl: string | null): string {
  const path = `${publicUrl ?? 'https://<public host>'}/webhooks/${channel.id}`;
  const ownUrl = urlOf(channel);
  // The query of a URL may contain a secret.
  const url = ownUrl === undefined ? path : (ownUrl.split('?', 1)[0] ?? path);
  const suffix = channel.provider === 'chakra' ? '?token=<webhook.secret>' : ownUrl?.includes('?') ? '?…' : '';
  return `enter ${url}${suffix} at the provider`;
}

function addressFindings(channel: ChannelSettings, publicUrl: string | null): Finding[] {
  const url = urlOf(channel) ?? publicUrl;
  if (url === null) {
    const isSigned = channel.provider === 'signalwire' || channel.provider === 'twilio';
    const reason = isSigned ? 'the signature covers the public URL' : 'providers need a public URL';
    return [{ status: 'warn', message: `server.publicUrl is not set, and ${reason}; set it` }];
  }
  const { protocol, hostname } = new URL(url);
  if (isLoopback(hostname))
    return [{ status: 'warn', message: 'the URL is on this machine, where no provider reaches it' }];
  return protocol === 'https:' ? [] : [{ status: 'warn', message: 'the URL is not https; most providers require it' }];
}

function urlOf(channel: ChannelSettings): string | undefined {
  return channel.webhook && 'url' in channel.webhook ? channel.webhook.url : undefined;
}

function secretFindings(channel: ChannelSettings): Finding[] {
  const { webhook } = channel;
  const findings: Finding[] = [];
  if (webhook && webhook.secret.length < MIN_SECRET_CHARACTERS) {
    const message = `webhook.secret has ${webhook.secret.length} characters; use ${MIN_SECRET_CHARACTERS} or more, or check that it is complete`;
    findings.push({ status: 'warn', message });
  }
  if (channel.provider === 'whatsapp-cloud' && channel.webhook?.verifyToken === undefined) {
    const message = 'webhook.verifyToken is missing, without which Meta accepts no new URL; set it';
    findings.push({ status: 'warn', message });
  }
  return findings;
}
