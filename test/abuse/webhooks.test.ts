import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { signalwireMessageSid, twilioMediaSid, twilioMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { signedDelivery, type WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import {
  APP_ID,
  DEVICE_ID,
  LAML_URLS,
  PHONE_NUMBER_ID,
  WEBHOOK_SECRETS,
  webhookChannels,
} from '../support/emulated-providers.js';
import { credentials } from '../support/leaks.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { ACCOUNTS, errorOf, type Got, headerOf, sole } from '../support/test-bed.js';
import { type InboxRow, WebhookBed } from '../support/webhook-bed.js';
import {
  formDelivery,
  gatewayDelivery,
  hashedDelivery,
  jsonDelivery,
  kirimDelivery,
  type SentBody,
  swmlDelivery,
} from '../support/webhook-senders.js';

// Each server of its own takes a second to start, and more on a busy machine.
import.meta.jest.setTimeout(60_000);
const WAMID = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ';

/** Stands in for every provider: it serves the photo at every address and records the requests. */
let provider: RawServer;
/** An address of no provider: a request to it must carry no credentials. */
let stranger: RawServer;
let bed: WebhookBed;

type Handler = NonNullable<Parameters<typeof RawServer.start>[0]>;

const servePhoto: Handler = (_request, response) =>
  void response.writeHead(200, { 'content-type': 'image/jpeg' }).end(samples.photo.bytes);

function channels(): Array<Readonly<Record<string, unknown>>> {
  const { url } = provider;
  const laml = { sms: `${url}/api/laml/2010-04-01`, mms: `${url}/2010-04-01` };
  return webhookChannels({ ...laml, wa: url, cloud: url, lookaside: url, chakra: url, gateway: url });
}

beforeAll(async () => {
  [provider, stranger] = await Promise.all([RawServer.start(servePhoto), RawServer.start(servePhoto)]);
  // Without copies, every request to a provider comes from the test.
  bed = await WebhookBed.start({ config: { mirror: { mode: 'off' } }, channels: channels() });
});

afterAll(async () => {
  await bed.close();
  await Promise.all([provider.close(), stranger.close()]);
});

beforeEach(() => {
  for (const server of [provider, stranger]) {
    server.requests.length = 0;
    server.headers.length = 0;
  }
});

const SMS = { key: WEBHOOK_SECRETS.sms, url: LAML_URLS.sms, header: 'x-signalwire-signature' };
const MMS = { key: WEBHOOK_SECRETS.mms, url: LAML_URLS.mms };

/** How a channel's provider sends any body, well signed. */
const SIGNED = {
  wa: (body: SentBody) => ({ delivery: kirimDelivery(body, { secrets: [WEBHOOK_SECRETS.wa] }), query: '' }),
  sms: (body: SentBody) => ({ delivery: swmlDelivery(body, SMS), query: '' }),
  mms: (body: SentBody) => hashedDelivery(body, MMS),
  cloud: (body: SentBody) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return { delivery: signedDelivery(bytes, WEBHOOK_SECRETS.cloud), query: '' };
  },
  chakra: (body: SentBody) => ({ delivery: jsonDelivery(body), query: `?token=${WEBHOOK_SECRETS.chakra}` }),
  gateway: (body: SentBody) => ({ delivery: gatewayDelivery(body, WEBHOOK_SECRETS.gateway), query: '' }),
  gupshup: (body: SentBody) => ({
    delivery: jsonDelivery(body, { 'x-webhook-token': WEBHOOK_SECRETS.gupshup }),
    query: '',
  }),
} as const;
type ChannelOfBed = keyof typeof SIGNED;
const ALL: readonly ChannelOfBed[] = ['wa', 'sms', 'mms', 'cloud', 'chakra', 'gateway', 'gupshup'];

interface MetaMessageKeys {
  readonly id?: string;
  readonly url?: string;
  readonly phoneNumberId?: string;
  readonly media?: Readonly<Record<string, unknown>>;
}

function metaBody(...messages: readonly MetaMessageKeys[]): Record<string, unknown> {
  const [{ phoneNumberId = PHONE_NUMBER_ID } = {}] = messages;
  const value = {
    metadata: { phone_number_id: phoneNumberId },
    messages: messages.map(({ id = WAMID, url, media = {} }) => ({
      from: '16505551234',
      id,
      timestamp: String(Math.floor(Date.now() / 1000)),
      type: 'image',
      image: { id: '1852559851913765', mime_type: 'image/jpeg', ...(url !== undefined && { url }), ...media },
    })),
  };
  return { object: 'whatsapp_business_account', entry: [{ id: '1', changes: [{ field: 'messages', value }] }] };
}

/** A body of each provider about a photo in the message with this id. */
function bodyOf(channel: ChannelOfBed, id: string): object {
  switch (channel) {
    case 'wa':
    case 'cloud':
    case 'chakra':
      return metaBody({ id });
    case 'gupshup':
      return { gs_app_id: APP_ID, ...metaBody({ id, url: `${provider.url}/wa/${APP_ID}/${id}` }) };
    case 'gateway':
      return gatewayEvent({ message_id: id, media_path: `media/${APP_ID}/${DEVICE_ID}-${id.replace(/\W/g, '')}.bin` });
    case 'sms':
      return swml({ media: [{ url: `${provider.url}/public/${id}.jpg`, content_type: 'image/jpeg' }] });
    case 'mms':
      return { about: 'something else' };
  }
}

function gatewayEvent(payload: object, keys: object = {}): object {
  return {
    event: 'message',
    device_id: DEVICE_ID,
    app_id: APP_ID,
    timestamp: new Date().toISOString(),
    payload,
    ...keys,
  };
}

function swml(keys: object = {}): object {
  return { message: { message_id: signalwireMessageSid(1), project_id: ACCOUNTS.signalwire, ...keys } };
}

const MESSAGE = twilioMessageSid(1);
const mediaUrl = (rest = `Messages/${MESSAGE}/Media/${twilioMediaSid(1)}`, account: string = ACCOUNTS.twilio) =>
  `${provider.url}/2010-04-01/Accounts/${account}/${rest}`;

function twilioForm(keys: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    AccountSid: ACCOUNTS.twilio,
    MessageSid: MESSAGE,
    NumMedia: '1',
    MediaUrl0: mediaUrl(),
    MediaContentType0: 'image/jpeg',
    ...keys,
  };
}

