import { createGupshupWebhook } from '../../../../src/providers/gupshup/webhook.js';
import {
  BROKEN_JSON,
  collectItems,
  expectNotQuoted,
  expectRejected,
  FORM_TYPE,
  faultCodes,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
  WEEK_MS,
} from '../../webhook-requests.js';

const SECRET = 'static-secret';
const receiver = createGupshupWebhook({
  channel: { id: 'line', provider: 'gupshup' },
  headerName: 'X-Webhook-Token',
  secret: SECRET,
  appId: 'app-1',
});

const SENT_AT = 1718003620228;
const URL_OF_FILE = 'https://filemanager.gupshup.io/wa/app-1/wa/media/123?download=false';

function version2(type: string, payload: object, overrides: object = {}) {
  return {
    app: 'demo',
    timestamp: SENT_AT,
    version: 2,
    type: 'message',
    payload: { id: 'ABEGkYaYVSEEAhAL', source: '918600', type, payload, sender: { phone: '918600' }, ...overrides },
  };
}

const PICTURE = { url: URL_OF_FILE, contentType: 'image/jpeg', urlExpiry: 1718608420228, caption: 'hi' };

describe("Gupshup's header", () => {
  it('is accepted', () => {
    expect(() => receiver.verify(requestOf('{}', { 'x-webhook-token': SECRET }), NOW)).not.toThrow();
  });

  it.each([undefined, '', 'wrong', `${SECRET} `, SECRET.toUpperCase(), `${SECRET}, ${SECRET}`])(
    'is refused: %j',
    (header) => expectRejected(receiver, requestOf('{}', { 'x-webhook-token': header }), [SECRET]),
  );
});

