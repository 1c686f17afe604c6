import { CdnEmulator } from '../emulators/cdn-emulator.js';
import { KirimEmulator } from '../emulators/kirim-emulator.js';
import { LamlEmulator } from '../emulators/laml-emulator.js';
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
import { formatMessageId } from '../model/ids.js';

/** A channel as the configuration file has it. */
export interface DemoChannel {
  readonly id: string;
  readonly provider: string;
  readonly baseUrl: string;
  readonly credentials: Readonly<Record<string, string>>;
}

/** Providers' APIs on this machine, and messages that customers sent through them. */
export interface DemoProviders {
  readonly channels: readonly DemoChannel[];
  /** The ids are the same in every run; schema/operations has them too. */
  readonly messageIds: readonly string[];
  close(): Promise<void>;
}

/** One line at one provider. */
interface DemoLine {
  readonly emulator: KirimEmulator | LamlEmulator;
  readonly channel: DemoChannel;
  readonly messages: readonly string[];
}

export async function startDemoProviders(): Promise<DemoProviders> {
  const cdn = await new CdnEmulator().start();
  const lines = await Promise.all([startSupport(cdn), startSms(cdn), startMms(cdn), startSales(cdn)]);
  return {
    channels: lines.map(({ channel }) => channel),
    messageIds: lines.flatMap(({ channel, messages }) =>
      messages.map((providerMessageId) => formatMessageId({ channelId: channel.id, providerMessageId })),
    ),
    close: async () => {
      await Promise.all([cdn, ...lines.map(({ emulator }) => emulator)].map((emulator) => emulator.close()));
    },
  };
}

/** WhatsApp through Kirim: one attachment a message, and one message without. */
async function startSupport(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { token: 'kdv_live_demo' };
  const emulator = await new KirimEmulator({ ...credentials, cdn }).start();
  const { photo, sticker, voiceNote, document } = loadMediaSamples();
  const media = [
    { ...photo, filename: undefined, caption: 'This is where we are, can you deliver here?' },
    { ...sticker, filename: undefined },
    { ...voiceNote, filename: undefined },
    { ...document, filename: 'delivery-note.pdf' },
    undefined,
  ];
  const messages = media.map((one, index) => {
    const id = kirimMessageId(index + 1);
    emulator.addMessage({ id, media: one });
    return id;
  });
  const channel = { id: 'support', provider: 'kirim', baseUrl: emulator.baseUrl, credentials };
  return { emulator, channel, messages };
}

/** MMS through SignalWire: several attachments in one message, without names. */
async function startSms(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { accountSid: signalwireProjectId(1), username: signalwireProjectId(1), password: 'PT-demo' };
  const emulator = await new LamlEmulator({ flavour: 'signalwire', ...credentials, cdn }).start();
  const { photo, video } = loadMediaSamples();
  const sid = signalwireMessageSid(1);
  emulator.addMessage({
    sid,
    media: [
      { ...photo, sid: signalwireMediaSid(1) },
      { ...video, sid: signalwireMediaSid(2) },
    ],
  });
  const channel = { id: 'sms', provider: 'signalwire', baseUrl: emulator.baseUrl, credentials };
  return { emulator, channel, messages: [sid] };
}

/** MMS through Twilio. */
async function startMms(cdn: CdnEmulator): Promise<DemoLine> {
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
  const channel = { id: 'mms', provider: 'twilio', baseUrl: emulator.baseUrl, credentials };
  return { emulator, channel, messages: [sid] };
}

/** A provider on a bad day: whatever it is asked, it answers 503. */
async function startSales(cdn: CdnEmulator): Promise<DemoLine> {
  const credentials = { token: 'kdv_live_demo_sales' };
  const emulator = await new KirimEmulator({ ...credentials, cdn }).start();
  emulator.fault = { kind: 'status', status: 503 };
  const channel = { id: 'sales', provider: 'kirim', baseUrl: emulator.baseUrl, credentials };
  return { emulator, channel, messages: [kirimMessageId(6)] };
}