async function post(
  channel: string,
  { delivery, query = '' }: { delivery: WebhookDelivery; query?: string },
): Promise<Got> {
  return bed.post(channel, delivery, query);
}

/** The contract's refusal: a coded answer that no cache may keep, without a secret. */
function expectRefusal(got: Got, status: number, code: string): void {
  const text = got.bytes.toString();
  expect([got.status, text]).toEqual([status, expect.stringContaining(code)]);
  const { code: reported, message, requestId } = errorOf(got);
  expect([reported, typeof message, requestId]).toEqual([code, 'string', headerOf(got, 'x-request-id')]);
  expect(headerOf(got, 'cache-control')).toBe('no-store');
  for (const secret of secrets()) expect(text).not.toContain(secret);
}

function secrets(): string[] {
  return [...credentials(), ...Object.values(WEBHOOK_SECRETS), 'meta-token', 'chakra-token', 'gateway-token'];
}

/** The rows that `send` leaves in the inbox, when everything is worked off. */
async function eventsOf(send: () => Promise<unknown>): Promise<InboxRow[]> {
  const last = await bed.lastEventId();
  await send();
  await bed.settled();
  return bed.events(last);
}

/** The event was acknowledged, parsed once, and is kept for the operator. */
async function expectDeadLetter(
  channel: ChannelOfBed,
  sent: { delivery: WebhookDelivery; query?: string },
): Promise<void> {
  const [event, ...others] = await eventsOf(async () => {
    expect((await post(channel, sent)).status).toBe(200);
    expect((await post(channel, sent)).status).toBe(200);
  });
  expect(others).toEqual([]);
  expect([event?.state, event?.attempts]).toEqual(['dead', 1]);
  expect(sole(await bed.jobs('webhook', event?.id))).toMatchObject({ state: 'dead', lease_owner: null });
  expect(event?.last_error).toMatch(/^PROVIDER_PROTOCOL: /);
  expect(event?.raw_body.equals(sent.delivery.body)).toBe(true);
  for (const secret of secrets()) expect(event?.last_error).not.toContain(secret);
}

