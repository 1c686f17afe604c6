import { createLamlWebhook, type LamlWebhookOptions } from '../../../../src/providers/laml/webhook.js';

export const KEY = 'signing-key';
export const TWILIO: LamlWebhookOptions = {
  channel: { id: 'line', provider: 'twilio' },
  secret: KEY,
  accountSid: 'AC00000000000000000000000000000001',
  baseUrl: 'https://api.twilio.com/2010-04-01',
};
export const SIGNALWIRE: LamlWebhookOptions = {
  channel: { id: 'line', provider: 'signalwire' },
  secret: KEY,
  accountSid: 'b08dacad-6c0e-4f0f-a3f8-4c2b7f0d9f11',
  baseUrl: 'https://example.signalwire.com/api/laml/2010-04-01',
};
export const twilio = createLamlWebhook(TWILIO);
export const signalwire = createLamlWebhook(SIGNALWIRE);

export const MESSAGE = 'MM00000000000000000000000000000002';
export const MEDIA = 'ME00000000000000000000000000000003';

export function mediaUrl(media = MEDIA, message = MESSAGE, account = TWILIO.accountSid): string {
  return `${TWILIO.baseUrl}/Accounts/${account}/Messages/${message}/Media/${media}`;
}

export function formOf(fields: Record<string, string>): string {
  return new URLSearchParams(fields).toString();
}

export const FIELDS = {
  MessageSid: MESSAGE,
  AccountSid: TWILIO.accountSid,
  From: '+14158675309',
  To: '+18005551212',
  Body: 'look & see = é 🙂',
  NumMedia: '1',
  MediaUrl0: mediaUrl(),
  MediaContentType0: 'image/jpeg',
};
