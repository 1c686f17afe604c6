import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { DEVICE_ID, EmulatedProviders, WEBHOOK_SECRETS } from '../support/emulated-providers.js';
import { samples } from '../support/sample-messages.js';
import { errorOf, type Got, type MediaData, sole, type TestBed, useBeds } from '../support/test-bed.js';

const WAMID = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ';
const MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media {
  id status kind mimeType sizeBytes sha256 filename caption url providerMediaId createdAt expiresAt } } }`;

const STATUS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { status } } }';

const beds = useBeds();
const emulators = new EmulatedProviders();
let bed: TestBed;

beforeAll(() => emulators.start());
afterAll(() => emulators.close());

/** The bed has channels of the other three providers, without webhooks unless said otherwise. */
function channels() {
  return emulators.channels().filter(({ id }) => id !== 'wa' && id !== 'sms' && id !== 'mms');
}

const start = (config: Readonly<Record<string, unknown>> = {}): Promise<TestBed> =>
  beds.own({ config: { ...config, channels: channels() } });

function send(channel: string, { body, headers }: WebhookDelivery, query = ''): Promise<Got> {
  return bed.get(`/webhooks/${channel}${query}`, { method: 'POST', headers, body: body.toString() });
}

/** Queries until the media of a message has the expected state, which a job soon makes. */
async function eventually(
  id: string,
  is: (media: readonly MediaData[]) => boolean,
  query = STATUS,
): Promise<MediaData> {
  for (;;) {
    const { data } = await bed.query(query, { ids: [id] });
    if (is(sole(data?.messagesWithMedia)?.media ?? [])) break;
    await sleep(20);
  }
  const { data, errors } = await bed.query(MEDIA, { ids: [id] });
  expect(errors).toEqual([]);
  return sole(sole(data?.messagesWithMedia)?.media);
}

const isReady = (media: readonly MediaData[]): boolean => media[0]?.status === 'READY';

function addEverywhere(): void {
  emulators.meta.addMedia({ id: '1852559851913765', bytes: samples.photo.bytes, mimeType: 'image/jpeg' });
  emulators.chakra.addMedia({
    id: '2852559851913765',
    bytes: samples.voiceNote.bytes,
    mimeType: 'audio/ogg; codecs=opus',
  });
  emulators.gateway.addMedia({ ...samples.photo, deviceId: DEVICE_ID, messageId: '3EB0C767D71D' });
  emulators.gupshup.addMedia({ ...samples.document, id: '3852559851913765', messageId: WAMID, filename: 'offer.pdf' });
}

describe('a webhook', () => {
  beforeEach(addEverywhere);

  it.each<[string, string, () => WebhookDelivery, string, Buffer, Partial<MediaData>]>([
    [
      'cloud',
      WAMID,
      () => emulators.meta.webhookOf('1852559851913765', { id: WAMID, caption: 'Grüße' }),
      '',
      samples.photo.bytes,
      { kind: 'IMAGE', mimeType: 'image/jpeg', caption: 'Grüße', providerMediaId: '1852559851913765' },
    ],
    [
      'chakra',
      WAMID,
      () => emulators.chakra.webhookOf('2852559851913765', { id: WAMID }),
      `?token=${WEBHOOK_SECRETS.chakra}`,
      samples.voiceNote.bytes,
      { kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus', providerMediaId: '2852559851913765' },
    ],
    [
      'gateway',
      '3EB0C767D71D',
      () => emulators.gateway.messageEvent('3EB0C767D71D'),
      '',
      samples.photo.bytes,
      { kind: 'IMAGE', mimeType: 'image/jpeg' },
    ],
    [
      'gupshup',
      WAMID,
      () => emulators.gupshup.inboundV2('3852559851913765'),
      '',
      samples.document.bytes,
      { kind: 'DOCUMENT', mimeType: 'application/pdf', filename: 'offer.pdf' },
    ],
  ])('of %s announces media that is copied and opens', async (channel, messageId, delivery, query, bytes, facts) => {
    bed = await start();
    expect((await send(channel, delivery(), query)).status).toBe(200);
    const media = await eventually(`${channel}:${messageId}`, isReady);
    expect(media).toMatchObject({ ...facts, sizeBytes: bytes.length });
    const got = await bed.get(media.url);
    expect([got.status, got.bytes.equals(bytes)]).toEqual([200, true]);
    expect(got.headers['content-type']).toBe(facts.mimeType);
  });

  it('leaves media that opens although the provider has deleted it', async () => {
    bed = await start();
    await send('cloud', emulators.meta.webhookOf('1852559851913765', { id: WAMID }));
    const { url } = await eventually(`cloud:${WAMID}`, isReady);
    emulators.meta.expire('1852559851913765');
    expect((await bed.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
  });

  it('of Twilio answers TwiML and announces the media that its MediaUrl names', async () => {
    const secret = 'a Twilio auth token';
    const hook = 'https://media.example.com/webhooks/mms';
    bed = await beds.own({ channelKeys: { twilio: { webhook: { secret, url: hook } } } });
    const sid = 'MM0123456789abcdef0123456789abcdef';
    const mediaSid = 'ME0123456789abcdef0123456789abcdef';
    bed.twilio.addMessage({ sid, media: [{ ...samples.photo, sid: mediaSid }] });
    const accountSid = 'AC0123456789abcdef0123456789abcdef';
    const form = new URLSearchParams({
      AccountSid: accountSid,
      MediaContentType0: 'image/jpeg',
      MediaUrl0: `${bed.twilio.baseUrl}/Accounts/${accountSid}/Messages/${sid}/Media/${mediaSid}`,
      MessageSid: sid,
      NumMedia: '1',
    });
    const signed = hook + [...form].map(([name, value]) => name + value).join('');
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': createHmac('sha1', secret).update(signed).digest('base64'),
    };
    const answer = await send('mms', { body: Buffer.from(form.toString()), headers });
    expect([answer.status, answer.bytes.toString()]).toEqual([200, '<Response></Response>']);
    // Twilio can be asked too, and says nothing of sizes.
    const media = await eventually(
      `mms:${sid}`,
      ([one]) => isReady(one ? [one] : []) && one?.sizeBytes !== null,
      MEDIA,
    );
    expect(media).toMatchObject({ kind: 'IMAGE', providerMediaId: mediaSid, sizeBytes: samples.photo.bytes.length });
  });

  it('that is repeated changes nothing', async () => {
    bed = await start();
    const delivery = emulators.meta.webhookOf('1852559851913765', { id: WAMID });
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('cloud', delivery)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const first = await eventually(`cloud:${WAMID}`, isReady);
    const calls = emulators.meta.requestCount;
    expect((await send('cloud', delivery)).status).toBe(200);
    expect(await eventually(`cloud:${WAMID}`, isReady)).toEqual(first);
    expect(emulators.meta.requestCount).toBe(calls);
  });

  it('is found by the message id alone when one channel knows it', async () => {
    bed = await start();
    await send('cloud', emulators.meta.webhookOf('1852559851913765', { id: WAMID }));
    await eventually(`cloud:${WAMID}`, isReady);
    expect((await eventually(WAMID, isReady)).kind).toBe('IMAGE');
  });

  it('of a destroyed device expires media that is not stored, and keeps stored media', async () => {
    bed = await start({ mirror: { mode: 'lazy' } });
    emulators.gateway.addMedia({ ...samples.photo, deviceId: DEVICE_ID, messageId: 'OPENED' });
    await send('gateway', emulators.gateway.messageEvent('OPENED'));
    await send('gateway', emulators.gateway.messageEvent('3EB0C767D71D'));
    const { url } = await eventually('gateway:OPENED', isReady);
    await eventually('gateway:3EB0C767D71D', isReady);
    expect((await bed.get(url)).status).toBe(200);
    await bed.app.settled();
    await send('gateway', emulators.gateway.destroyDevice(DEVICE_ID));
    expect(await eventually('gateway:3EB0C767D71D', (media) => media[0]?.status === 'EXPIRED')).toMatchObject({
      url: null,
    });
    expect((await bed.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
  });
});

describe('media that is delivered before it is copied (lazy)', () => {
  it('costs the provider one download for simultaneous requests', async () => {
    addEverywhere();
    bed = await start({ mirror: { mode: 'lazy' } });
    await send('cloud', emulators.meta.webhookOf('1852559851913765', { id: WAMID }));
    const { url } = await eventually(`cloud:${WAMID}`, isReady);
    emulators.meta.lookaside.clearRequests();
    const all = await Promise.all(Array.from({ length: 20 }, () => bed.get(url)));
    expect(all.every(({ bytes }) => bytes.equals(samples.photo.bytes))).toBe(true);
    await bed.app.settled();
    expect((await bed.get(url)).status).toBe(200);
    expect(emulators.meta.lookaside.requestCount).toBe(1);
  });
});

describe('what is refused', () => {
  const valid = () => {
    addEverywhere();
    return emulators.meta.webhookOf('1852559851913765', { id: WAMID });
  };

  it('is 401: a body with the signature of another body', async () => {
    bed = await start();
    const { body, headers } = valid();
    const forged = await send('cloud', { body: Buffer.concat([body, Buffer.from(' ')]), headers });
    expect([forged.status, errorOf(forged).code]).toEqual([401, 'WEBHOOK_REJECTED']);
    const bare = await send('cloud', { body, headers: { 'content-type': 'application/json' } });
    expect([bare.status, errorOf(bare).code]).toEqual([401, 'WEBHOOK_REJECTED']);
    const { data } = await bed.query(MEDIA, { ids: [`cloud:${WAMID}`] });
    expect(data?.messagesWithMedia).toEqual([{ id: `cloud:${WAMID}`, media: [] }]);
  });

  it('is 404: an unknown channel, or one without a webhook', async () => {
    bed = await start();
    for (const channel of ['nobody', 'wa']) {
      const got = await send(channel, valid());
      expect([got.status, errorOf(got).code]).toEqual([404, 'CHANNEL_NOT_FOUND']);
    }
  });

  it('is 413: a body over 3 MB', async () => {
    bed = await start();
    const got = await send('cloud', {
      body: Buffer.alloc(3_100_000, 0x20),
      headers: { 'content-type': 'application/json' },
    });
    expect(got.status).toBe(413);
  });

  it("is 401: Meta's handshake with another token; with the right one it is the challenge", async () => {
    bed = await start();
    const ask = (token: string) =>
      bed.get(`/webhooks/cloud?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`);
    const right = await ask('hello');
    expect([right.status, right.bytes.toString()]).toEqual([200, '1158201444']);
    expect((await ask('goodbye')).status).toBe(401);
  });
});