const expectNoRequests = () => expect([provider.requests, stranger.requests]).toEqual([[], []]);

describe('a webhook without a valid signature', () => {
  it.each(ALL)('is 401 on %s after any change, and nothing of it is stored', async (channel) => {
    const { delivery, query } = SIGNED[channel](bodyOf(channel, 'forged'));
    const { body, headers } = delivery;
    const flipped = Buffer.from(body);
    flipped.writeUInt8(flipped.readUInt8(5) ^ 1, 5);
    const changed: Array<[WebhookDelivery, string]> = [
      [{ body, headers: { 'content-type': 'application/json' } }, ''],
      [
        {
          body,
          headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, forged(name, value)])),
        },
        query.replace(/.$/, '!'),
      ],
    ];
    // Gupshup and Chakra sign no body.
    if (channel !== 'gupshup' && channel !== 'chakra')
      for (const other of [
        flipped,
        body.subarray(0, -1),
        Buffer.alloc(0),
        Buffer.concat([body, Buffer.from('\n')]),
        gzipSync(body),
        Buffer.from(body.toString('latin1'), 'utf16le'),
        Buffer.concat([Buffer.from('\ufeff'), body]),
      ])
        changed.push([{ body: other, headers }, query]);
    const events = await eventsOf(async () => {
      for (const [other, otherQuery] of changed)
        expectRefusal(await bed.post(channel, other, otherQuery), 401, 'WEBHOOK_REJECTED');
    });
    expect(events).toEqual([]);
    expectNoRequests();
  });

  /** Another secret or signature, of the same form. */
  function forged(name: string, value: string): string {
    return name === 'content-type' ? value : value.replace(/[0-9A-Za-z](?==?$)/, (last) => (last === '0' ? '1' : '0'));
  }

  it('is 401 from Kirim when its time differs by more than five minutes, or when it is replayed with another time', async () => {
    const body = bodyOf('wa', 'stale');
    const at = (seconds: number) => ({ secrets: [WEBHOOK_SECRETS.wa], sentAt: new Date(Date.now() + seconds * 1000) });
    for (const seconds of [-310, 310, -86_400])
      expectRefusal(await bed.post('wa', kirimDelivery(body, at(seconds))), 401, 'WEBHOOK_REJECTED');
    const { body: bytes, headers } = kirimDelivery(body, at(-86_400));
    const now = `t=${Math.floor(Date.now() / 1000)}`;
    const signature = (headers['x-kirim-signature'] ?? '').replace(/^t=\d+/, now);
    expectRefusal(
      await bed.post('wa', { body: bytes, headers: { ...headers, 'x-kirim-signature': signature } }),
      401,
      'WEBHOOK_REJECTED',
    );
    expect((await bed.post('wa', kirimDelivery(body, at(-290)))).status).toBe(200);
  });

  it('is 401 when it is signed with the secret of another channel', async () => {
    const body = bodyOf('cloud', 'anothers');
    expectRefusal(
      await bed.post('cloud', signedDelivery(Buffer.from(JSON.stringify(body)), WEBHOOK_SECRETS.gateway)),
      401,
      'WEBHOOK_REJECTED',
    );
    expectRefusal(await bed.post('sms', formDelivery(twilioForm(), MMS)), 401, 'WEBHOOK_REJECTED');
    expectRefusal(await bed.post('mms', formDelivery(twilioForm(), SMS)), 401, 'WEBHOOK_REJECTED');
  });

  it('is 401: a form of more than 256 KiB, unread', async () => {
    const form = formDelivery(twilioForm({ Body: 'x'.repeat(300_000) }), MMS);
    expectRefusal(await bed.post('mms', form), 401, 'WEBHOOK_REJECTED');
  });
});

