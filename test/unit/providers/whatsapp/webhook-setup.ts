import { createChakraWebhook, createWhatsappWebhook } from '../../../../src/providers/whatsapp/webhook.js';
import { mediaIn, parseJsonBody } from '../../webhook-requests.js';

export const SECRET = 'app-secret';
export const VERIFY_TOKEN = 'verify-me';
export const cloud = createWhatsappWebhook({
  channel: { id: 'line', provider: 'whatsapp-cloud' },
  secret: SECRET,
  verifyToken: VERIFY_TOKEN,
  phoneNumberId: '100200300',
});
export const chakra = createChakraWebhook({ channel: { id: 'line', provider: 'chakra' }, secret: SECRET });

export const HASH = Buffer.from('89'.repeat(32), 'hex');
export const SENT_AT = 1763726400;

export function message(type: string, media: object, overrides: object = {}) {
  return { from: '628123', id: `wamid.${type}`, timestamp: String(SENT_AT), type, [type]: media, ...overrides };
}

export function change(messages: unknown, number = '100200300') {
  return {
    field: 'messages',
    value: { messaging_product: 'whatsapp', metadata: { phone_number_id: number }, messages },
  };
}

export function bodyOf(messages: unknown, number?: string) {
  return { object: 'whatsapp_business_account', entry: [{ id: 'WABA', changes: [change(messages, number)] }] };
}

export const IMAGE = message('image', {
  id: '1479537139650973',
  mime_type: 'image/jpeg',
  sha256: HASH.toString('base64'),
  caption: 'Taj Mahal 🕌',
  url: 'https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1',
});
export const mediaOf = (body: object) => mediaIn(parseJsonBody(cloud, body));
