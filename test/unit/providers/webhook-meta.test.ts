import { createHmac } from 'node:crypto';
import { createChakraWebhook, createWhatsappWebhook } from '../../../src/providers/whatsapp/webhook.js';
import {
  BROKEN_JSON,
  expectNotQuoted,
  expectRejected,
  faultCodes,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
  WEEK_MS,
} from '../webhook-requests.js';

const SECRET = 'app-secret';
const VERIFY_TOKEN = 'verify-me';
const cloud = createWhatsappWebhook({
  channel: { id: 'line', provider: 'whatsapp-cloud' },
  secret: SECRET,
  verifyToken: VERIFY_TOKEN,
  phoneNumberId: '100200300',
});
const chakra = createChakraWebhook({ channel: { id: 'line', provider: 'chakra' }, secret: SECRET });

const HASH = Buffer.from('89'.repeat(32), 'hex');
const SENT_AT = 1763726400;

function message(type: string, media: object, overrides: object = {}) {
  return { from: '628123', id: `wamid.${type}`, timestamp: String(SENT_AT), type, [type]: media, ...overrides };
}

function change(messages: unknown, number = '100200300') {
  return {
    field: 'messages',
    value: { messaging_product: 'whatsapp', metadata: { phone_number_id: number }, messages },
  };
}

function bodyOf(messages: unknown, number?: string) {
  return { object: 'whatsapp_business_account', entry: [{ id: 'WABA', changes: [change(messages, number)] }] };
}

const IMAGE = message('image', {
  id: '1479537139650973',
  mime_type: 'image/jpeg',
  sha256: HASH.toString('base64'),
  caption: 'Taj Mahal 🕌',
  url: 'https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1',
});

describe("Meta's signature", () => {
  const body = JSON.stringify(bodyOf([IMAGE]));
  const hex = createHmac('sha256', SECRET).update(body).digest('hex');

  it('is accepted over the raw bytes', () => {
    expect(() => cloud.verify(requestOf(body, { 'x-hub-signature-256': `sha256=${hex}` }), NOW)).not.toThrow();
  });

  it("is that of the scheme's published example", () => {
    // docs.github.com, "Validating webhook deliveries": the same header over the same algorithm.
    const example = createWhatsappWebhook({
      channel: { id: 'line', provider: 'whatsapp-cloud' },
      secret: "It's a Secret to Everybody",
    });
    const published = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(() => example.verify(requestOf('Hello, World!', { 'x-hub-signature-256': published }), NOW)).not.toThrow();
  });

  it.each([
    ['of another secret', `sha256=${createHmac('sha256', 'forged').update(body).digest('hex')}`],
    ['without the scheme', hex],
    ['of SHA-1', `sha1=${createHmac('sha1', SECRET).update(body).digest('hex')}`],
    ['cut short', `sha256=${hex.slice(0, -2)}`],
    ['sent twice', `sha256=${hex}, sha256=${hex}`],
    ['in Base64', `sha256=${Buffer.from(hex, 'hex').toString('base64')}`],
    ['empty', ''],
  ])('is refused %s', (_case, header) => {
    expectRejected(cloud, requestOf(body, { 'x-hub-signature-256': header }), [SECRET, hex]);
  });

  it.each([
    ['re-encoded: escapes for other characters', body.replace('🕌', '\\ud83d\\udd4c')],
    ['re-encoded: escaped slashes', body.replaceAll('/', '\\/')],
    ['truncated', body.slice(0, -1)],
    ['emptied', ''],
  ])('does not fit a body that was %s', (_case, other) => {
    expect(other).not.toBe(body);
    expectRejected(cloud, requestOf(other, { 'x-hub-signature-256': `sha256=${hex}` }), [SECRET, hex]);
  });

  it('is refused where it is missing', () => {
    expectRejected(cloud, requestOf(body, {}), [SECRET]);
    expectRejected(cloud, requestOf(body, { 'x-hub-signature': 'sha1=00' }), [SECRET]);
  });
});