describe('an invalid request to the webhook route', () => {
  it.each(['nobody', 'WA', 'wa%2f..', '%252e%252e', "wa'--", `${'w'.repeat(2_000)}`])(
    'is 404 on the channel %s',
    async (channel) => {
      const events = await eventsOf(async () =>
        expectRefusal(await bed.post(channel, SIGNED.wa({}).delivery), 404, 'CHANNEL_NOT_FOUND'),
      );
      expect(events).toEqual([]);
    },
  );

  it.each(ALL)('is 413 on %s above 3 MB, announced or not', async (channel) => {
    const { delivery, query } = SIGNED[channel](Buffer.alloc(3_000_001, 0x20));
    expectRefusal(await post(channel, { delivery, query }), 413, 'BAD_USER_INPUT');
  });

  it.each(['PUT', 'PATCH', 'DELETE'])('is 404 with the method %s', async (method) => {
    const { delivery } = SIGNED.cloud(bodyOf('cloud', 'method'));
    const got = await bed.send(method, '/webhooks/cloud', delivery.headers, delivery.body);
    expectRefusal(got, 404, 'BAD_USER_INPUT');
  });

  it.each<[string, number, string]>([
    ['cloud', 401, 'WEBHOOK_REJECTED'],
    ['chakra', 401, 'WEBHOOK_REJECTED'],
    ['wa', 404, 'CHANNEL_NOT_FOUND'],
    ['gateway', 404, 'CHANNEL_NOT_FOUND'],
    ['nobody', 404, 'CHANNEL_NOT_FOUND'],
  ])('is refused as a handshake of %s without its parameters, by GET and HEAD alike', async (channel, status, code) => {
    expectRefusal(await bed.send('GET', `/webhooks/${channel}`), status, code);
    const head = await bed.send('HEAD', `/webhooks/${channel}`);
    expect([head.status, head.bytes.length]).toEqual([status, 0]);
  });

  it.each([
    'hub.mode=subscribe&hub.verify_token=hello',
    'hub.mode=unsubscribe&hub.verify_token=hello&hub.challenge=1',
    'hub.mode=subscribe&hub.verify_token=hello&hub.challenge=%3Cscript%3E',
    'hub.mode=subscribe&hub.verify_token=hello&hub.verify_token=hello&hub.challenge=1',
    'hub.mode=subscribe&hub.verify_token=hello%00&hub.challenge=1',
    'hub.mode=subscribe&hub.verify_token=&hub.challenge=1',
    'hub[mode]=subscribe&hub[verify_token]=hello&hub[challenge]=1',
  ])('is 401 as a handshake of %s', async (query) => {
    expectRefusal(await bed.send('GET', `/webhooks/cloud?${query}`), 401, 'WEBHOOK_REJECTED');
  });
});

