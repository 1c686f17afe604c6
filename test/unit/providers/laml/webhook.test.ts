import { createLamlWebhook, type LamlWebhookOptions } from '../../../../src/providers/laml/webhook.js';
import {
  BROKEN_JSON,
  collectItems,
  expectNotQuoted,
  FORM_TYPE,
  faultCodes,
  JSON_TYPE,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
} from '../../webhook-requests.js';
import { FIELDS, formOf, MEDIA, MESSAGE, mediaUrl, SIGNALWIRE, signalwire, TWILIO, twilio } from './webhook-setup.js';

describe('LaML deliveries', () => {
  it("are named by Twilio's token, else by their bytes", () => {
    const request = requestOf('', { 'i-twilio-idempotency-token': 'a-b-c', 'x-request-id': 'x' });
    expect(twilio.deliveryId(request)).toBe('a-b-c');
    expect(twilio.deliveryId(requestOf('', {}))).toBeNull();
    expect(signalwire.deliveryId(request)).toBeNull();
  });

  it('are answered with an empty document', () => {
    expect(twilio.answer).toEqual({ contentType: 'text/xml', body: '<Response></Response>' });
  });
});

function parseForm(options: LamlWebhookOptions, fields: Record<string, string | undefined>) {
  const present = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
  return collectItems(
    createLamlWebhook(options).parse(Buffer.from(new URLSearchParams(present).toString()), FORM_TYPE, NOW),
  );
}

const ANNOUNCED = {
  providerMessageId: MESSAGE,
  providerMediaId: MEDIA,
  downloadUrl: null,
  status: 'READY',
  kind: 'IMAGE',
  mimeType: 'image/jpeg',
  sizeBytes: null,
  sha256: null,
  filename: null,
  caption: null,
  createdAt: null,
  availableUntil: null,
  contact: '+14158675309',
  direction: 'INBOUND',
};