describe("Chakra's secret", () => {
  const at = (query: string) => requestOf('{}', {}, `https://media.example.com/webhooks/line${query}`);

  it('is the token of the URL', () => {
    expect(() => chakra.verify(at(`?token=${SECRET}`), NOW)).not.toThrow();
  });

  it.each(['', '?token=', '?token=wrong', `?token=${SECRET}x`, `?Token=${SECRET}`, `?token=${SECRET}&token=x`])(
    'is refused: %s',
    (query) => expectRejected(chakra, at(query), [SECRET]),
  );

  it('serves as verify token where none is configured', () => {
    const query = (token: string) =>
      new URLSearchParams({ 'hub.mode': 'subscribe', 'hub.verify_token': token, 'hub.challenge': '1158201444' });
    expect(chakra.handshake?.(query(SECRET))).toBe('1158201444');
    const other = createChakraWebhook({
      channel: { id: 'line', provider: 'chakra' },
      secret: SECRET,
      verifyToken: VERIFY_TOKEN,
    });
    expect(other.handshake?.(query(VERIFY_TOKEN))).toBe('1158201444');
    expect(thrownBy(() => other.handshake?.(query(SECRET))).code).toBe('WEBHOOK_REJECTED');
  });
});

describe("Meta's handshake", () => {
  const HANDSHAKE = { 'hub.mode': 'subscribe', 'hub.verify_token': VERIFY_TOKEN, 'hub.challenge': '1158201444' };

  it('echoes the challenge', () => {
    expect(cloud.handshake?.(new URLSearchParams(HANDSHAKE))).toBe('1158201444');
  });

  it('is not offered without a verify token', () => {
    const silent = createWhatsappWebhook({ channel: { id: 'line', provider: 'whatsapp-cloud' }, secret: SECRET });
    expect(silent.handshake).toBeUndefined();
  });

  it.each<[string, Record<string, string>]>([
    ['another mode', { ...HANDSHAKE, 'hub.mode': 'unsubscribe' }],
    ['another token', { ...HANDSHAKE, 'hub.verify_token': 'guess' }],
    ['an empty token', { ...HANDSHAKE, 'hub.verify_token': '' }],
    ['the secret as token', { ...HANDSHAKE, 'hub.verify_token': SECRET }],
    ['a challenge that is a page', { ...HANDSHAKE, 'hub.challenge': '<script>alert(1)</script>' }],
    ['a challenge with a line break', { ...HANDSHAKE, 'hub.challenge': 'a\r\nb' }],
    ['an endless challenge', { ...HANDSHAKE, 'hub.challenge': '1'.repeat(201) }],
    ['an empty challenge', { ...HANDSHAKE, 'hub.challenge': '' }],
    ['no challenge', { 'hub.mode': 'subscribe', 'hub.verify_token': VERIFY_TOKEN }],
    ['nothing', {}],
  ])('refuses %s', (_case, query) => {
    const error = thrownBy(() => cloud.handshake?.(new URLSearchParams(query)));
    expect(error.code).toBe('WEBHOOK_REJECTED');
    expectNotQuoted(error, [VERIFY_TOKEN, SECRET, 'script']);
  });

  it('refuses a parameter that came twice', () => {
    const query = new URLSearchParams(HANDSHAKE);
    query.append('hub.verify_token', VERIFY_TOKEN);
    expect(thrownBy(() => cloud.handshake?.(query)).code).toBe('WEBHOOK_REJECTED');
  });
});

