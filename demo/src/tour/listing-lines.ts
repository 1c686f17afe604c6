import type { CdnEmulator } from '../emulators/cdn-emulator.js';
import { KirimEmulator } from '../emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../emulators/laml/laml-emulator.js';
import { loadMediaSamples } from '../emulators/media-samples.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  signalwireProjectId,
  twilioAccountSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../emulators/sample-ids.js';
import type { DemoLine } from '../line.js';

/* Lines at providers that can list the media of a message. */

/** WhatsApp through Kirim: four messages with one attachment each, and one without. Only the photo has a webhook. */
export async function startSupport(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { token: 'kdv_live_demo' };
  const secret = 'whsec_demo';
  // During the replacement of a secret, Kirim signs with both.
  const emulator = await new KirimEmulator({ ...credentials, cdn, webhookSecrets: ['whsec_retired', secret] }).start();
  const { photo, sticker, voiceNote, document } = loadMediaSamples();
  const media = [
    { ...photo, filename: undefined, caption: 'This is where we are, can you deliver here?' },
    { ...sticker, filename: undefined },
    { ...voiceNote, filename: undefined },
    { ...document, filename: 'delivery-note.pdf' },
    undefined,
  ];
  const messages = media.map((attachment, index) => {
    const id = kirimMessageId(index + 1);
    emulator.addMessage({ id, media: attachment });
    return id;
  });
  const announced = kirimMessageId(1);
  return {
    channel: { id: 'support', provider: 'kirim', baseUrl: emulator.baseUrl, credentials, webhook: { secret } },
    messages,
    webhook: {
      messageId: announced,
      sent: 'a photo with a caption',
      provenBy: 'X-Kirim-Signature',
      make: () => emulator.webhookOf(announced),
    },
    expiry: {
      run: () => {
        for (const id of messages) emulator.expire(id);
      },
      request: {
        url: `${emulator.baseUrl}/messages/${announced}/media`,
        headers: { authorization: `Bearer ${credentials.token}` },
      },
    },
    servers: [emulator],
  };
}

/** MMS through SignalWire: several attachments in one message, without names. */
export async function startSms(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { accountSid: signalwireProjectId(1), username: signalwireProjectId(1), password: 'PT-demo' };
  const signingKey = 'PSK_demo';
  const emulator = await new LamlEmulator({ flavour: 'signalwire', ...credentials, signingKey, cdn }).start();
  const { photo, video } = loadMediaSamples();
  const sid = signalwireMessageSid(1);
  emulator.addMessage({
    sid,
    media: [
      { ...photo, sid: signalwireMediaSid(1) },
      { ...video, sid: signalwireMediaSid(2) },
    ],
  });
  const webhook = { secret: signingKey };
  return {
    channel: { id: 'sms', provider: 'signalwire', baseUrl: emulator.baseUrl, credentials, webhook },
    messages: [sid],
    webhook: {
      messageId: sid,
      sent: 'a photo and a video',
      provenBy: 'X-SignalWire-Signature',
      make: (url) => emulator.webhookOf(sid, url),
    },
    servers: [emulator],
  };
}

/** MMS through Twilio. */
export async function startMms(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { accountSid: twilioAccountSid(1), username: twilioAccountSid(1), password: 'demo-auth-token' };
  const emulator = await new LamlEmulator({ flavour: 'twilio', ...credentials, cdn }).start();
  const { document, photo } = loadMediaSamples();
  const sid = twilioMessageSid(1);
  emulator.addMessage({
    sid,
    media: [
      { ...document, sid: twilioMediaSid(1), filename: 'signed-delivery-note.pdf' },
      { ...photo, sid: twilioMediaSid(2), filename: 'IMG_2041.jpg' },
    ],
  });
  const webhook = { secret: credentials.password };
  return {
    channel: { id: 'mms', provider: 'twilio', baseUrl: emulator.baseUrl, credentials, webhook },
    messages: [sid],
    webhook: {
      messageId: sid,
      sent: 'a document and a photo',
      provenBy: 'X-Twilio-Signature',
      make: (url) => emulator.webhookOf(sid, url),
    },
    servers: [emulator],
  };
}

/** A provider that is down: it answers every request with 503. */
export async function startSales(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { token: 'kdv_live_demo_sales' };
  const emulator = await new KirimEmulator({ ...credentials, cdn }).start();
  emulator.fault = { kind: 'status', status: 503 };
  return {
    channel: { id: 'sales', provider: 'kirim', baseUrl: emulator.baseUrl, credentials },
    messages: [kirimMessageId(6)],
    servers: [emulator],
  };
}