describe('a verified event that is not what its provider documents', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const BROKEN: Array<[string, SentBody]> = [
    ['half a body', '{"object":"whatsapp_business_account","event":"message","entry":[{"chan'],
    ['100,000 lists in one another', deep],
    ['numbers that are none', '{"object":NaN,"entry":Infinity,"event":-0x1,"message":1e}'],
    ['bytes that are not UTF-8', Buffer.from('{"object":"\xff","entry":[],"event":"\xfe","message":"\xc0"}', 'latin1')],
    ['UTF-16', Buffer.from('{"object":"x","entry":[],"event":"x","message":1}', 'utf16le')],
    ['a compressed body', gzipSync('{"object":"whatsapp_business_account","entry":[]}')],
    ['a list', '[]'],
    ['nothing at all', ''],
  ];

  // Twilio's JSON is about something else, whatever it says, as long as it is JSON.
  it.each(
    ALL.flatMap((channel) =>
      BROKEN.map(([what, body]): [ChannelOfBed, string, SentBody] => [channel, what, body]),
    ).filter(([channel, what]) => channel !== 'mms' || (what !== 'a list' && !what.startsWith('100,000'))),
  )('is acknowledged on %s and becomes one dead letter: %s', async (channel, _what, body) => {
    await expectDeadLetter(channel, SIGNED[channel](body));
    expectNoRequests();
  });

  it.each(['text/plain', 'multipart/form-data; boundary=x', 'application/jsonp'])(
    'becomes a dead letter with the content type %j',
    async (type) => {
      const { delivery } = SIGNED.cloud(bodyOf('cloud', `type ${type.length}`));
      await expectDeadLetter('cloud', {
        delivery: { ...delivery, headers: { ...delivery.headers, 'content-type': type } },
      });
    },
  );

  it('becomes a dead letter without a content type; with an empty one it is 415, with a code', async () => {
    const { delivery } = SIGNED.cloud(bodyOf('cloud', 'untyped'));
    const { 'content-type': _type, ...headers } = delivery.headers;
    await expectDeadLetter('cloud', { delivery: { ...delivery, headers } });
    const empty = await post('cloud', { delivery: { ...delivery, headers: { ...headers, 'content-type': '' } } });
    expectRefusal(empty, 415, 'BAD_USER_INPUT');
  });

  it.each(['gzip', 'br', 'deflate', 'x-unheard-of'])(
    'is read as it is, despite Content-Encoding: %s',
    async (encoding) => {
      const { delivery } = SIGNED.cloud(gzipSync(JSON.stringify(bodyOf('cloud', `encoded ${encoding}`))));
      const headers = { ...delivery.headers, 'content-encoding': encoding };
      await expectDeadLetter('cloud', { delivery: { ...delivery, headers } });
    },
  );

  it('is not processed again, and blocks no other event', async () => {
    const [faulty] = await eventsOf(() => post('cloud', SIGNED.cloud('{"once":')));
    const later = await eventsOf(() => post('cloud', SIGNED.cloud(bodyOf('cloud', 'wamid.LATER'))));
    expect(later.map(({ state }) => state)).toEqual(['done']);
    const again = (await bed.events()).find(({ id }) => id === faulty?.id);
    expect(again).toEqual(faulty);
    expect(bed.logLines.filter((line) => line.includes('will be retried'))).toEqual([]);
    const reported = bed.logLines.filter(
      (line) => line.includes('became a dead letter') && line.includes(`"event":${faulty?.id},`),
    );
    expect(reported).toHaveLength(1);
  });
});

describe('an event of another account', () => {
  it.each<[string, ChannelOfBed, () => { delivery: WebhookDelivery; query?: string }]>([
    ["Twilio's AccountSid", 'mms', () => ({ delivery: formDelivery(twilioForm({ AccountSid: 'AC9' }), MMS) })],
    ["SignalWire's AccountSid", 'sms', () => ({ delivery: formDelivery(twilioForm(), SMS) })],
    ["SignalWire's project_id", 'sms', () => SIGNED.sms(swml({ project_id: ACCOUNTS.twilio }))],
    ["Gupshup's app", 'gupshup', () => SIGNED.gupshup({ ...bodyOf('gupshup', 'wamid.APP'), gs_app_id: 'another' })],
    [
      "the gateway's app in media_path",
      'gateway',
      () => SIGNED.gateway(gatewayEvent({ message_id: 'APP', media_path: `media/another/${DEVICE_ID}-APP.bin` })),
    ],
  ])('is a dead letter: %s', async (_what, channel, make) => {
    await expectDeadLetter(channel, make());
    expectNoRequests();
  });

  it("is ignored where one app has several numbers: Meta's phone_number_id", async () => {
    const body = metaBody({ id: 'wamid.OTHER', phoneNumberId: '999999999999999' });
    const events = await eventsOf(() => post('cloud', SIGNED.cloud(body)));
    expect(events.map(({ state }) => state)).toEqual(['done']);
    expect(await bed.media('cloud:wamid.OTHER')).toEqual([]);
    expectNoRequests();
  });
});