describe("Meta's bodies", () => {
  const MEDIA_FIELDS = { id: '77', sha256: HASH.toString('base64') };

  it('announce a media with all that they tell, also through Chakra', () => {
    for (const receiver of [cloud, chakra]) {
      expect(parseJsonBody(receiver, bodyOf([IMAGE]))).toEqual({
        events: [
          {
            type: 'mediaAnnounced',
            providerMessageId: 'wamid.image',
            media: [
              {
                providerMessageId: 'wamid.image',
                providerMediaId: '1479537139650973',
                downloadUrl: null,
                status: 'READY',
                kind: 'IMAGE',
                mimeType: 'image/jpeg',
                sizeBytes: null,
                sha256: '89'.repeat(32),
                filename: null,
                caption: 'Taj Mahal 🕌',
                createdAt: new Date(SENT_AT * 1000),
                availableUntil: new Date(SENT_AT * 1000 + WEEK_MS),
                contact: '+628123',
                direction: 'INBOUND',
              },
            ],
          },
        ],
        faults: [],
      });
    }
  });

  it.each<[string, object, object]>([
    ['video', { mime_type: 'video/mp4' }, { kind: 'VIDEO', mimeType: 'video/mp4' }],
    [
      'audio',
      { mime_type: 'audio/ogg; codecs=opus', voice: true },
      { kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus' },
    ],
    [
      'document',
      { mime_type: 'image/png', filename: 'plan.png', caption: 'the plan' },
      { kind: 'DOCUMENT', mimeType: 'image/png', filename: 'plan.png', caption: 'the plan' },
    ],
    ['sticker', { mime_type: 'image/webp', animated: true }, { kind: 'STICKER', mimeType: 'image/webp' }],
  ])('know the kind by the type of the message: %s', (type, media, expected) => {
    const [announced] = mediaIn(parseJsonBody(cloud, bodyOf([message(type, { ...MEDIA_FIELDS, ...media })])));
    expect(announced).toMatchObject(expected);
  });

  it.each<[string, object, object]>([
    ['a hash in hex', { sha256: HASH.toString('hex').toUpperCase() }, { sha256: '89'.repeat(32) }],
    ['a hash that is none', { sha256: 'abc' }, { sha256: null }],
    ['a type that is none', { mime_type: 'jpeg' }, { mimeType: null }],
    ['a type without end', { mime_type: `image/png;${' a=b;'.repeat(100_000)}` }, { mimeType: null }],
    ['a caption with NUL and half a character', { caption: 'a\0b\ud800' }, { caption: 'ab\ufffd' }],
    ['a caption of a megabyte', { caption: 'x'.repeat(1_000_000) }, { caption: 'x'.repeat(4_096) }],
    ['values of other types', { caption: 5, filename: {}, mime_type: [] }, { caption: null, filename: null }],
  ])('take no nonsense for a fact: %s', (_case, media, expected) => {
    const { events, faults } = parseJsonBody(cloud, bodyOf([message('image', { ...MEDIA_FIELDS, ...media })]));
    expect(faults).toEqual([]);
    expect(mediaIn({ events })[0]).toMatchObject(expected);
  });

  it.each([undefined, '', 'soon', '-1', '99999999999999999999', 0, {}])('live with the timestamp %j', (timestamp) => {
    const [media] = mediaIn(parseJsonBody(cloud, bodyOf([{ ...IMAGE, timestamp }])));
    expect(media).toMatchObject({ createdAt: null, availableUntil: new Date(NOW.getTime() + WEEK_MS) });
  });

  it('may have several entries, changes and messages', () => {
    const messages = (...ids: string[]) => ids.map((id) => ({ ...IMAGE, id }));
    const body = {
      object: 'whatsapp_business_account',
      entry: [
        { id: 'A', changes: [change(messages('a', 'b')), change(messages('c'))] },
        { id: 'B', changes: [change(messages('d'))] },
      ],
    };
    expect(mediaIn(parseJsonBody(cloud, body)).map(({ providerMessageId }) => providerMessageId)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('may have a thousand media', () => {
    const messages = Array.from({ length: 1_000 }, (_, at) => ({ ...IMAGE, id: `wamid.${at}` }));
    expect(mediaIn(parseJsonBody(cloud, bodyOf(messages)))).toHaveLength(1_000);
  });

  it.each<[string, unknown]>([
    ['no object', 5],
    ['null', null],
    ['no type', { id: 'wamid.1' }],
    ['no media where the type says so', { id: 'wamid.1', type: 'image' }],
    ['no id', { ...IMAGE, id: undefined }],
    ['an id with a dot segment', { ...IMAGE, id: 'a/%2e%2e/b' }],
    ['no media id', message('image', { mime_type: 'image/png' })],
    ['a media id that leads elsewhere', message('image', { id: '../me?x=' })],
    ['a media id without end', message('image', { id: '1'.repeat(71) })],
    ['a media id that is a number', message('image', { id: 12 })],
  ])('with one bad message tell of it and hear the others: %s', (_case, bad) => {
    const parsing = parseJsonBody(cloud, bodyOf([IMAGE, bad, { ...IMAGE, id: 'wamid.after' }]));
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
    expect(mediaIn(parsing).map(({ providerMessageId }) => providerMessageId)).toEqual(['wamid.image', 'wamid.after']);
  });

  it('with one bad entry and one bad change hear the others', () => {
    const body = { object: 'whatsapp_business_account', entry: [5, { changes: ['x', change([IMAGE])] }] };
    expect(faultCodes(parseJsonBody(cloud, body))).toEqual(['PROVIDER_PROTOCOL', 'PROVIDER_PROTOCOL']);
    expect(mediaIn(parseJsonBody(cloud, body))).toHaveLength(1);
  });

  it.each<[string, unknown]>([
    ['statuses', { statuses: [{ id: 'wamid.1', status: 'delivered' }] }],
    ['a text', { messages: [{ id: 'wamid.1', type: 'text', text: { body: 'hi' } }] }],
    ['a location', { messages: [{ id: 'wamid.1', type: 'location', location: {} }] }],
    [
      'what WhatsApp does not support',
      { messages: [{ id: 'wamid.1', type: 'unsupported', errors: [{ code: 131051 }] }] },
    ],
    ['a type named like a property of every object', { messages: [{ id: 'wamid.1', type: 'constructor' }] }],
    ['no value', null],
  ])('that are not about media tell nothing: %s', (_case, value) => {
    const entry = [{ id: 'WABA', changes: [{ field: 'messages', value }] }];
    expect(parseJsonBody(cloud, { object: 'whatsapp_business_account', entry })).toEqual({ events: [], faults: [] });
  });

  it('of other fields, objects and numbers are ignored', () => {
    const nothing = { events: [], faults: [] };
    const field = { ...change([IMAGE]), field: 'account_update' };
    expect(parseJsonBody(cloud, { object: 'whatsapp_business_account', entry: [{ changes: [field] }] })).toEqual(
      nothing,
    );
    expect(parseJsonBody(cloud, { object: 'page', entry: [{ messaging: [] }] })).toEqual(nothing);
    expect(parseJsonBody(cloud, bodyOf([IMAGE], '999'))).toEqual(nothing);
    expect(mediaIn(parseJsonBody(chakra, bodyOf([IMAGE], '999')))).toHaveLength(1);
  });

  const BUSINESS = '15550783881';
  const meta = (field: string, value: object) => ({
    object: 'whatsapp_business_account',
    entry: [
      {
        id: 'WABA',
        changes: [
          {
            field,
            value: {
              messaging_product: 'whatsapp',
              metadata: { display_phone_number: BUSINESS, phone_number_id: '100200300' },
              ...value,
            },
          },
        ],
      },
    ],
  });
  const mediaOf = (body: object) => mediaIn(parseJsonBody(cloud, body));

  describe('with errors', () => {
    const tooLarge = {
      code: 131052,
      title: 'The media file is too large. The maximum file size currently accepted is 100 MB.',
    };
    const notDownloaded = {
      code: 131052,
      title: 'Media download error',
      error_data: { details: 'Failed to download the media.' },
    };
    const notSupported = {
      code: 131051,
      title: 'Message type unknown',
      error_data: { details: 'Message type is currently not supported.' },
    };
    const notUploaded = { code: '131053', message: 'Media upload error' };

    it.each<[string, object, object, object]>([
      [
        'a picture with an id',
        { ...IMAGE, errors: [notDownloaded] },
        { kind: 'IMAGE', providerMediaId: '1479537139650973', caption: 'Taj Mahal 🕌' },
        { code: 'PROVIDER_REJECTED', retryable: true },
      ],
      [
        'a picture without one',
        { ...IMAGE, image: {}, errors: [notDownloaded] },
        { kind: 'IMAGE', providerMediaId: null },
        { code: 'PROVIDER_REJECTED', retryable: false },
      ],
      [
        'a video without its object',
        { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'video', errors: [notUploaded] },
        { kind: 'VIDEO' },
        { code: 'PROVIDER_REJECTED' },
      ],
      [
        'a document that is too large',
        { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'document', errors: [tooLarge] },
        { kind: 'DOCUMENT' },
        { code: 'MEDIA_TOO_LARGE', retryable: false },
      ],
      [
        'what is unsupported and too large',
        { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'unsupported', errors: [tooLarge] },
        { kind: null },
        { code: 'MEDIA_TOO_LARGE' },
      ],
      [
        'an unsupported picture',
        {
          from: '628123',
          id: 'wamid.image',
          timestamp: String(SENT_AT),
          type: 'unsupported',
          unsupported: { type: 'image' },
          errors: [notSupported],
        },
        { kind: 'IMAGE' },
        { code: 'CONTENT_TYPE_NOT_ALLOWED', retryable: false },
      ],
      [
        'a round video',
        {
          from: '628123',
          id: 'wamid.image',
          timestamp: String(SENT_AT),
          type: 'unsupported',
          unsupported: { type: 'video_note' },
        },
        { kind: 'VIDEO' },
        { code: 'CONTENT_TYPE_NOT_ALLOWED' },
      ],
      [
        'an unknown message with a sticker in it',
        { ...IMAGE, type: 'unknown', image: undefined, sticker: { id: '5' }, errors: [notSupported] },
        { kind: 'STICKER', providerMediaId: '5' },
        { code: 'CONTENT_TYPE_NOT_ALLOWED' },
      ],
      ['errors of another shape', { ...IMAGE, errors: [5, null, {}, { code: -1, title: {} }] }, { kind: 'IMAGE' }, {}],
    ])('are one media that is FAILED: %s', (_case, message, media, fault) => {
      const { events, faults } = parseJsonBody(cloud, bodyOf([message]));
      expect(faults).toEqual([]);
      expect(mediaIn({ events })).toEqual([
        expect.objectContaining({
          providerMessageId: 'wamid.image',
          status: 'FAILED',
          contact: '+628123',
          direction: 'INBOUND',
          createdAt: new Date(SENT_AT * 1000),
          ...media,
          fault: expect.objectContaining(fault),
        }),
      ]);
      expect(JSON.stringify(events)).not.toMatch(/100 MB|Failed to download|not supported/);
    });

    it.each<[string, object]>([
      ['what is unavailable', { id: 'wamid.1', type: 'unsupported', errors: [{ code: 131060 }] }],
      ['a poll', { id: 'wamid.1', type: 'unsupported', unsupported: { type: 'poll' }, errors: [notSupported] }],
      ['a text', { id: 'wamid.1', type: 'text', text: { body: 'hi' }, errors: [notSupported] }],
      ['an empty list', { id: 'wamid.1', type: 'unknown', errors: [] }],
    ])('tell nothing where no media is meant: %s', (_case, message) => {
      expect(parseJsonBody(cloud, bodyOf([message]))).toEqual({ events: [], faults: [] });
    });
  });

  it.each<[string, object]>([
    ['smb_message_echoes', { message_echoes: [{ ...IMAGE, from: BUSINESS, to: '628123' }] }],
    ['smb_message_echoes', { smb_message_echoes: [{ ...IMAGE, from: BUSINESS, to: '+628123' }] }],
    ['smb_message_echoes', { messages: [{ ...IMAGE, from: undefined, to: '628123' }] }],
    ['messages', { messages: [{ ...IMAGE, from: BUSINESS, to: '628123' }] }],
    [
      'messages',
      {
        metadata: { display_phone_number: '+1 (555) 078-3881' },
        messages: [{ ...IMAGE, from: BUSINESS, to: '628123' }],
      },
    ],
    ['smb_message_echoes', { contacts: [{ wa_id: '628123' }], message_echoes: [{ ...IMAGE, from: BUSINESS }] }],
    [
      'history',
      {
        history: [
          {
            metadata: { phase: 0 },
            threads: [{ id: '628123', messages: [{ ...IMAGE, from: BUSINESS, history_context: { status: 'READ' } }] }],
          },
        ],
      },
    ],
    ['history', { metadata: {}, history: [{ threads: [{ id: '628123', messages: [{ ...IMAGE, from: BUSINESS }] }] }] }],
    ['history', { metadata: {}, messages: [{ ...IMAGE, from: '1999', to: '628123' }] }],
  ])('that the business sent itself are OUTBOUND: %s %j', (field, value) => {
    expect(mediaOf(meta(field, value))).toEqual([
      expect.objectContaining({
        status: 'READY',
        providerMediaId: '1479537139650973',
        direction: 'OUTBOUND',
        contact: '+628123',
      }),
    ]);
  });

  it.each<[string, object]>([
    ['history', { history: [{ threads: [{ id: '628123', messages: [{ id: 'wamid.t', type: 'text' }, IMAGE] }] }] }],
    ['history', { messages: [IMAGE] }],
    ['messages', { messages: [{ ...IMAGE, to: BUSINESS }] }],
    ['messages', { contacts: [{ wa_id: '628123' }], messages: [{ ...IMAGE, from: undefined }] }],
  ])('that the customer sent are INBOUND: %s %j', (field, value) => {
    expect(mediaOf(meta(field, value))).toEqual([
      expect.objectContaining({ direction: 'INBOUND', contact: '+628123' }),
    ]);
  });

  it("keep a user's id where there is no number", () => {
    const value = { messages: [{ ...IMAGE, from: undefined, from_user_id: 'US.13491208655302741918' }] };
    expect(mediaOf(meta('messages', value))[0]?.contact).toBe('US.13491208655302741918');
  });

  it('of a history are there for seven days from now, and placeholders for none', () => {
    const old = { ...IMAGE, timestamp: String(SENT_AT - 12 * 86_400) };
    const placeholder = { from: '628123', id: 'wamid.old', timestamp: '1739230970', type: 'media_placeholder' };
    const chunk = { history: [{ threads: [{ id: '628123', messages: [old, placeholder] }] }] };
    expect(mediaOf(meta('history', chunk))).toEqual([
      expect.objectContaining({ status: 'READY', availableUntil: new Date(NOW.getTime() + WEEK_MS) }),
      expect.objectContaining({
        providerMessageId: 'wamid.old',
        providerMediaId: null,
        status: 'FAILED',
        fault: expect.objectContaining({ code: 'MEDIA_NOT_FOUND', retryable: false }),
      }),
    ]);
  });

  it.each<[string, object]>([
    ['a business that shares none', { history: [{ errors: [{ code: 2593109 }] }] }],
    ['an empty thread', { history: [{ threads: [{ id: '628123' }] }] }],
    ['an empty history', { history: [] }],
  ])('of a history without media tell nothing: %s', (_case, value) => {
    expect(parseJsonBody(cloud, meta('history', value))).toEqual({ events: [], faults: [] });
  });

  it('of a history of another shape are faults, and the others are heard', () => {
    const threads = [5, { id: '1', messages: 'x' }, { id: '628123', messages: [IMAGE] }];
    const parsing = parseJsonBody(cloud, meta('history', { history: ['x', { threads }, { threads: {} }] }));
    expect(mediaIn(parsing)).toHaveLength(1);
    expect(new Set(faultCodes(parsing))).toEqual(new Set(['PROVIDER_PROTOCOL']));
  });

  it.each<[string, object | undefined, string | null]>([
    ['a caption', { type: 'image', image: { id: '1', caption: 'right' } }, 'right'],
    ['no caption any more', { type: 'video', video: { id: '1' } }, null],
    ['an empty caption', { type: 'document', document: { caption: '' } }, null],
    ['a text', { context: { id: 'M0' }, type: 'text', text: { body: 'right' } }, 'right'],
    ['a long one', { type: 'image', image: { caption: 'x'.repeat(10_000) } }, 'x'.repeat(4_096)],
  ])('that edit tell the new caption: %s', (_case, content, caption) => {
    const edit = {
      from: '628123',
      id: 'wamid.edit',
      timestamp: String(SENT_AT),
      type: 'edit',
      edit: { original_message_id: 'wamid.image', message: content },
    };
    const expected = { events: [{ type: 'captionEdited', providerMessageId: 'wamid.image', caption }], faults: [] };
    expect(parseJsonBody(cloud, meta('messages', { messages: [edit] }))).toEqual(expected);
    expect(parseJsonBody(cloud, meta('smb_message_echoes', { message_echoes: [edit] }))).toEqual(expected);
  });

  it('that revoke tell of it, and when', () => {
    const revoke = {
      from: '628123',
      id: 'wamid.revoke',
      timestamp: String(SENT_AT),
      type: 'revoke',
      revoke: { original_message_id: 'wamid.image' },
    };
    const event = { type: 'messageRevoked', providerMessageId: 'wamid.image', revokedAt: new Date(SENT_AT * 1000) };
    for (const [field, name] of [
      ['messages', 'messages'],
      ['smb_message_echoes', 'message_echoes'],
    ] as const)
      expect(parseJsonBody(chakra, meta(field, { [name]: [revoke] }))).toEqual({ events: [event], faults: [] });
    expect(parseJsonBody(cloud, meta('messages', { messages: [{ ...revoke, timestamp: 'now' }] })).events).toEqual([
      { ...event, revokedAt: null },
    ]);
  });

  it.each<[string, object, number]>([
    ['an edit of nothing', { type: 'edit' }, 0],
    ['an edit without content', { type: 'edit', edit: { original_message_id: 'M1' } }, 0],
    [
      'an edit of a place',
      { type: 'edit', edit: { original_message_id: 'M1', message: { type: 'location', location: {} } } },
      0,
    ],
    ['a revocation of nothing', { type: 'revoke', revoke: {} }, 0],
    ['a revocation of a list', { type: 'revoke', revoke: [] }, 0],
    ['a hostile original', { type: 'revoke', revoke: { original_message_id: '../x' } }, 1],
    [
      'a hostile original of an edit',
      { type: 'edit', edit: { original_message_id: 'a\nb', message: { type: 'text', text: { body: 'x' } } } },
      1,
    ],
  ])('that change messages have no effect where they do not say which: %s', (_case, message, faults) => {
    const parsing = parseJsonBody(cloud, meta('messages', { messages: [{ id: 'M2', ...message }] }));
    expect([parsing.events, parsing.faults.length]).toEqual([[], faults]);
  });

  it.each([true, false, undefined, 'yes'])('know a voice note where they tell of it: %j', (voice) => {
    const [media] = mediaOf(bodyOf([message('audio', { ...MEDIA_FIELDS, mime_type: 'audio/ogg', voice })]));
    expect(media?.voice).toBe(typeof voice === 'boolean' ? voice : undefined);
  });

  it.each(BROKEN_JSON)('are refused: %s', (_case, rawBody, contentType) => {
    for (const receiver of [cloud, chakra]) {
      const error = thrownBy(() => receiver.parse(rawBody, contentType, NOW));
      expect(error.code).toBe('PROVIDER_PROTOCOL');
      expectNotQuoted(error, ['secret-words']);
    }
  });

  it('have no delivery id', () => {
    expect(cloud.deliveryId(requestOf('', { 'x-request-id': 'a' }))).toBeNull();
    expect(chakra.deliveryId(requestOf('', { 'x-request-id': 'a' }))).toBeNull();
  });
});
