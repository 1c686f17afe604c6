import type { Channel } from '../../model/channel.js';
import type { WebhookItem, WebhookReceiver } from '../provider-adapter.js';
import { readJson } from '../webhooks/body.js';
import { WebhookFaults, withNestingFault } from '../webhooks/faults.js';
import type { JsonBody } from '../webhooks/json-walk.js';
import { readMetaBody, toEvents } from '../webhooks/meta-body.js';
import { signatureOf } from '../webhooks/request.js';
import { hmac, isHexOf, isSameSecret } from '../webhooks/signature.js';

export interface WhatsappWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** `whatsapp-cloud`: the app secret. `chakra`: the `?token=` of the webhook's URL. */
  readonly secret: string;
  /**
   * The verify token of Meta's handshake. Absent means no handshake, except at Chakra, where it defaults to the secret.
   */
  readonly verifyToken?: string;
  /** Events of other numbers of the same app are ignored; absent means that events of all numbers count. */
  readonly phoneNumberId?: string;
}

/**
 * Receives Meta's Cloud API webhooks. `X-Hub-Signature-256: sha256=<hex>` is the HMAC-SHA256 of the raw bytes with the
 * app secret. Meta sends no delivery id, but repeats a delivery byte for byte.
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
 * Receives Chakra's webhooks, which contain Meta's body. Chakra documents no signature, so the webhook's own URL
 * contains the secret, which the operator enters at Chakra only.
 */
export function createChakraWebhook(options: WhatsappWebhookOptions): WebhookReceiver {
  const { secret, verifyToken = secret } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify({ url }) {
      const [token, ...repeated] = url.searchParams.getAll('token');
      if (token === undefined || repeated.length > 0)
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

// The `url` in Meta's body is ignored: it needs Meta's token, which Chakra's customers do not have, and expires within
// minutes. The media id is valid for seven days.
function parseMeta(
  { value, isTooDeep }: JsonBody,
  { phoneNumberId }: WhatsappWebhookOptions,
  faults: WebhookFaults,
  now: Date,
): Iterable<WebhookItem> {
  const items = readMetaBody(value, faults, { phoneNumberId, now });
  return withNestingFault(
    toEvents(items, ({ mediaId }) => ({ providerMediaId: mediaId })),
    isTooDeep,
  );
}

// developers.facebook.com, graph-api/webhooks/getting-started: "Verification Requests". The challenge is a number
// there. A text that a browser could interpret as a page is not echoed.
function answerHandshake(query: URLSearchParams, verifyToken: string, faults: WebhookFaults): string {
  const parameter = (name: string): string => {
    const [value, ...repeated] = query.getAll(name);
    if (value === undefined || repeated.length > 0) throw faults.rejected(`one parameter ${name}`, 'none or several');
    return value;
  };
  if (parameter('hub.mode') !== 'subscribe') throw faults.rejected('hub.mode to be subscribe', 'another mode');
  if (!isSameSecret(parameter('hub.verify_token'), verifyToken))
    throw faults.rejected("hub.verify_token to be the channel's", 'another text');
  const challenge = parameter('hub.challenge');
  if (!/^[A-Za-z0-9_.~-]{1,200}$/.test(challenge))
    throw faults.rejected('hub.challenge of at most 200 letters, digits and _.~-', 'another text');
  return challenge;
}