describe('an address in an event', () => {
  const twilio = (MediaUrl0: string) => ({ delivery: formDelivery(twilioForm({ MediaUrl0 }), MMS) });
  const message = `Messages/${MESSAGE}/Media`;

  it.each<[string, () => string]>([
    ['a stranger', () => `${stranger.url}/2010-04-01/Accounts/${ACCOUNTS.twilio}/${message}/${twilioMediaSid(1)}`],
    ['a stranger as user', () => mediaUrl().replace('http://', `http://${stranger.url.slice(7)}@`)],
    ['our host as user of a stranger', () => `http://${provider.url.slice(7)}@${stranger.url.slice(7)}/x`],
    ['another port', () => mediaUrl().replace(/:\d+\//, ':1/')],
    ['https on the same port', () => mediaUrl().replace('http:', 'https:')],
    ['another scheme', () => 'file:///etc/passwd'],
    ['another account', () => mediaUrl(`${message}/${twilioMediaSid(1)}`, 'AC9')],
    ['another message', () => mediaUrl(`Messages/${twilioMessageSid(2)}/Media/${twilioMediaSid(1)}`)],
    ['dots', () => mediaUrl(`${message}/../../../Calls`)],
    ['dots at its end', () => mediaUrl(`${message}/..`)],
    ['one dot', () => mediaUrl(`${message}/.`)],
    ['encoded dots', () => mediaUrl(`${message}/%2e%2e`)],
    ['an encoded slash', () => mediaUrl(`${message}/${twilioMediaSid(1)}%2f..%2fx`)],
    ['a backslash', () => mediaUrl(`${message}/..\\..\\x`)],
    ['no media', () => mediaUrl(`${message}/`)],
    ['a longer path', () => mediaUrl(`${message}/${twilioMediaSid(1)}/x`)],
    ['a control character', () => `${mediaUrl()}\t`],
    ['no URL', () => 'not a url'],
  ])("that is not Twilio's, %s, is a dead letter without a request to the address", async (_what, make) => {
    await expectDeadLetter('mms', twilio(make()));
    expectNoRequests();
  });

  describe('that is a stranger', () => {
    let eager: WebhookBed;

    beforeAll(async () => {
      eager = await WebhookBed.start({ channels: channels() });
    });
    afterAll(() => eager.close());

    const strange = (id: string) => `${stranger.url}/files/${id}.jpg`;
    const id = (channel: ChannelOfBed) => `STRANGE-${channel}`;
    const bodies: Array<[ChannelOfBed, () => object]> = [
      ['sms', () => swml({ message_id: id('sms'), media: [{ url: strange('sms'), content_type: 'image/jpeg' }] })],
      ['wa', () => ({ ...metaBody({ id: id('wa') }), kirim: { media_status: 'ready', media_url: strange('wa') } })],
      ['gupshup', () => ({ gs_app_id: APP_ID, ...metaBody({ id: id('gupshup'), url: strange('gupshup') }) })],
    ];

    it.each(bodies)(
      'is opened without the credentials of %s, by the copy and by the delivery',
      async (channel, make) => {
        const { delivery, query } = SIGNED[channel](make());
        for (const one of [eager, bed]) {
          expect((await one.post(channel, delivery, query)).status).toBe(200);
          await one.settled();
          const { status, url } = sole(await one.media(`${channel}:${id(channel)}`));
          expect(status).toBe('READY');
          expect((await one.send('GET', url ?? '')).bytes.equals(samples.photo.bytes)).toBe(true);
        }
        expect(stranger.requests.length).toBeGreaterThan(0);
        expectAnonymous();
      },
    );

    it.each<ChannelOfBed>(['cloud', 'chakra'])('is never opened by %s, whose media have ids', async (channel) => {
      const { delivery, query } = SIGNED[channel](metaBody({ id: id(channel), url: strange(channel) }));
      expect((await bed.post(channel, delivery, query)).status).toBe(200);
      await bed.settled();
      const { url } = sole(await bed.media(`${channel}:${id(channel)}`));
      await bed.send('GET', url ?? '');
      expect(stranger.requests).toEqual([]);
    });
  });

  function expectAnonymous(): void {
    for (const headers of stranger.headers) {
      expect(Object.keys(headers).filter((name) => /auth|cookie|token|key/.test(name))).toEqual([]);
      const text = JSON.stringify([headers, stranger.requests]);
      for (const secret of secrets()) expect(text).not.toContain(secret);
    }
  }

  it.each([
    'media/../../etc/passwd',
    `media/${APP_ID}/${DEVICE_ID}-X/../../y`,
    `media/${APP_ID}/${DEVICE_ID}-%2e%2e%2fy`,
    `media/${APP_ID}/${DEVICE_ID}-X/./y`,
    `media/${APP_ID}/${DEVICE_ID}-X\\..\\y`,
    `media/${APP_ID}/${DEVICE_ID}-X&path=media/other`,
    `media/${APP_ID}/${DEVICE_ID}-X#y`,
    `media/${APP_ID}/another-device-X`,
    `${APP_ID}/${DEVICE_ID}-X`,
    `media/${APP_ID}/${DEVICE_ID}-`,
    `media/${APP_ID}/${DEVICE_ID}-${'x'.repeat(400)}`,
  ])("that is a path of the gateway's, %j, is a dead letter without a request to the path", async (media_path) => {
    await expectDeadLetter('gateway', SIGNED.gateway(gatewayEvent({ message_id: 'PATH', media_path })));
    expectNoRequests();
  });

  it.each(['..', '.', '../../../me', '1/2', '%2e%2e', '1?fields=x', '1#', '', 'x'.repeat(71)])(
    "that is Meta's media id, %j, is a dead letter without a request for the media",
    async (id) => {
      await expectDeadLetter('cloud', SIGNED.cloud(metaBody({ media: { id } })));
      expectNoRequests();
    },
  );
});

describe('a message id', () => {
  it.each([
    '..',
    '.',
    'a/../b',
    'a/./b',
    '%2e%2e',
    '%252e%252e/x',
    'a\\..\\b',
    '',
    'a\u0000b',
    'a\nb',
    'x'.repeat(241),
  ])('of %j is a dead letter on every channel that it can come from', async (id) => {
    for (const channel of ['wa', 'cloud', 'chakra', 'gateway'] as const) {
      const body =
        channel === 'gateway'
          ? gatewayEvent({ message_id: id, media_path: `media/${APP_ID}/${DEVICE_ID}-X.bin` })
          : metaBody({ id });
      await expectDeadLetter(channel, SIGNED[channel](body));
    }
    expectNoRequests();
  });

  it('that is a lone surrogate is a dead letter', async () => {
    const text = JSON.stringify(metaBody({ id: 'LONE' })).replace('LONE', '\\ud800');
    await expectDeadLetter('cloud', SIGNED.cloud(text));
  });
});

describe('a verified event with strange values', () => {
  it.each<[string, string, Record<string, unknown>]>([
    [
      'NUL in its texts',
      '{"caption":"a\\u0000b","filename":"c\\u0000.jpg","sha256":"\\u0000"}',
      { caption: 'ab', filename: 'c.jpg' },
    ],
    [
      'lone surrogates',
      '{"caption":"a\\ud83d b","filename":"\\udc00.jpg"}',
      { caption: 'a\ufffd b', filename: '\ufffd.jpg' },
    ],
    [
      '__proto__',
      '{"__proto__":{"caption":"inherited","admin":true},"constructor":{"prototype":{"admin":true}}}',
      { caption: null },
    ],
    ['keys that come twice', '{"caption":"first","caption":"second"}', { caption: 'second' }],
    [
      'numbers in place of texts',
      '{"caption":7,"filename":{"a":1},"mime_type":["image/png"],"sha256":1e400}',
      { caption: null, filename: null },
    ],
    ['a caption of a megabyte', `{"caption":"${'x'.repeat(1_000_000)}"}`, { caption: 'x'.repeat(4_096) }],
    ['a type of another world', '{"mime_type":"../../x\\r\\nset-cookie: a=b"}', {}],
  ])('loses no media: %s', async (what, media, reported) => {
    const id = `wamid.${what.replace(/\W/g, '')}`;
    const text = JSON.stringify(metaBody({ id, media: { strange: 1 } })).replace('"strange":1', media.slice(1, -1));
    const [event] = await eventsOf(() => post('cloud', SIGNED.cloud(text)));
    expect([event?.state, event?.last_error]).toEqual(['done', null]);
    expect(sole(await bed.media(`cloud:${id}`))).toMatchObject({ kind: 'IMAGE', ...reported });
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('admin');
  });

  it('and with a NUL in its headers is recorded like any other', async () => {
    const { delivery } = SIGNED.gateway(bodyOf('gateway', 'ODD'));
    const odd = { ...delivery, headers: { ...delivery.headers, 'x-wa-request-id': 'é'.repeat(300) } };
    const events = await eventsOf(() => post('gateway', { delivery: odd }));
    expect(events.map(({ state }) => state)).toEqual(['done']);
  });
});

describe('many media in one event', () => {
  it.each<[ChannelOfBed]>([['cloud'], ['gupshup']])('are all announced: a thousand on %s', async (channel) => {
    const ids = Array.from({ length: 1_000 }, (_, index) => `wamid.MANY${index}`);
    const body = metaBody(...ids.map((id) => ({ id, url: `${provider.url}/${id}`, media: { id: id.slice(6) } })));
    const own = await WebhookBed.start({ config: { mirror: { mode: 'off' } }, channels: channels() });
    try {
      const { delivery, query } = SIGNED[channel]({ ...body, gs_app_id: APP_ID });
      expect((await own.post(channel, delivery, query)).status).toBe(200);
      await own.settled();
      expect((await own.events()).map(({ state }) => state)).toEqual(['done']);
      for (const id of ['wamid.MANY0', 'wamid.MANY500', 'wamid.MANY999'])
        expect(sole(await own.media(`${channel}:${id}`)).status).toBe('READY');
    } finally {
      await own.close();
    }
  });

  it('are a dead letter where a message can have ten at most', async () => {
    const media = Array.from({ length: 1_000 }, (_, index) => ({
      url: `${provider.url}/${index}.jpg`,
      content_type: 'image/jpeg',
    }));
    await expectDeadLetter('sms', SIGNED.sms(swml({ media })));
    await expectDeadLetter('mms', { delivery: formDelivery(twilioForm({ NumMedia: '1000' }), MMS) });
    expectNoRequests();
  });

  it('are recorded except for the faulty ones, and the event is kept as a dead letter', async () => {
    const body = metaBody({ id: 'wamid.GOOD' }, { id: '..' }, { id: 'wamid.ALSO' });
    const [event] = await eventsOf(() => post('cloud', SIGNED.cloud(body)));
    expect([event?.state, event?.attempts]).toEqual(['dead', 1]);
    for (const id of ['wamid.GOOD', 'wamid.ALSO']) expect(await bed.media(`cloud:${id}`)).toHaveLength(1);
  });
});

describe('two tenants whose providers call a message alike', () => {
  const TENANTS = { acme: 'acme-key-0123456789', umbrella: 'umbrella-key-0123456789' };

  it('each have their own media', async () => {
    const [cloud] = channels().filter(({ id }) => id === 'cloud');
    const own = await WebhookBed.start({
      config: {
        mirror: { mode: 'off' },
        auth: { mode: 'apiKey', apiKeys: Object.entries(TENANTS).map(([tenant, key]) => apiKey(tenant, key)) },
      },
      channels: Object.keys(TENANTS).map((tenant) => ({ ...cloud, id: `line-${tenant}`, tenant })),
    });
    try {
      for (const tenant of Object.keys(TENANTS)) {
        const { delivery } = SIGNED.cloud(metaBody({ media: { caption: `for ${tenant}` } }));
        expect((await own.post(`line-${tenant}`, delivery)).status).toBe(200);
      }
      await own.settled();
      const see = async (channel: string, key: string) =>
        (await own.media(`line-${channel}:${WAMID}`, key)).map(({ caption }) => caption);
      expect(await see('acme', TENANTS.acme)).toEqual(['for acme']);
      expect(await see('umbrella', TENANTS.umbrella)).toEqual(['for umbrella']);
      await expect(see('umbrella', TENANTS.acme)).rejects.toThrow(/CHANNEL_NOT_FOUND/);
      expect((await own.media(WAMID, TENANTS.acme)).map(({ caption }) => caption)).toEqual(['for acme']);
    } finally {
      await own.close();
    }
  });

  function apiKey(tenant: string, key: string): object {
    return { sha256: createHash('sha256').update(key).digest('hex'), tenant, scopes: ['media:read'] };
  }
});