describe("Twilio's form", () => {
  it('announces the media', () => {
    expect(parseForm(TWILIO, FIELDS)).toEqual({
      events: [{ type: 'mediaAnnounced', providerMessageId: MESSAGE, media: [ANNOUNCED] }],
      faults: [],
    });
  });

  it.each<[string, Record<string, string>, object]>([
    ['over WhatsApp', { From: 'whatsapp:+14158675309' }, {}],
    ['from a short code, which is no number of E.164', { From: '12345' }, { contact: '12345' }],
    ['from a user without a number', { From: 'messenger:1234567' }, { contact: 'messenger:1234567' }],
    ['sent', { Direction: 'outbound-api' }, { contact: '+18005551212', direction: 'OUTBOUND' }],
    ['on its way out', { SmsStatus: 'delivered' }, { contact: '+18005551212', direction: 'OUTBOUND' }],
    ['received', { SmsStatus: 'received' }, {}],
    ['from a name that is too long to be kept', { From: 'x'.repeat(129) }, { contact: undefined }],
  ])('has the other party and the direction of a message %s', (_case, overrides, difference) => {
    expect(mediaIn(parseForm(TWILIO, { ...FIELDS, ...overrides }))).toEqual([{ ...ANNOUNCED, ...difference }]);
  });

  it('announces ten, in their order, each with its own type', () => {
    const sids = Array.from({ length: 10 }, (_, at) => `ME${String(at).padStart(32, '0')}`);
    const fields = Object.fromEntries(
      sids.flatMap((sid, at) => [
        [`MediaUrl${at}`, mediaUrl(sid)],
        [`MediaContentType${at}`, at === 3 ? 'text/x-vcard' : 'video/3gpp'],
      ]),
    );
    const media = mediaIn(parseForm(TWILIO, { ...FIELDS, NumMedia: '10', ...fields }));
    expect(media.map(({ providerMediaId }) => providerMediaId)).toEqual(sids);
    expect(media[3]).toMatchObject({ mimeType: 'text/vcard', kind: 'DOCUMENT' });
    expect(media[4]).toMatchObject({ mimeType: 'video/3gpp', kind: 'VIDEO' });
  });

  it('announces a media once when it is named twice', () => {
    const media = mediaIn(parseForm(TWILIO, { ...FIELDS, NumMedia: '2', MediaUrl1: mediaUrl() }));
    expect(media).toHaveLength(1);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['no media', { ...FIELDS, NumMedia: '0', MediaUrl0: undefined }],
    ['a status', { AccountSid: TWILIO.accountSid, MessageSid: MESSAGE, MessageStatus: 'delivered' }],
    ['a call', { AccountSid: TWILIO.accountSid, CallSid: 'CA1' }],
  ])('has no events when it is not about media: %s', (_case, fields) => {
    expect(parseForm(TWILIO, fields)).toEqual({ events: [], faults: [] });
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['of another account', { ...FIELDS, AccountSid: 'AC00000000000000000000000000000009' }],
    ['with a NumMedia of eleven', { ...FIELDS, NumMedia: '11' }],
    ['with a NumMedia of a thousand', { ...FIELDS, NumMedia: '1000' }],
    ['with a NumMedia below zero', { ...FIELDS, NumMedia: '-1' }],
    ['with a NumMedia in words', { ...FIELDS, NumMedia: 'one' }],
    ['with a NumMedia that is not whole', { ...FIELDS, NumMedia: '1.5' }],
    ['with an empty NumMedia', { ...FIELDS, NumMedia: '' }],
    ['without NumMedia but with media', { ...FIELDS, NumMedia: undefined }],
    ['with a media fewer than it counts', { ...FIELDS, NumMedia: '2' }],
    ['without a MessageSid', { ...FIELDS, MessageSid: undefined }],
    ['with a MessageSid of dots', { ...FIELDS, MessageSid: '..' }],
    ['with a MessageSid that is a path', { ...FIELDS, MessageSid: `${MESSAGE}/Media` }],
    ['with a MessageSid without end', { ...FIELDS, MessageSid: 'M'.repeat(71) }],
  ])('is a fault %s', (_case, fields) => {
    const parsing = parseForm(TWILIO, fields);
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
  });

  it.each([
    'https://evil.example/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages/MM00000000000000000000000000000002/Media/ME1',
    mediaUrl().replace('https', 'http'),
    mediaUrl().replace('api.twilio.com', 'api.twilio.com.evil.example'),
    mediaUrl().replace('api.twilio.com', 'api.twilio.com@evil.example'),
    mediaUrl().replace('api.twilio.com', 'user:password@api.twilio.com'),
    mediaUrl().replace('api.twilio.com', 'api.twilio.com:8443'),
    mediaUrl().replace('api.twilio.com', 'evil.example\\@api.twilio.com'),
    mediaUrl().replace('2010-04-01', '2010-04-02'),
    mediaUrl(MEDIA, MESSAGE, 'AC00000000000000000000000000000009'),
    mediaUrl(MEDIA, 'MM00000000000000000000000000000009'),
    mediaUrl(`${MEDIA}/x`),
    mediaUrl(`${MEDIA}.json`),
    mediaUrl('..'),
    mediaUrl('%2e%2e'),
    mediaUrl('M'.repeat(71)),
    mediaUrl(''),
    `${mediaUrl()}\r\nX: y`,
    '//api.twilio.com/x',
    'ftp://api.twilio.com/x',
    'file:///etc/passwd',
    '',
  ])('is a fault with the address %j', (address) => {
    const parsing = parseForm(TWILIO, { ...FIELDS, MediaUrl0: address });
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
    for (const fault of parsing.faults) expectNotQuoted(fault, ['evil', 'password', MEDIA]);
  });

  it('is a fault as a whole when one of its addresses has a foreign host', () => {
    const parsing = parseForm(TWILIO, { ...FIELDS, NumMedia: '2', MediaUrl1: 'https://evil.example/x' });
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
  });

  it.each([
    ['', FORM_TYPE],
    ['NumMedia=0', FORM_TYPE],
    [`AccountSid=${TWILIO.accountSid}&AccountSid=x`, FORM_TYPE],
    [formOf(FIELDS), 'text/plain'],
    [formOf(FIELDS), JSON_TYPE],
    ['{', JSON_TYPE],
  ])('is refused: %s as %s', (body, contentType) => {
    expect(thrownBy(() => twilio.parse(Buffer.from(body), contentType, NOW)).code).toBe('PROVIDER_PROTOCOL');
  });

  it.each(['MessageSid', 'NumMedia', 'MediaUrl0', 'MediaContentType0'])('is a fault with %s twice', (name) => {
    const parsing = collectItems(twilio.parse(Buffer.from(`${formOf(FIELDS)}&${name}=x`), FORM_TYPE, NOW));
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
  });

  it('can be JSON about something else', () => {
    expect(parseJsonBody(twilio, { message: { media: [{}] } })).toEqual({ events: [], faults: [] });
  });
});

