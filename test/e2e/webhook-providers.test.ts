import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { FaultRule } from '../../demo/src/emulators/faults.js';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import {
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import {
  echoedMessage,
  editedMessage,
  failedMessage,
  historyMedia,
  historyOf,
  inboundMessage,
  revokedMessage,
  signedDelivery,
  type WebhookDelivery,
  type WhatsAppMessage,
} from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import {
  APP_ID,
  DEVICE_ID,
  EmulatedProviders,
  LAML_URLS,
  PHONE_NUMBER_ID,
  WEBHOOK_SECRETS,
} from '../support/emulated-providers.js';
import { eventually, until } from '../support/eventually.js';
import { padded } from '../support/media-files.js';
import { samples } from '../support/sample-messages.js';
import { ACCOUNTS, sole } from '../support/test-bed.js';
import { type ReportedMedia, WebhookBed } from '../support/webhook-bed.js';
import {
  formDelivery,
  gatewayDelivery,
  hashedDelivery,
  jsonDelivery,
  kirimDelivery,
  swmlDelivery,
} from '../support/webhook-senders.js';

// Each server of its own takes a second to start, and more on a busy machine.
const PATIENCE_MS = 30_000;
import.meta.jest.setTimeout(PATIENCE_MS);
const TWIML = '<Response></Response>';

const providers = new EmulatedProviders();
let bed: WebhookBed;
/** Every message and media of this file has a number of its own. */
let serial = 0;

beforeAll(() => providers.start());
afterAll(() => providers.close());

beforeEach(() => {
  serial += 1;
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const wamid = () => `wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ${serial}`;
const metaId = () => `18525598519137${String(serial).padStart(2, '0')}`;

/** What is sent, and what the message must have afterwards. */
interface Case {
  readonly channel: string;
  /** The provider's. */
  readonly messageId: string;
  readonly delivery: WebhookDelivery;
  readonly query?: string;
  readonly sample: MediaSample;
  /** What the payload contains. */
  readonly reported: Partial<ReportedMedia>;
  /** The body of the 200. */
  readonly answer?: string;
}

function kirimMessage(sample: MediaSample, keys: { caption?: string; filename?: string } = {}): string {
  providers.kirim.addMessage({ id: wamid(), media: { ...sample, ...keys } });
  return wamid();
}

/** Meta's body as an object, about a media that Meta itself need not have. */
function metaBody(sample: MediaSample, message: Omit<WhatsAppMessage, 'id'> = {}): Record<string, unknown> {
  const media = { id: metaId(), bytes: sample.bytes, mimeType: sample.mimeType };
  return JSON.parse(inboundMessage(media, { id: wamid(), ...message }, PHONE_NUMBER_ID).toString());
}

const KIRIM: { readonly secrets: readonly string[] } = { secrets: [WEBHOOK_SECRETS.wa] };

function ofKirim(sample: MediaSample, body: object, reported: Case['reported'], signing = KIRIM): Case {
  const delivery = kirimDelivery(body, signing);
  return { channel: 'wa', messageId: wamid(), delivery, sample, reported: { providerMediaId: null, ...reported } };
}

const PHOTO_OF_META = { kind: 'IMAGE', mimeType: 'image/jpeg', sha256: sha256(samples.photo.bytes) };

const kirimCases: Array<[string, () => Case]> = [
  [
    "Kirim, Meta's body alone: REST is asked with its message id",
    () => {
      kirimMessage(samples.photo);
      return ofKirim(samples.photo, metaBody(samples.photo, { caption: 'Grüße 🌅' }), {
        ...PHOTO_OF_META,
        caption: 'Grüße 🌅',
      });
    },
  ],
  [
    'Kirim, enriched with an address',
    () => {
      kirimMessage(samples.document, { filename: 'offer.pdf' });
      const kirim = { media_url: providers.kirim.mediaUrl(wamid()), media_status: 'ready' };
      const body = { ...metaBody(samples.document, { filename: 'Angebot.pdf', caption: 'bitte' }), kirim };
      const reported = { kind: 'DOCUMENT', mimeType: 'application/pdf', filename: 'Angebot.pdf', caption: 'bitte' };
      return ofKirim(samples.document, body, { ...reported, sha256: sha256(samples.document.bytes) });
    },
  ],
  [
    'Kirim, enriched without an address: REST is asked',
    () => {
      kirimMessage(samples.video);
      const kirim = { media_url: null, media_status: 'ready' };
      const reported = { kind: 'VIDEO', mimeType: 'video/mp4', sha256: sha256(samples.video.bytes) };
      return ofKirim(samples.video, { ...metaBody(samples.video), kirim }, reported);
    },
  ],
  [
    'Kirim, its envelope with an address',
    () => {
      kirimMessage(samples.voiceNote);
      const media_url = providers.kirim.mediaUrl(wamid());
      const { mimeType: mime_type } = samples.voiceNote;
      const message = { id: wamid(), type: 'audio', media_url, mime_type, caption: 'hört!', filename: 'note.ogg' };
      const reported = { kind: 'AUDIO', mimeType: mime_type, caption: 'hört!', filename: 'note.ogg', sha256: null };
      return ofKirim(samples.voiceNote, envelope({ message }), reported);
    },
  ],
  [
    'Kirim, its envelope without an address: REST is asked',
    () => {
      kirimMessage(samples.sticker);
      const message = { id: wamid(), type: 'sticker', mime_type: 'image/webp', created_at: '2026-11-20T09:00:00Z' };
      const reported = { kind: 'STICKER', mimeType: 'image/webp', createdAt: '2026-11-20T09:00:00.000Z', sha256: null };
      return ofKirim(samples.sticker, envelope({ message }), reported);
    },
  ],
  [
    'Kirim, while its secret is being replaced',
    () => {
      kirimMessage(samples.photo);
      const secrets = ['whsec_the next one', WEBHOOK_SECRETS.wa];
      return ofKirim(samples.photo, metaBody(samples.photo), PHOTO_OF_META, { secrets });
    },
  ],
];

function envelope(data: object, event = 'message.received'): object {
  return { id: `wbd_${serial}`, event, delivered_at: new Date().toISOString(), data };
}

type Laml = 'signalwire' | 'twilio';
const LAML = {
  signalwire: { channel: 'sms', messageSid: signalwireMessageSid, mediaSid: signalwireMediaSid },
  twilio: { channel: 'mms', messageSid: twilioMessageSid, mediaSid: twilioMediaSid },
} as const;

/** Lets a provider have a message with these media; returns the addresses that its webhook names them by. */
function lamlMessage(flavour: Laml, all: readonly MediaSample[]): { sid: string; mediaSids: string[]; urls: string[] } {
  const { messageSid, mediaSid } = LAML[flavour];
  const sid = messageSid(serial);
  const mediaSids = all.map((_, index) => mediaSid(serial * 100 + index));
  const media = all.map((sample, index) => ({ ...sample, sid: mediaSids[index] ?? '' }));
  providers[flavour].addMessage({ sid, media });
  return { sid, mediaSids, urls: mediaSids.map((one) => providers[flavour].mediaUrl(sid, one)) };
}

function formFields(flavour: Laml, sid: string, media: ReadonlyArray<readonly [url: string, mimeType: string]>) {
  const fields: Record<string, string> = {
    MessageSid: sid,
    AccountSid: ACCOUNTS[flavour],
    From: '+16505551234',
    To: '+15550783881',
    Body: 'look & see = é 🙂',
    NumMedia: String(media.length),
  };
  media.forEach(([url, mimeType], index) => {
    fields[`MediaUrl${index}`] = url;
    fields[`MediaContentType${index}`] = mimeType;
  });
  return fields;
}

function ofLaml(flavour: Laml, send: (sent: { sid: string; url: string }) => Pick<Case, 'delivery' | 'query'>): Case {
  const { sid, mediaSids, urls } = lamlMessage(flavour, [samples.photo]);
  const reported = {
    kind: 'IMAGE',
    mimeType: 'image/jpeg',
    providerMediaId: sole(mediaSids),
    caption: null,
    sha256: null,
  };
  const { channel } = LAML[flavour];
  return { channel, messageId: sid, ...send({ sid, url: sole(urls) }), sample: samples.photo, reported, answer: TWIML };
}

const SIGNALWIRE = { key: WEBHOOK_SECRETS.sms, url: LAML_URLS.sms, header: 'x-signalwire-signature' };
const TWILIO = { key: WEBHOOK_SECRETS.mms, url: LAML_URLS.mms };
const withPort = (url: string) => url.replace('example.com/', 'example.com:443/');

function formOf(flavour: Laml, signer: Parameters<typeof formDelivery>[1]): () => Case {
  return () =>
    ofLaml(flavour, ({ sid, url }) => ({
      delivery: formDelivery(formFields(flavour, sid, [[url, 'image/jpeg']]), signer),
    }));
}

function swmlBody(sid: string, url: string, announcedBytes = samples.photo.bytes.length): object {
  return {
    message: {
      message_id: sid,
      project_id: ACCOUNTS.signalwire,
      direction: 'inbound',
      type: 'mms',
      body: null,
      media: [{ url, content_type: 'image/jpeg', size: announcedBytes }],
      timestamp: '2026-11-20T09:00:00Z',
    },
    params: {},
  };
}

const lamlCases: Array<[string, () => Case]> = [
  ["SignalWire's form", formOf('signalwire', SIGNALWIRE)],
  ["SignalWire's form under Twilio's header", formOf('signalwire', { ...SIGNALWIRE, header: 'x-twilio-signature' })],
  ["SignalWire's form, signed with the port", formOf('signalwire', { ...SIGNALWIRE, url: withPort(SIGNALWIRE.url) })],
  [
    "SignalWire's form with a public address, opened without credentials",
    () => {
      const name = `aaaaaaaa-0000-4000-8000-${String(serial).padStart(12, '0')}`;
      providers.cdn.put(`mms/${name}.jpg`, samples.photo);
      const one = ofLaml('signalwire', ({ sid }) => ({
        delivery: formDelivery(
          formFields('signalwire', sid, [[providers.cdn.publicUrl(`mms/${name}.jpg`), 'image/jpeg']]),
          SIGNALWIRE,
        ),
      }));
      return { ...one, reported: { ...one.reported, providerMediaId: name } };
    },
  ],
  ...[SIGNALWIRE, { ...SIGNALWIRE, url: withPort(SIGNALWIRE.url) }].map((signer): [string, () => Case] => [
    `SignalWire's JSON, signed over ${signer.url}`,
    () => {
      const one = ofLaml('signalwire', ({ sid, url }) => ({ delivery: swmlDelivery(swmlBody(sid, url), signer) }));
      const reported = {
        ...one.reported,
        sizeBytes: samples.photo.bytes.length,
        createdAt: '2026-11-20T09:00:00.000Z',
      };
      return { ...one, reported };
    },
  ]),
  [
    "SignalWire's JSON whose hash is in the URL",
    () => ofLaml('signalwire', ({ sid, url }) => hashedDelivery(swmlBody(sid, url), SIGNALWIRE)),
  ],
  ["Twilio's form", formOf('twilio', TWILIO)],
  ["Twilio's form, signed with the port", formOf('twilio', { ...TWILIO, url: withPort(TWILIO.url) })],
];

function ofGupshup(
  announce: (id: string) => WebhookDelivery,
  reported: Case['reported'],
  sample = samples.document,
): Case {
  const { filename } = sample;
  providers.gupshup.addMedia({ ...sample, id: metaId(), messageId: wamid(), filename, caption: 'für Sie' });
  return { channel: 'gupshup', messageId: wamid(), delivery: announce(metaId()), sample, reported };
}

const DOCUMENT = { kind: 'DOCUMENT', mimeType: 'application/pdf', filename: 'document.pdf', caption: 'für Sie' };

function ofGateway(payload: object, reported: Case['reported']): Case {
  const { photo } = samples;
  const messageId = `3EB0C767D71D${String(serial).padStart(4, '0')}`;
  const media_path = providers.gateway.addMedia({ ...photo, deviceId: DEVICE_ID, messageId });
  const body = gatewayEnvelope('message', { message_id: messageId, media_path, direction: 'inbound', ...payload });
  const delivery = gatewayDelivery(body, WEBHOOK_SECRETS.gateway);
  return {
    channel: 'gateway',
    messageId,
    delivery,
    sample: photo,
    reported: { providerMediaId: media_path, ...reported },
  };
}

function gatewayEnvelope(event: string, payload: object): object {
  const envelopeFields = { event, device_id: DEVICE_ID, app_id: APP_ID, request_id: `request ${serial}` };
  return { ...envelopeFields, payload, timestamp: '2026-11-20T09:00:00.000Z', unknownField: { of: ['this'] } };
}

const PHOTO_OF_GATEWAY = {
  kind: 'IMAGE',
  mimeType: 'image/jpeg',
  filename: 'ein Bild.jpg',
  sizeBytes: samples.photo.bytes.length,
  caption: 'ja',
  createdAt: '2026-11-20T09:00:00.000Z',
};
const [filename, size] = [PHOTO_OF_GATEWAY.filename, PHOTO_OF_GATEWAY.sizeBytes];

const whatsappCases: Array<[string, () => Case]> = [
  [
    "Gupshup's version 3",
    () =>
      ofGupshup((id) => providers.gupshup.inboundV3(id), {
        ...DOCUMENT,
        sha256: sha256(samples.document.bytes),
        providerMediaId: metaId(),
      }),
  ],
  [
    "Gupshup's version 2",
    () => ofGupshup((id) => providers.gupshup.inboundV2(id), { ...DOCUMENT, providerMediaId: null }),
  ],
  [
    "Gupshup's version 1",
    () => ofGupshup((id) => providers.gupshup.inboundV1(id), { kind: 'DOCUMENT', providerMediaId: metaId() }),
  ],
  [
    'Chakra with ?token=',
    () => {
      const { bytes, mimeType } = samples.voiceNote;
      providers.chakra.addMedia({ id: metaId(), bytes, mimeType });
      // Within the seven days that WhatsApp keeps it.
      const sentAt = new Date(Math.floor(Date.now() / 60_000) * 60_000);
      const delivery = providers.chakra.webhookOf(metaId(), { id: wamid(), sentAt });
      const reported = {
        kind: 'AUDIO',
        mimeType,
        sha256: sha256(bytes),
        providerMediaId: metaId(),
        createdAt: sentAt.toISOString(),
      };
      const query = `?token=${WEBHOOK_SECRETS.chakra}`;
      return { channel: 'chakra', messageId: wamid(), delivery, query, sample: samples.voiceNote, reported };
    },
  ],
  [
    "the gateway's names",
    () =>
      ofGateway(
        { type: 'image', mime_type: 'image/jpeg', file_name: filename, file_size: size, caption: 'ja' },
        PHOTO_OF_GATEWAY,
      ),
  ],
  [
    "the gateway's other names",
    () =>
      ofGateway(
        { type: 'image', mimetype: 'image/jpeg', filename, size: String(size), caption: 'ja' },
        PHOTO_OF_GATEWAY,
      ),
  ],
  [
    "the gateway's message of our own side, sent as a document",
    () =>
      ofGateway(
        { direction: 'outbound', type: 'document', mime_type: 'image/jpeg', file_name: 'a.jpg', filename: 'b.jpg' },
        { kind: 'DOCUMENT', mimeType: 'image/jpeg', filename: 'a.jpg', caption: null },
      ),
  ],
];

const SHORTER = size - 7;
const LONGER = 2 ** 40;

/** The announced size is wrong; the headers and the bytes of the provider agree. */
const missized: Array<[string, () => Case]> = [
  ['the gateway, shorter', () => ofGateway({ type: 'image', file_size: SHORTER }, { sizeBytes: SHORTER })],
  ['the gateway, longer than anything', () => ofGateway({ type: 'image', file_size: LONGER }, { sizeBytes: LONGER })],
  ...[SHORTER, LONGER].map((sizeBytes): [string, () => Case] => [
    `SignalWire, ${sizeBytes} bytes`,
    () => {
      const one = ofLaml('signalwire', ({ sid, url }) => ({
        delivery: swmlDelivery(swmlBody(sid, url, sizeBytes), SIGNALWIRE),
      }));
      return { ...one, reported: { ...one.reported, sizeBytes } };
    },
  ]),
];

const CASES = [...kirimCases, ...lamlCases, ...whatsappCases];

async function send({ channel, delivery, query }: Pick<Case, 'channel' | 'delivery' | 'query'>, answer = '') {
  const got = await bed.post(channel, delivery, query);
  expect([got.status, got.bytes.toString()]).toEqual([200, answer]);
}

async function expectOpens(media: ReportedMedia, { bytes }: MediaSample): Promise<void> {
  const got = await bed.send('GET', media.url ?? '');
  expect([got.status, got.bytes.equals(bytes)]).toEqual([200, true]);
}

/** Media that was listed and described while it had another file. */
async function described(): Promise<Case> {
  const { bytes } = samples.photo;
  kirimMessage({ ...samples.photo, bytes: padded(bytes, bytes.length + 100) });
  const id = `wa:${wamid()}`;
  const sizeBytes = bytes.length + 100;
  expect(sole(await bed.media(id))).toMatchObject({ status: 'READY', sizeBytes });
  await bed.app.settled();
  kirimMessage(samples.photo);
  expect(sole(await bed.media(id)).sizeBytes).toBe(sizeBytes);
  return ofKirim(samples.photo, metaBody(samples.photo), { sizeBytes });
}

/** The media is stored and has the values of its bytes. */
async function expectRealSize({ channel, messageId, sample: { bytes } }: Case): Promise<void> {
  await bed.settled();
  expect(sole(await bed.stored(channel, messageId)).stored_sha256).toBe(sha256(bytes));
  const media = sole(await bed.media(`${channel}:${messageId}`));
  expect(media).toMatchObject({ status: 'READY', sizeBytes: bytes.length, sha256: sha256(bytes) });
  await expectOpens(media, { ...samples.photo, bytes });
}

/** No dead letter, nothing left to do. */
async function expectWorkedOff(): Promise<void> {
  await bed.settled();
  const left = (await bed.events()).filter(({ state }) => state !== 'done');
  expect(left.map(({ last_error, state }) => [state, last_error])).toEqual([]);
}

describe('announced media that is not copied yet', () => {
  beforeAll(async () => {
    bed = await WebhookBed.start({ config: { mirror: { mode: 'lazy' } }, channels: providers.channels() });
  });
  afterAll(() => bed.close());

  it.each(CASES)('has all details of the webhook: %s', async (_what, make) => {
    const one = make();
    await send(one, one.answer);
    await expectWorkedOff();
    const id = `${one.channel}:${one.messageId}`;
    const reported = sole(await bed.media(id));
    expect(reported).toMatchObject({ status: 'READY', message: { id }, ...one.reported });
    await expectOpens(reported, one.sample);
    await bed.app.settled();
    const kept = sole(await bed.media(id));
    const { bytes } = one.sample;
    expect(kept).toMatchObject({
      id: reported.id,
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      caption: reported.caption,
    });
  });

  it.each<[string, () => Case]>([
    nthCase(kirimCases, 0),
    nthCase(kirimCases, 1),
    nthCase(kirimCases, 4),
    nthCase(lamlCases, 0),
    ["Twilio's form", formOf('twilio', TWILIO)],
  ])('is the same media that its provider listed before: %s', async (_what, make) => {
    const one = make();
    const id = `${one.channel}:${one.messageId}`;
    const listed = sole(await bed.media(id));
    await bed.app.settled();
    await send(one, one.answer);
    await expectWorkedOff();
    expect(sole(await bed.media(id))).toMatchObject({ id: listed.id, status: 'READY', ...one.reported });
    await expectOpens(listed, one.sample);
  });

  it.each(missized)(
    'has the size of its bytes once they were opened, not the announced one: %s',
    async (_what, make) => {
      const one = make();
      await send(one, one.answer);
      await expectWorkedOff();
      const reported = sole(await bed.media(`${one.channel}:${one.messageId}`));
      expect(reported).toMatchObject({ status: 'READY', ...one.reported });
      await expectOpens(reported, one.sample);
      await expectRealSize(one);
    },
  );

  it('has the size of its bytes once they were opened, not the one that Kirim described before', async () => {
    const one = await described();
    await expectOpens(sole(await bed.media(`${one.channel}:${one.messageId}`)), one.sample);
    await expectRealSize(one);
  });

  it.each<[string, Laml]>([
    ['SignalWire', 'signalwire'],
    ['Twilio', 'twilio'],
  ])(
    'of one message of %s is complete, once, when it is announced before or after it was listed',
    async (_name, flavour) => {
      const three = [samples.photo, samples.video, samples.document];
      const { sid, mediaSids, urls } = lamlMessage(flavour, three);
      const fields = formFields(
        flavour,
        sid,
        three.map(({ mimeType }, index) => [urls[index] ?? '', mimeType] as const),
      );
      const delivery = formDelivery(fields, flavour === 'twilio' ? TWILIO : SIGNALWIRE);
      const { channel } = LAML[flavour];
      const sids = async () => (await bed.media(`${channel}:${sid}`)).map(({ providerMediaId }) => providerMediaId);
      await send({ channel, delivery }, TWIML);
      await expectWorkedOff();
      expect(await sids()).toEqual(mediaSids);
      serial += 1;
      const other = lamlMessage(flavour, three);
      const listed = (await bed.media(`${channel}:${other.sid}`)).map(({ providerMediaId }) => providerMediaId);
      expect(listed.toSorted()).toEqual(other.mediaSids.toSorted());
      const reported = other.urls.map((url, index) => [url, three[index]?.mimeType ?? ''] as const);
      const signer = flavour === 'twilio' ? TWILIO : SIGNALWIRE;
      await bed.app.settled();
      await send({ channel, delivery: formDelivery(formFields(flavour, other.sid, reported), signer) }, TWIML);
      await expectWorkedOff();
      const after = (await bed.media(`${channel}:${other.sid}`)).map(({ providerMediaId }) => providerMediaId);
      // What was announced whole is in the order in which it was sent; a list may have the newest first.
      expect(after).toEqual(other.mediaSids);
    },
  );

  it('that Kirim calls pending is PENDING until it is announced as ready, and one media throughout', async () => {
    const id = `wa:${wamid()}`;
    providers.kirim.addMessage({ id: wamid(), media: samples.photo, arrivesAfterMs: 60_000 });
    const body = metaBody(samples.photo, { caption: 'gleich' });
    await send({ channel: 'wa', delivery: kirimDelivery({ ...body, kirim: { media_status: 'pending' } }, KIRIM) });
    await expectWorkedOff();
    const pending = sole(await bed.media(id));
    expect(pending).toMatchObject({ status: 'PENDING', url: null, caption: 'gleich' });
    kirimMessage(samples.photo);
    const kirim = { media_status: 'ready', media_url: providers.kirim.mediaUrl(wamid()) };
    await send({ channel: 'wa', delivery: kirimDelivery({ ...body, kirim }, KIRIM) });
    await expectWorkedOff();
    const ready = sole(await bed.media(id));
    expect(ready).toMatchObject({ id: pending.id, status: 'READY', caption: 'gleich', ...PHOTO_OF_META });
    await expectOpens(ready, samples.photo);
  });
});

describe('a message that changes, or that arrives in another way', () => {
  beforeAll(async () => {
    bed = await WebhookBed.start({ config: { mirror: { mode: 'lazy' } }, channels: providers.channels() });
  });
  afterAll(() => bed.close());

  /** How each channel that passes Meta's body through sends it. */
  const passed: ReadonlyArray<[string, (body: Buffer) => Pick<Case, 'channel' | 'delivery' | 'query'>]> = [
    ['Meta', (body) => ({ channel: 'cloud', delivery: signedDelivery(body, WEBHOOK_SECRETS.cloud) })],
    [
      'Chakra',
      (body) => ({ channel: 'chakra', delivery: jsonDelivery(body), query: `?token=${WEBHOOK_SECRETS.chakra}` }),
    ],
    ['Kirim', (body) => ({ channel: 'wa', delivery: kirimDelivery(body, KIRIM) })],
    [
      "Gupshup's version 3",
      (body) => {
        const url = providers.gupshup.addMedia({ ...samples.photo, id: metaId(), messageId: wamid() });
        const text = body.toString().replace('"mime_type"', `"url":${JSON.stringify(url)},"mime_type"`);
        const delivery = jsonDelivery(
          { gs_app_id: APP_ID, ...JSON.parse(text) },
          { 'x-webhook-token': WEBHOOK_SECRETS.gupshup },
        );
        return { channel: 'gupshup', delivery };
      },
    ],
  ];

  /** A photo that every provider has. */
  function photo(): { id: string; bytes: Buffer; mimeType: string } {
    const { bytes, mimeType } = samples.photo;
    const media = { id: metaId(), bytes, mimeType };
    providers.meta.addMedia(media);
    providers.chakra.addMedia(media);
    kirimMessage(samples.photo);
    return media;
  }

  it.each(passed)('has usual media when the business sent it from its phone: %s', async (_name, sent) => {
    const one = sent(echoedMessage(photo(), { id: wamid(), caption: 'von uns' }, PHONE_NUMBER_ID));
    await send(one);
    await expectWorkedOff();
    const media = sole(await bed.media(`${one.channel}:${wamid()}`));
    expect(media).toMatchObject({ status: 'READY', kind: 'IMAGE', caption: 'von uns' });
    const row = sole(await bed.stored(one.channel, wamid()));
    expect([row.contact, row.direction]).toEqual(['+16505551234', 'OUTBOUND']);
    await expectOpens(media, samples.photo);
  });

  it.each(passed)('has usual media when it comes from the history: %s', async (_name, sent) => {
    const message = { id: wamid(), sentAt: new Date(Date.now() - 12 * 86_400_000) };
    const placeholder = sent(historyOf([message], PHONE_NUMBER_ID));
    const id = `${placeholder.channel}:${wamid()}`;
    const media = photo();
    await send(placeholder);
    await expectWorkedOff();
    if (placeholder.channel !== 'wa') expect(sole(await bed.media(id))).toMatchObject({ status: 'FAILED', url: null });
    await send(sent(historyMedia(media, message, PHONE_NUMBER_ID)));
    await expectWorkedOff();
    const reported = sole(await bed.media(id));
    expect(reported).toMatchObject({ status: 'READY', kind: 'IMAGE' });
    await expectOpens(reported, samples.photo);
  });

  it.each(passed)('has the edited caption: %s', async (_name, sent) => {
    const media = photo();
    await send(sent(inboundMessage(media, { id: wamid(), caption: 'wrong' }, PHONE_NUMBER_ID)));
    await expectWorkedOff();
    const edit = sent(editedMessage(wamid(), media, { id: `${wamid()}e`, caption: 'right' }, PHONE_NUMBER_ID));
    const id = `${edit.channel}:${wamid()}`;
    await send(edit);
    await expectWorkedOff();
    expect(sole(await bed.media(id)).caption).toBe('right');
    await send(sent(editedMessage(wamid(), media, { id: `${wamid()}f` }, PHONE_NUMBER_ID)));
    await expectWorkedOff();
    expect(sole(await bed.media(id)).caption).toBeNull();
  });

  it.each(passed)('stays, with the time of its withdrawal: %s', async (_name, sent) => {
    await send(sent(inboundMessage(photo(), { id: wamid() }, PHONE_NUMBER_ID)));
    await expectWorkedOff();
    const sentAt = new Date(Math.floor(Date.now() / 1000) * 1000);
    const revoke = sent(revokedMessage(wamid(), { id: `${wamid()}r`, sentAt }, PHONE_NUMBER_ID));
    await send(revoke);
    await expectWorkedOff();
    const id = `${revoke.channel}:${wamid()}`;
    expect(sole(await bed.media(id)).status).toBe('READY');
    expect(sole(await bed.stored(revoke.channel, wamid())).revoked_at).toEqual(sentAt);
  });

  it.each<[string, () => Pick<Case, 'channel' | 'delivery' | 'messageId'>]>([
    [
      'Meta cannot fetch it',
      () => {
        const error = {
          code: 131052,
          title: 'The media file is too large. The maximum file size currently accepted is 100 MB.',
        };
        const delivery = signedDelivery(failedMessage({ id: wamid() }, error, PHONE_NUMBER_ID), WEBHOOK_SECRETS.cloud);
        return { channel: 'cloud', messageId: wamid(), delivery };
      },
    ],
    [
      'the gateway does not store it',
      () => {
        const messageId = `3EB0C767D71D${String(serial).padStart(4, '0')}`;
        const payload = { message_id: messageId, direction: 'inbound', type: 'document', file_size: 2 ** 30 };
        return {
          channel: 'gateway',
          messageId,
          delivery: gatewayDelivery(gatewayEnvelope('message', payload), WEBHOOK_SECRETS.gateway),
        };
      },
    ],
  ])('has one media that is FAILED when %s', async (_what, make) => {
    const one = make();
    await send(one);
    await expectWorkedOff();
    expect(sole(await bed.media(`${one.channel}:${one.messageId}`))).toMatchObject({
      status: 'FAILED',
      kind: 'DOCUMENT',
      url: null,
    });
  });

  it('of the gateway can be just a path', async () => {
    const messageId = `AC4A3F9F8767${String(serial).padStart(4, '0')}`;
    providers.gateway.addMedia({ ...samples.photo, deviceId: DEVICE_ID, messageId });
    await send({ channel: 'gateway', delivery: providers.gateway.bareEvent(messageId) });
    await expectWorkedOff();
    const media = sole(await bed.media(`gateway:${messageId}`));
    expect(media.status).toBe('READY');
    await expectOpens(media, samples.photo);
  });

  it.each<[string, string]>([
    ["?name=O'Neil|(a)!", "?name=O'Neil%7C(a)!"],
    ['?name=O%27Neil%7c%28a%29%21', "?name=O'Neil%7C(a)!"],
    ['?q=%c3%a9', '?q=%C3%A9'],
  ])("of Twilio is accepted at the server's own address with %s, called as %s", async (signed, called) => {
    const [twilio] = providers.channels().filter(({ id }) => id === 'mms');
    const webhook = { secret: WEBHOOK_SECRETS.mms };
    const config = { server: { port: 0, publicUrl: 'https://media.example.com' } };
    const server = await WebhookBed.start({ config, channels: [{ ...twilio, webhook }] });
    try {
      const { sid, urls } = lamlMessage('twilio', [samples.photo]);
      const fields = formFields('twilio', sid, [[sole(urls), 'image/jpeg']]);
      const delivery = formDelivery(fields, { key: WEBHOOK_SECRETS.mms, url: LAML_URLS.mms + signed });
      expect((await server.post('mms', delivery, called)).status).toBe(200);
    } finally {
      await server.close();
    }
  });
});

function nthCase(cases: ReadonlyArray<[string, () => Case]>, index: number): [string, () => Case] {
  const found = cases[index];
  if (!found) throw new Error(`expected a case ${index}`);
  return found;
}

describe('announced media that is copied at once', () => {
  beforeAll(async () => {
    bed = await WebhookBed.start({ channels: providers.channels() });
  });
  afterAll(() => bed.close());

  it.each(CASES)('is stored, once, with all details of the webhook: %s', async (_what, make) => {
    const one = make();
    await send(one, one.answer);
    await send(one, one.answer);
    await expectWorkedOff();
    const id = `${one.channel}:${one.messageId}`;
    const media = sole(await bed.media(id));
    const { bytes } = one.sample;
    expect(media).toMatchObject({ ...one.reported, status: 'READY', sizeBytes: bytes.length, sha256: sha256(bytes) });
    const calls = providers.requestCount;
    await expectOpens(media, one.sample);
    expect(providers.requestCount).toBe(calls);
  });

  it.each(missized)('has the size of its bytes, not the announced one: %s', async (_what, make) => {
    const one = make();
    await send(one, one.answer);
    await expectWorkedOff();
    await expectRealSize(one);
  });

  it('has the size of its bytes, not the one that Kirim described before', async () => {
    const one = await described();
    await send(one);
    await expectWorkedOff();
    await expectRealSize(one);
  });

  it('is copied without an API call when the webhook has an address', async () => {
    const [, make] = nthCase(kirimCases, 1);
    const one = make();
    providers.kirim.clearRequests();
    await send(one);
    await expectWorkedOff();
    expect(providers.kirim.requests.map(({ path }) => path)).toEqual([]);
    expect(sole(await bed.media(`wa:${one.messageId}`)).status).toBe('READY');
  });
});

describe('media with a link from a listing that is announced later, and copied', () => {
  beforeAll(async () => {
    const ofCopies = { kirim: { retries: 0 }, signalwire: { retries: 0 }, twilio: { retries: 0 } };
    bed = await WebhookBed.start({ config: { providers: ofCopies }, channels: providers.channels() });
  });
  afterEach(() => {
    for (const { faults } of [providers.cdn, providers.kirim]) faults.length = 0;
  });
  afterAll(() => bed.close());

  const LISTED: ReadonlyArray<[string, () => Case]> = [
    nthCase(kirimCases, 0),
    nthCase(kirimCases, 1),
    nthCase(kirimCases, 4),
    nthCase(lamlCases, 0),
    nthCase(lamlCases, 4),
    ["Twilio's form", formOf('twilio', TWILIO)],
    [
      'Kirim, which calls it pending',
      () => {
        kirimMessage(samples.photo);
        const body = { ...metaBody(samples.photo), kirim: { media_status: 'pending' } };
        return ofKirim(samples.photo, body, PHOTO_OF_META);
      },
    ],
  ];

  /** The media of the listing. */
  async function listed({ channel, messageId }: Case): Promise<ReportedMedia> {
    const media = sole(await bed.media(`${channel}:${messageId}`));
    expect(media).toMatchObject({ status: 'READY', url: expect.any(String) });
    await bed.app.settled();
    return media;
  }

  async function expectStillReady({ channel, messageId }: Case, { id }: ReportedMedia): Promise<void> {
    expect(sole(await bed.media(`${channel}:${messageId}`))).toMatchObject({ id, status: 'READY' });
  }

  it.each(LISTED)('stays READY, and its link opens, while the copy is retried: %s', async (_what, make) => {
    const one = make();
    const media = await listed(one);
    providers.cdn.faults.push({ match: /./, fault: { kind: 'status', status: 503 } });
    await send(one, one.answer);
    await eventually(
      () => bed.jobs('copy', media.id),
      (jobs) => jobs.some((job) => job.attempts > 0 && job.lease_owner === null),
    );
    await expectStillReady(one, media);
    // The failure is reported as one of the provider.
    expect((await bed.send('GET', media.url ?? '')).status).toBe(503);
    await expectStillReady(one, media);
    providers.cdn.faults.length = 0;
    await expectOpens(media, one.sample);
    await expectWorkedOff();
    await expectStillReady(one, media);
    await expectOpens(media, one.sample);
  });

  it.each(LISTED)('stays READY, and its link opens, while the copy waits for its provider: %s', async (_what, make) => {
    const one = make();
    const media = await listed(one);
    const hang: FaultRule = { match: /./, fault: { kind: 'hang' }, times: 1 };
    providers.cdn.faults.push(hang);
    await send(one, one.answer);
    await until('the copy to be under way', () => hang.times === 0);
    await expectStillReady(one, media);
    await expectOpens(media, one.sample);
    await expectWorkedOff();
    await expectStillReady(one, media);
    await expectOpens(media, one.sample);
  });

  it('stays READY when it is announced before the listing has answered, and opens while the copy waits', async () => {
    const [, make] = nthCase(kirimCases, 1);
    const one = make();
    const listing: FaultRule = { match: /messages/, fault: { kind: 'delay', ms: 2_000 }, times: 1 };
    providers.kirim.faults.push(listing);
    providers.cdn.faults.push({ match: /./, fault: { kind: 'status', status: 503 } });
    const pendingListing = listed(one);
    await until('the listing to be under way', () => listing.times === 0);
    await send(one);
    await eventually(
      () => bed.stored(one.channel, one.messageId),
      (rows) => rows.length === 1,
    );
    const media = await pendingListing;
    await expectStillReady(one, media);
    expect((await bed.send('GET', media.url ?? '')).status).toBe(503);
    providers.cdn.faults.length = 0;
    await expectOpens(media, one.sample);
    await expectWorkedOff();
    await expectStillReady(one, media);
  });
});

describe('an event that is not about media', () => {
  beforeAll(async () => {
    bed = await WebhookBed.start({ channels: providers.channels() });
  });
  afterAll(() => bed.close());

  const text = {
    from: '16505551234',
    id: 'wamid.TEXT',
    timestamp: '1763800000',
    type: 'text',
    text: { body: 'hello' },
  };
  const status = { id: 'wamid.SENT', status: 'delivered', timestamp: '1763800000', recipient_id: '16505551234' };
  const metaEvent = (value: object, field = 'messages') => ({
    object: 'whatsapp_business_account',
    entry: [{ id: '102290129340398', changes: [{ field, value: { messaging_product: 'whatsapp', ...value } }] }],
  });
  const META_EVENTS = [
    metaEvent({ statuses: [status] }),
    metaEvent({ messages: [text] }),
    metaEvent({ messages: [{ ...text, type: 'unsupported', errors: [{ code: 131051 }] }] }),
    metaEvent({ event: 'APPROVED' }, 'message_template_status_update'),
    { object: 'page', entry: [] },
  ];
  const signedByMeta = (body: object) => signedDelivery(Buffer.from(JSON.stringify(body)), WEBHOOK_SECRETS.cloud);

  it.each<[string, string, WebhookDelivery[], string, string]>([
    ['Meta', 'cloud', META_EVENTS.map(signedByMeta), '', ''],
    ['Chakra', 'chakra', META_EVENTS.map((body) => jsonDelivery(body)), `?token=${WEBHOOK_SECRETS.chakra}`, ''],
    [
      'Kirim',
      'wa',
      [
        ...META_EVENTS,
        envelope({ message: { id: 'wamid.TEXT', type: 'text', content: 'hello' } }),
        envelope({ message: { id: 'wamid.SENT' } }, 'message.status_updated'),
        { id: 'evt_1', type: 'conversation.created', created_at: 'now', livemode: true, data: {} },
      ].map((body) => kirimDelivery(body, KIRIM)),
      '',
      '',
    ],
    [
      'the gateway',
      'gateway',
      [
        ...['receipt', 'presence', 'message_revoked', 'device_connected', 'unheard_of'].map((event) =>
          gatewayEnvelope(event, { message_id: 'TEXT', media_path: `media/${APP_ID}/${DEVICE_ID}-TEXT.bin` }),
        ),
        gatewayEnvelope('message', { message_id: 'TEXT', type: 'text', body: 'hello' }),
      ].map((body) => gatewayDelivery(body, WEBHOOK_SECRETS.gateway)),
      '',
      '',
    ],
    [
      'Gupshup',
      'gupshup',
      [
        { app: 'demo', version: 2, type: 'user-event', payload: { phone: '1', type: 'sandbox-start' } },
        {
          app: 'demo',
          version: 2,
          type: 'message',
          payload: { id: 'wamid.TEXT', type: 'text', payload: { text: 'hi' } },
        },
        { gs_app_id: APP_ID, ...metaEvent({ statuses: [status] }) },
        { botname: 'demo', messageobj: { type: 'text', text: 'hello', id: 'wamid.TEXT' } },
      ].map((body) => jsonDelivery(body, { 'x-webhook-token': WEBHOOK_SECRETS.gupshup })),
      '',
      '',
    ],
    [
      'SignalWire',
      'sms',
      [
        formDelivery(formFields('signalwire', signalwireMessageSid(9_999), []), SIGNALWIRE),
        formDelivery({ AccountSid: ACCOUNTS.signalwire, MessageSid: 'SM1', MessageStatus: 'delivered' }, SIGNALWIRE),
        swmlDelivery({ call: {}, params: {} }, SIGNALWIRE),
      ],
      '',
      TWIML,
    ],
    ['Twilio', 'mms', [formDelivery(formFields('twilio', twilioMessageSid(9_999), []), TWILIO)], '', TWIML],
  ])('of %s is accepted, and ignored', async (_name, channel, deliveries, query, answer) => {
    const last = await bed.lastEventId();
    for (const delivery of deliveries) await send({ channel, delivery, query }, answer);
    await expectWorkedOff();
    const events = await bed.events(last);
    expect(events.map(({ attempts, raw_body }) => [attempts, raw_body.length])).toEqual(deliveries.map(() => [1, 0]));
    expect(bed.logLines.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([]);
    for (const id of ['wamid.TEXT', 'wamid.SENT', 'TEXT']) {
      if (channel !== 'sms' && channel !== 'mms') expect(await bed.media(`${channel}:${id}`)).toEqual([]);
    }
  });
});

describe("Chakra's handshake", () => {
  beforeAll(async () => {
    bed = await WebhookBed.start({ channels: providers.channels() });
  });
  afterAll(() => bed.close());

  it('is answered only for the secret of its URL', async () => {
    const ask = (token: string) => {
      const query = new URLSearchParams({ 'hub.mode': 'subscribe', 'hub.challenge': '42', 'hub.verify_token': token });
      return bed.send('GET', `/webhooks/chakra?${query}`);
    };
    const right = await ask(WEBHOOK_SECRETS.chakra);
    expect([right.status, right.bytes.toString()]).toEqual([200, '42']);
    expect((await ask('hello')).status).toBe(401);
  });
});

describe('a process with the maximum number of copies at once', () => {
  it(
    'stores all of them and logs no warnings',
    async () => {
      const { bytes, mimeType } = samples.video;
      const all = Array.from({ length: 40 }, () => {
        serial += 1;
        providers.meta.addMedia({ id: metaId(), bytes, mimeType });
        return { id: `cloud:${wamid()}`, delivery: providers.meta.webhookOf(metaId(), { id: wamid() }) };
      });
      const folder = await mkdtemp(join(tmpdir(), 'mediagraph-webhooks-'));
      await copyTemplate(folder);
      const file = join(folder, 'config.json');
      const document = {
        server: { port: 0 },
        database: { url: `pglite:${folder}` },
        storage: { root: join(folder, 'blobs') },
        network: { allowPrivate: ['127.0.0.0/8'] },
        channels: providers.channels(),
      };
      await writeFile(file, JSON.stringify(document));
      const command = new RunningCommand(['serve', '--config', file]);
      const agent = new Agent();
      try {
        const [, url = ''] = await command.printed(/mediagraph listens at (\S+)/);
        const call = async (path: string, { body, headers }: WebhookDelivery) => {
          const got = await request(`${url}${path}`, { dispatcher: agent, method: 'POST', body, headers });
          return got.body.text();
        };
        await Promise.all(all.map(({ delivery }) => call('/webhooks/cloud', delivery)));
        const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { status } } }';
        const ask = jsonDelivery({ query, variables: { ids: all.map(({ id }) => id) } });
        await eventually(
          () => call('/graphql', ask),
          (answer) => answer.split('"READY"').length === all.length + 1,
        );
        command.kill('SIGTERM');
        expect(await command.ended).toBe(0);
        expect(command.stderr).toBe('');
      } finally {
        command.kill('SIGKILL');
        await command.ended;
        await agent.destroy();
        await rm(folder, { recursive: true });
      }
    },
    2 * PATIENCE_MS,
  );
});