describe("Gupshup's version 2", () => {
  const announced = {
    providerMessageId: 'ABEGkYaYVSEEAhAL',
    providerMediaId: null,
    downloadUrl: URL_OF_FILE,
    status: 'READY',
    kind: 'IMAGE',
    mimeType: 'image/jpeg',
    sizeBytes: null,
    sha256: null,
    filename: null,
    caption: 'hi',
    createdAt: new Date(SENT_AT),
    availableUntil: new Date(1718608420228),
    contact: '+918600',
    direction: 'INBOUND',
  };

  it.each<[string, string, object, object]>([
    ['a picture', 'image', PICTURE, {}],
    [
      'a voice message',
      'audio',
      { ...PICTURE, contentType: 'audio/ogg; codecs=opus' },
      { kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus' },
    ],
    ['a video', 'video', { ...PICTURE, contentType: 'video/mp4' }, { kind: 'VIDEO', mimeType: 'video/mp4' }],
    ['a sticker', 'sticker', { ...PICTURE, contentType: 'image/webp' }, { kind: 'STICKER', mimeType: 'image/webp' }],
    [
      'a picture sent as a document',
      'file',
      { ...PICTURE, contentType: 'image/png', name: 'plan.png' },
      { kind: 'DOCUMENT', mimeType: 'image/png', filename: 'plan.png' },
    ],
    [
      "the table's spelling",
      'image',
      { ...PICTURE, contentType: undefined, 'content-type': 'image/png' },
      { mimeType: 'image/png' },
    ],
    ['no expiry', 'image', { ...PICTURE, urlExpiry: undefined }, { availableUntil: new Date(SENT_AT + WEEK_MS) }],
    [
      'a name that is not ASCII in the address',
      'image',
      { ...PICTURE, url: `${URL_OF_FILE}&fileName=Fotó 1.jpg` },
      { downloadUrl: `${URL_OF_FILE}&fileName=Fot%C3%B3%201.jpg` },
    ],
  ])('announces %s', (_case, type, payload, difference) => {
    expect(parseJsonBody(receiver, version2(type, payload))).toEqual({
      events: [
        { type: 'mediaAnnounced', providerMessageId: 'ABEGkYaYVSEEAhAL', media: [{ ...announced, ...difference }] },
      ],
      faults: [],
    });
  });

  it.each<[string, unknown]>([
    ['a text', version2('text', { text: 'hi' })],
    ['a location', version2('location', { longitude: '1' })],
    ['sandbox-start', { app: 'demo', type: 'user-event', payload: { phone: 'x', type: 'sandbox-start' } }],
    ['a status', { app: 'demo', type: 'message-event', payload: { id: 'x', type: 'delivered' } }],
  ])('has no events when it is not about media: %s', (_case, body) => {
    expect(parseJsonBody(receiver, body)).toEqual({ events: [], faults: [] });
  });

  it.each<[string, unknown]>([
    ['no address', version2('image', { ...PICTURE, url: undefined })],
    ['an address that is none', version2('image', { ...PICTURE, url: 'javascript:alert(1)' })],
    ['an address with credentials', version2('image', { ...PICTURE, url: 'https://a:b@filemanager.gupshup.io/' })],
    ['an address without end', version2('image', { ...PICTURE, url: `${URL_OF_FILE}${'x'.repeat(5_000)}` })],
    ['an address with a line break', version2('image', { ...PICTURE, url: `${URL_OF_FILE}\r\nX: y` })],
    ['no id', version2('image', PICTURE, { id: undefined })],
    ['a hostile id', version2('image', PICTURE, { id: '../x' })],
    ['no media', version2('image', PICTURE, { payload: null })],
    ['no message', { app: 'demo', type: 'message' }],
  ])('is refused with %s', (_case, body) => {
    expect(thrownBy(() => parseJsonBody(receiver, body)).code).toBe('PROVIDER_PROTOCOL');
  });
});

describe("Gupshup's version 3", () => {
  const message = (id: string, media: object = {}) => ({
    id,
    from: '918600',
    timestamp: '1718003620',
    type: 'image',
    image: {
      id: '456',
      url: URL_OF_FILE,
      mime_type: 'image/jpeg',
      sha256: Buffer.alloc(32, 1).toString('base64'),
      ...media,
    },
  });
  const body = (messages: unknown[], app = 'app-1') => ({
    object: 'whatsapp_business_account',
    gs_app_id: app,
    entry: [{ id: 'W', changes: [{ field: 'messages', value: { metadata: {}, messages } }] }],
  });

  it("is Meta's body with working addresses", () => {
    expect(mediaIn(parseJsonBody(receiver, body([message('wamid.1')])))).toEqual([
      {
        providerMessageId: 'wamid.1',
        providerMediaId: '456',
        downloadUrl: URL_OF_FILE,
        status: 'READY',
        kind: 'IMAGE',
        mimeType: 'image/jpeg',
        sizeBytes: null,
        sha256: '01'.repeat(32),
        filename: null,
        caption: null,
        createdAt: new Date(1718003620_000),
        availableUntil: new Date(1718003620_000 + WEEK_MS),
        contact: '+918600',
        direction: 'INBOUND',
      },
    ]);
  });

  it('treats a media without an address as a fault and accepts the others', () => {
    const parsing = parseJsonBody(receiver, body([message('wamid.1', { url: null }), message('wamid.2')]));
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
    expect(mediaIn(parsing).map(({ providerMessageId }) => providerMessageId)).toEqual(['wamid.2']);
  });

  it('may have a thousand media', () => {
    const messages = Array.from({ length: 1_000 }, (_, at) => message(`wamid.${at}`));
    expect(mediaIn(parseJsonBody(receiver, body(messages)))).toHaveLength(1_000);
  });

  it("supports what Meta's own body has: echoes, edits, revocations, errors", () => {
    const change = (field: string, value: object) => ({
      object: 'whatsapp_business_account',
      gs_app_id: 'app-1',
      entry: [{ changes: [{ field, value }] }],
    });
    const echo = change('smb_message_echoes', { message_echoes: [{ ...message('wamid.1'), from: '1', to: '918600' }] });
    expect(mediaIn(parseJsonBody(receiver, echo))[0]).toMatchObject({
      direction: 'OUTBOUND',
      contact: '+918600',
      downloadUrl: URL_OF_FILE,
    });
    const messages = [
      { id: 'M1', type: 'edit', edit: { original_message_id: 'M0', message: { type: 'text', text: { body: 'x' } } } },
      { id: 'M2', type: 'revoke', revoke: { original_message_id: 'M0' } },
      { id: 'M3', type: 'video', errors: [{ code: 131052, title: 'The media file is too large' }] },
    ];
    const parsing = parseJsonBody(receiver, change('messages', { messages }));
    expect(parsing.events.map(({ type }) => type)).toEqual(['captionEdited', 'messageRevoked', 'mediaAnnounced']);
    expect(mediaIn(parsing)[0]).toMatchObject({
      status: 'FAILED',
      downloadUrl: null,
      fault: { code: 'MEDIA_TOO_LARGE' },
    });
  });

  it('of another app is a fault', () => {
    const parsing = parseJsonBody(receiver, body([message('wamid.1')], 'app-2'));
    expect(parsing.events).toEqual([]);
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
  });
});

describe("Gupshup's version 1", () => {
  const messageobj = {
    from: '918600',
    id: 'ABEG1',
    type: 'image',
    url: URL_OF_FILE,
    mediaId: 'm-1',
    timestamp: String(SENT_AT),
  };
  const expected = {
    providerMessageId: 'ABEG1',
    providerMediaId: 'm-1',
    downloadUrl: URL_OF_FILE,
    kind: 'IMAGE',
    createdAt: new Date(SENT_AT),
    availableUntil: new Date(SENT_AT + WEEK_MS),
    contact: '+918600',
    direction: 'INBOUND',
  };

  it('is JSON, or JSON in a form', () => {
    const form = new URLSearchParams({ botname: 'demo', messageobj: JSON.stringify(messageobj) }).toString();
    const parsings = [
      parseJsonBody(receiver, { botname: 'demo', messageobj }),
      parseJsonBody(receiver, { botname: 'demo', messageobj: JSON.stringify(messageobj) }),
      collectItems(receiver.parse(Buffer.from(form), `${FORM_TYPE}; charset=UTF-8`, NOW)),
    ];
    for (const parsing of parsings) expect(mediaIn(parsing)).toEqual([expect.objectContaining(expected)]);
  });

  it('has no events for a text', () => {
    const text = { ...messageobj, type: 'text', text: 'hi', url: undefined };
    expect(parseJsonBody(receiver, { botname: 'demo', messageobj: text })).toEqual({ events: [], faults: [] });
  });

  it.each([
    '',
    'botname=demo',
    'messageobj=',
    'messageobj=%7B%22type',
    'messageobj={}&messageobj={}',
    'messageobj=%7B%22type%22%3A%22image%22%2C%22id%22%3A%22..%22%7D',
  ])('is refused: %s', (form) => {
    expect(thrownBy(() => receiver.parse(Buffer.from(form), FORM_TYPE, NOW)).code).toBe('PROVIDER_PROTOCOL');
  });
});

describe("Gupshup's bodies", () => {
  it.each(BROKEN_JSON)('are refused: %s', (_case, rawBody, contentType) => {
    const error = thrownBy(() => receiver.parse(rawBody, contentType, NOW));
    expect(error.code).toBe('PROVIDER_PROTOCOL');
    expectNotQuoted(error, ['secret-words']);
  });

  it('have no delivery id', () => expect(receiver.deliveryId(requestOf('', {}))).toBeNull());
});