describe("SignalWire's form", () => {
  const MESSAGE_ID = '0a1b2c3d-0000-4000-8000-b792e98472me';
  const MEDIA_ID = 'a5f2c3d4-0000-4000-8000-0000000000me';
  const OWN = `${SIGNALWIRE.baseUrl}/Accounts/${SIGNALWIRE.accountSid}/Messages/${MESSAGE_ID}/Media/${MEDIA_ID}`;
  const fields = {
    ...FIELDS,
    AccountSid: SIGNALWIRE.accountSid,
    MessageSid: MESSAGE_ID,
    MediaUrl0: OWN,
  };
  const announced = { ...ANNOUNCED, providerMessageId: MESSAGE_ID, providerMediaId: MEDIA_ID };

  it.each([
    [OWN, null],
    [`https://files.signalwire.com/x/${MEDIA_ID}`, `https://files.signalwire.com/x/${MEDIA_ID}`],
    [`https://files.signalwire.com/x/${MEDIA_ID}.jpeg?s=1`, `https://files.signalwire.com/x/${MEDIA_ID}.jpeg?s=1`],
    [`https://example.signalwire.com/media/${MEDIA_ID}.jpeg`, `https://example.signalwire.com/media/${MEDIA_ID}.jpeg`],
  ])('announces the media at %s', (address, downloadUrl) => {
    expect(mediaIn(parseForm(SIGNALWIRE, { ...fields, MediaUrl0: address }))).toEqual([{ ...announced, downloadUrl }]);
  });

  it("is accepted over http only when the channel's own API uses http", () => {
    const plain = { ...SIGNALWIRE, baseUrl: 'http://127.0.0.1:4001/api/laml/2010-04-01' };
    const address = OWN.replace('https://example.signalwire.com', 'http://127.0.0.1:4001');
    expect(mediaIn(parseForm(plain, { ...fields, MediaUrl0: address }))).toEqual([announced]);
    expect(
      faultCodes(parseForm(SIGNALWIRE, { ...fields, MediaUrl0: `http://files.signalwire.com/${MEDIA_ID}` })),
    ).toEqual(['PROVIDER_PROTOCOL']);
  });

  it.each([
    OWN.replace(MESSAGE_ID, 'other'),
    OWN.replace(SIGNALWIRE.accountSid, 'other'),
    OWN.replace('Accounts', 'accounts'),
    OWN.replace('/Accounts/', '/x%2F..%2FAccounts/'),
    `https://user:password@files.signalwire.com/${MEDIA_ID}`,
    'https://files.signalwire.com/',
    'https://files.signalwire.com/a_b',
    'https://files.signalwire.com/%2e%2e%2fx',
    `https://files.signalwire.com/${'x'.repeat(71)}`,
    'data:image/png;base64,AAAA',
  ])('is a fault with the address %j', (address) => {
    const parsing = parseForm(SIGNALWIRE, { ...fields, MediaUrl0: address });
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
  });

  it('is a fault when two addresses end in the same name', () => {
    const two = {
      MediaUrl0: 'https://files.signalwire.com/a/x.jpg',
      MediaUrl1: 'https://files.signalwire.com/b/x.jpg',
    };
    expect(faultCodes(parseForm(SIGNALWIRE, { ...fields, NumMedia: '2', ...two }))).toEqual(['PROVIDER_PROTOCOL']);
  });

  describe('in JSON', () => {
    const message = {
      message_id: MESSAGE_ID,
      project_id: SIGNALWIRE.accountSid,
      direction: 'inbound',
      type: 'mms',
      from: '+14158675309',
      to: '+18005551212',
      body: null,
      media: [{ url: `https://files.signalwire.com/${MEDIA_ID}.jpg`, content_type: 'image/jpeg', size: 12345 }],
      timestamp: '2026-11-21T11:59:00Z',
    };

    it('announces the media with its size', () => {
      expect(parseJsonBody(signalwire, { message, params: {} })).toEqual({
        events: [
          {
            type: 'mediaAnnounced',
            providerMessageId: MESSAGE_ID,
            media: [
              {
                ...announced,
                downloadUrl: `https://files.signalwire.com/${MEDIA_ID}.jpg`,
                sizeBytes: 12345,
                createdAt: new Date('2026-11-21T11:59:00Z'),
              },
            ],
          },
        ],
        faults: [],
      });
    });

    it.each<[string, unknown]>([
      ['an SMS', { message: { ...message, type: 'sms', media: [] } }],
      ['an SMS without a list', { message: { ...message, media: undefined } }],
      ['a call', { call: {} }],
    ])('has no events when it is not about media: %s', (_case, body) => {
      expect(parseJsonBody(signalwire, body)).toEqual({ events: [], faults: [] });
    });

    it.each<[string, object]>([
      ['of another project', { project_id: 'other' }],
      ['of no project', { project_id: undefined }],
      ['with a hostile id', { message_id: '../x' }],
      ['with a thousand media', { media: Array.from({ length: 1_000 }, () => message.media[0]) }],
      ['with a media without an address', { media: [{ content_type: 'image/png' }] }],
    ])('is a fault %s', (_case, overrides) => {
      const parsing = parseJsonBody(signalwire, { message: { ...message, ...overrides } });
      expect(parsing.events).toEqual([]);
      expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
    });
  });

  it.each(BROKEN_JSON.filter(([what]) => !['an empty object', 'deep objects'].includes(what)))(
    'is refused: %s',
    (_case, rawBody, contentType) => {
      const error = thrownBy(() => signalwire.parse(rawBody, contentType, NOW));
      expect(error.code).toBe('PROVIDER_PROTOCOL');
      expectNotQuoted(error, ['secret-words']);
    },
  );
});
