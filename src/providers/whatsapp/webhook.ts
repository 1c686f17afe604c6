import type { Channel } from '../../model/channel.js';
import type { WebhookReceiver, WebhookTold } from '../provider-adapter.js';
import { readJson } from '../webhooks/body.js';
import { toldOf, WebhookFaults } from '../webhooks/faults.js';
import type { JsonBody } from '../webhooks/json-walk.js';
import { announced, readMetaBody } from '../webhooks/meta-body.js';
import { signatureOf } from '../webhooks/request.js';
import { hmac, isHexOf, isSameSecret } from '../webhooks/signature.js';

export interface WhatsappWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** `whatsapp-cloud`: the app secret. `chakra`: what stands in `?token=` of the webhook's URL. */
  readonly secret: string;
  /** Of Meta's handshake. Absent: there is none, but Chakra's, where it is the secret. */
  readonly verifyToken?: string;
  /** Events of other numbers of the same app are left out; absent: every number's count. */
  readonly phoneNumberId?: string;
}

/**
 * Meta's Cloud API: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 of the raw bytes with the app secret. Meta names
 * no delivery; what it repeats, it repeats byte for byte.
 */
export function createWhatsappWebhook(options: WhatsappWebhookOptions): WebhookReceiver {
  const { secret, verifyToken } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify(request) {
      const header = signatureOf(request, 'X-Hub-Signature-256', faults);
      const hex = /^sha256=(.*)$/i.exec(header)?.[1];
      if (hex === undefined || !isHexOf(hmac('sha256', secret, request.rawBody), hex))
        throw faults.rejected('X-Hub-Signature-256 to sign the body with the app secret', 'another signature');
    },
    deliveryId: () => null,
    parse: (rawBody, contentType, now) => parseMeta(readJson(rawBody, contentType, faults), options, faults, now),
    ...(verifyToken !== undefined && { handshake: (query) => answerHandshake(query, verifyToken, faults) }),
  };
}

/**
 * Chakra passes Meta's body through, and documents no signature: the webhook's own URL carries the secret, which the
 * operator gives to Chakra alone.
 */
export function createChakraWebhook(options: WhatsappWebhookOptions): WebhookReceiver {
  const { secret, verifyToken = secret } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify({ url }) {
      const [token, ...others] = url.searchParams.getAll('token');
      if (token === undefined || others.length > 0)
        throw faults.rejected(
          'one parameter token in the URL of the webhook',
          token === undefined ? 'none' : 'several',
        );
      if (!isSameSecret(token, secret))
        throw faults.rejected("the parameter token to be the channel's secret", 'another text');
    },
    deliveryId: () => null,
    parse: (rawBody, contentType, now) => parseMeta(readJson(rawBody, contentType, faults), options, faults, now),
    handshake: (query) => answerHandshake(query, verifyToken, faults),
  };
}

// The `url` that Meta's body may have is left out: it needs Meta's token, which Chakra's customers have not, and ends
// within minutes. The id is good for seven days.
function parseMeta(
  { value, isTooDeep }: JsonBody,
  { phoneNumberId }: WhatsappWebhookOptions,
  faults: WebhookFaults,
  now: Date,
): Iterable<WebhookTold> {
  const told = readMetaBody(value, faults, { phoneNumberId, now });
  return toldOf(
    announced(told, ({ mediaId }) => ({ providerMediaId: mediaId })),
    isTooDeep,
  );
}

// developers.facebook.com, graph-api/webhooks/getting-started: "Verification Requests". The challenge is a number there;
// anything that could be read as a page of ours is not echoed.
function answerHandshake(query: URLSearchParams, verifyToken: string, faults: WebhookFaults): string {
  const one = (name: string): string => {
    const [value, ...others] = query.getAll(name);
    if (value === undefined || others.length > 0) throw faults.rejected(`one parameter ${name}`, 'none or several');
    return value;
  };
  if (one('hub.mode') !== 'subscribe') throw faults.rejected('hub.mode to be subscribe', 'another mode');
  if (!isSameSecret(one('hub.verify_token'), verifyToken))
    throw faults.rejected("hub.verify_token to be the channel's", 'another text');
  const challenge = one('hub.challenge');
  if (!/^[A-Za-z0-9_.~-]{1,200}$/.test(challenge))
    throw faults.rejected('hub.challenge of at most 200 letters, digits and _.~-', 'another text');
  return challenge;
}
