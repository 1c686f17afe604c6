import { createHmac } from 'node:crypto';
import { createKirimWebhook } from '../../../../src/providers/kirim/webhook.js';
import {
  BROKEN_JSON,
  collectItems,
  expectNotQuoted,
  expectRejected,
  faultCodes,
  JSON_TYPE,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
  UNIX_NOW,
} from '../../webhook-requests.js';

const SECRET = 'whsec_one';
const receiver = createKirimWebhook({
  channel: { id: 'line', provider: 'kirim' },
  secret: SECRET,
  signatureHeader: 'X-Kirim-Signature',
});

const BODY = '{"id":"wbd_1","event":"message.received","data":{"message":{"id":"msg_01HX","type":"text"}}}';

function v1(time: number | string, body = BODY, secret = SECRET): string {
  return createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
}

function signed(header: string, body = BODY) {
  return requestOf(body, { 'x-kirim-signature': header });
}

function metaBody(messages: unknown[], kirim?: unknown, number = '100200300') {
  const value = { metadata: { phone_number_id: number }, messages };
  const entry = [{ id: 'WABA', changes: [{ field: 'messages', value }] }];
  return { object: 'whatsapp_business_account', ...(kirim !== undefined && { kirim }), entry };
}

const IMAGE = {
  from: '628123',
  id: 'wamid.HBgL',
  timestamp: '1763726400',
  type: 'image',
  image: { id: '123', mime_type: 'image/jpeg', sha256: Buffer.alloc(32, 7).toString('base64'), caption: 'Nasi goreng' },
};

describe("Kirim's signature", () => {
  it.each([
    ['as documented', `t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`],
    ['with spaces and upper-case hex', `t=${UNIX_NOW}, v1=${v1(UNIX_NOW).toUpperCase()}`],
    ['the second of a rotation', `t=${UNIX_NOW},v1=${v1(UNIX_NOW, BODY, 'whsec_new')},v1=${v1(UNIX_NOW)}`],
    ['the first of a rotation', `t=${UNIX_NOW},v1=${v1(UNIX_NOW)},v1=${v1(UNIX_NOW, BODY, 'whsec_new')}`],
    ['beside a scheme of tomorrow', `t=${UNIX_NOW},v2=abc,v1=${v1(UNIX_NOW)}`],
    ['300 seconds old', `t=${UNIX_NOW - 300},v1=${v1(UNIX_NOW - 300)}`],
    ['300 seconds ahead', `t=${UNIX_NOW + 300},v1=${v1(UNIX_NOW + 300)}`],
  ])('is accepted %s', (_case, header) => {
    expect(() => receiver.verify(signed(header), NOW)).not.toThrow();
  });

  it('is read from the configured header', () => {
    const other = createKirimWebhook({
      channel: { id: 'line', provider: 'kirim' },
      secret: SECRET,
      signatureHeader: 'X-Kirim-Signature-256',
    });
    const header = `t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`;
    expect(() => other.verify(requestOf(BODY, { 'x-kirim-signature-256': header }), NOW)).not.toThrow();
    expectRejected(other, signed(header), [SECRET]);
  });

  it.each([
    ['301 seconds old', `t=${UNIX_NOW - 301},v1=${v1(UNIX_NOW - 301)}`],
    ['301 seconds ahead', `t=${UNIX_NOW + 301},v1=${v1(UNIX_NOW + 301)}`],
    ['with another secret', `t=${UNIX_NOW},v1=${v1(UNIX_NOW, BODY, 'forged')}`],
    ['for another time', `t=${UNIX_NOW},v1=${v1(UNIX_NOW - 1)}`],
    ['of the body without the time', `t=${UNIX_NOW},v1=${createHmac('sha256', SECRET).update(BODY).digest('hex')}`],
    ['without a time', `v1=${v1(UNIX_NOW)}`],
    ['with two times', `t=${UNIX_NOW},t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`],
    ['sent twice', `t=${UNIX_NOW},v1=${v1(UNIX_NOW)}, t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`],
    ['with a time that is no number', `t=now,v1=${v1('now')}`],
    ['with a time in hex', `t=0x1,v1=${v1('0x1')}`],
    ['without a digest', `t=${UNIX_NOW}`],
    ['with an empty digest', `t=${UNIX_NOW},v1=`],
    ['with half a digest', `t=${UNIX_NOW},v1=${v1(UNIX_NOW).slice(0, 32)}`],
    ['in Base64', `t=${UNIX_NOW},v1=${Buffer.from(v1(UNIX_NOW), 'hex').toString('base64')}`],
    ['of version 0', `t=${UNIX_NOW},v0=${v1(UNIX_NOW)}`],
    ['that is nonsense', '\0,,==,'],
    ['that is empty', ''],
    ['of sixteen thousand spaces', `t=${' '.repeat(16_000)}x`],
  ])('is refused %s', (_case, header) => {
    expectRejected(receiver, signed(header), [SECRET, v1(UNIX_NOW), 'msg_01HX']);
  });

  it('is refused where it is missing or came as a list', () => {
    expectRejected(receiver, requestOf(BODY, {}), [SECRET]);
    const header = `t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`;
    expectRejected(receiver, requestOf(BODY, { 'x-kirim-signature': [header, header] }), [SECRET]);
  });

  it.each([
    ['cut short', BODY.slice(0, -1)],
    ['with one byte changed', BODY.replace('01HX', '01HY')],
    ['with the same JSON in other bytes', JSON.stringify(JSON.parse(BODY), null, 1)],
    ['with escapes for letters', BODY.replace('msg', '\\u006dsg')],
    ['emptied', ''],
  ])('does not match a body %s', (_case, body) => {
    expectRejected(receiver, signed(`t=${UNIX_NOW},v1=${v1(UNIX_NOW)}`, body), [SECRET]);
  });
});

describe("Kirim's deliveries", () => {
  it('are named by the delivery id, never by the event id', () => {
    const named = requestOf(BODY, { 'x-kirim-delivery-id': 'wbd_1', 'x-kirim-event-id': 'wamid.x' });
    expect(receiver.deliveryId(named)).toBe('wbd_1');
    expect(receiver.deliveryId(requestOf(BODY, { 'x-kirim-event-id': 'wamid.x' }))).toBeNull();
  });

  it.each(['', ' ', 'a b', 'é', 'x'.repeat(201), 'wbd_1, wbd_2'])('are not named by %j', (id) => {
    expect(receiver.deliveryId(requestOf(BODY, { 'x-kirim-delivery-id': id }))).toBeNull();
  });
});

describe("Kirim's bodies", () => {
  const announced = {
    providerMessageId: 'wamid.HBgL',
    providerMediaId: null,
    downloadUrl: null,
    status: 'READY',
    kind: 'IMAGE',
    mimeType: 'image/jpeg',
    sizeBytes: null,
    sha256: '07'.repeat(32),
    filename: null,
    caption: 'Nasi goreng',
    createdAt: new Date(1763726400_000),
    availableUntil: null,
    contact: '+628123',
    direction: 'INBOUND',
  };

  it.each<[string, unknown, object]>([
    ["Meta's body as it is", undefined, {}],
    ['pending', { media_status: 'pending' }, { status: 'PENDING' }],
    [
      'pending, with an address that cannot be true yet',
      { media_status: 'pending', media_url: 'https://media.kirimdev.com/a' },
      { status: 'PENDING' },
    ],
    [
      'ready',
      { media_status: 'ready', media_url: 'https://media.kirimdev.com/a?x=1' },
      { downloadUrl: 'https://media.kirimdev.com/a?x=1' },
    ],
    ['ready without an address', { media_status: 'ready' }, {}],
    ['ready at no address', { media_status: 'ready', media_url: 'file:///etc/passwd' }, {}],
    ['ready with credentials', { media_status: 'ready', media_url: 'https://a:b@media.kirimdev.com/' }, {}],
    ['unavailable', { media_status: 'unavailable', media_url: null }, {}],
    ['an enrichment of another shape', 'ready', {}],
    ['an enrichment that is null', null, {}],
  ])('announce the media: %s', (_case, kirim, difference) => {
    const parsing = parseJsonBody(receiver, metaBody([IMAGE], kirim));
    expect(parsing).toEqual({
      events: [{ type: 'mediaAnnounced', providerMessageId: 'wamid.HBgL', media: [{ ...announced, ...difference }] }],
      faults: [],
    });
  });

  it('with two messages assign the address to neither', () => {
    const kirim = { media_status: 'ready', media_url: 'https://media.kirimdev.com/a' };
    const media = mediaIn(parseJsonBody(receiver, metaBody([IMAGE, { ...IMAGE, id: 'wamid.2' }], kirim)));
    expect(media.map(({ downloadUrl }) => downloadUrl)).toEqual([null, null]);
  });

  it('of another number are ignored when the channel has one', () => {
    const own = createKirimWebhook({
      channel: { id: 'line', provider: 'kirim' },
      secret: SECRET,
      signatureHeader: 'X-Kirim-Signature',
      phoneNumberId: '100200300',
    });
    expect(mediaIn(parseJsonBody(own, metaBody([IMAGE])))).toHaveLength(1);
    expect(parseJsonBody(own, metaBody([IMAGE], undefined, '999999'))).toEqual({ events: [], faults: [] });
  });

  it('in the envelope announce the media', () => {
    const message = {
      id: 'msg_01HX',
      type: 'document',
      media_url: 'https://media.kirimdev.com/b.pdf',
      mime_type: 'application/pdf',
      filename: 'Faktur.pdf',
      caption: '',
      created_at: '2026-11-21T11:59:58Z',
      from: '628123',
      to: '15550783881',
    };
    const parsing = parseJsonBody(receiver, { id: 'wbd_1', event: 'message.received', data: { message } });
    expect(mediaIn(parsing)).toEqual([
      {
        ...announced,
        providerMessageId: 'msg_01HX',
        downloadUrl: 'https://media.kirimdev.com/b.pdf',
        kind: 'DOCUMENT',
        mimeType: 'application/pdf',
        sha256: null,
        filename: 'Faktur.pdf',
        caption: null,
        createdAt: new Date('2026-11-21T11:59:58Z'),
      },
    ]);
  });

  it.each<[string, object, object]>([
    ['a voice note', { type: 'voice' }, { kind: 'AUDIO', voice: true }],
    ['a sound that says that it is none', { type: 'audio', voice: false }, { kind: 'AUDIO', voice: false }],
    [
      'sent',
      { type: 'image', direction: 'outbound', from: '15550783881', to: '+628123' },
      { direction: 'OUTBOUND', contact: '+628123' },
    ],
    ['from a user without a number', { type: 'image', from: 'ID.12345' }, { contact: 'ID.12345' }],
  ])('in the envelope contain sender and voice: %s', (_case, overrides, expected) => {
    const message = { id: 'msg_01HX', ...overrides };
    const [media] = mediaIn(parseJsonBody(receiver, { event: 'message.received', data: { message } }));
    expect(media).toMatchObject(expected);
  });

  it("support what Meta's own body has: echoes, history, edits, revocations, errors", () => {
    const kirim = { media_status: 'ready', media_url: 'https://media.kirimdev.com/a' };
    const messages = [
      {
        id: 'M1',
        type: 'edit',
        edit: { original_message_id: 'M0', message: { type: 'image', image: { caption: 'x' } } },
      },
      { id: 'M2', type: 'revoke', timestamp: '1763726400', revoke: { original_message_id: 'M0' } },
      { ...IMAGE, image: undefined, errors: [{ code: 131052 }] },
    ];
    expect(parseJsonBody(receiver, metaBody(messages)).events.map(({ type }) => type)).toEqual([
      'captionEdited',
      'messageRevoked',
      'mediaAnnounced',
    ]);
    expect(mediaIn(parseJsonBody(receiver, metaBody(messages)))[0]).toMatchObject({
      status: 'FAILED',
      availableUntil: null,
    });
    const value = { metadata: {}, message_echoes: [{ ...IMAGE, from: '1', to: '628123' }] };
    const echo = {
      object: 'whatsapp_business_account',
      kirim,
      entry: [{ changes: [{ field: 'smb_message_echoes', value }] }],
    };
    expect(mediaIn(parseJsonBody(receiver, echo))).toEqual([
      { ...announced, direction: 'OUTBOUND', downloadUrl: 'https://media.kirimdev.com/a' },
    ]);
  });

  it('in the envelope without an address announce media that is fetched by REST', () => {
    const message = { id: 'msg_01HX', type: 'image', media_url: null };
    const [media] = mediaIn(parseJsonBody(receiver, { event: 'message.received', data: { message } }));
    expect(media).toMatchObject({ kind: 'IMAGE', downloadUrl: null, status: 'READY' });
  });

  it.each<[string, unknown]>([
    ['a text in the envelope', JSON.parse(BODY)],
    ['a status in the envelope', { id: 'wbd_1', event: 'message.status_updated', data: { message: null } }],
    ['an event of its own', { id: 'evt_1', type: 'contact.created', created_at: 'x', livemode: true, data: {} }],
    ["a status in Meta's body", metaBody([])],
    ["a text in Meta's body", metaBody([{ id: 'wamid.1', type: 'text', text: { body: 'hi' } }])],
  ])('that are not about media have no events: %s', (_case, body) => {
    expect(parseJsonBody(receiver, body)).toEqual({ events: [], faults: [] });
  });

  it.each(['', '..', 'a/../b', '%2e%2e', 'a\nb', 'x'.repeat(300), '\ud800'])('with the id %j are faults', (id) => {
    expect(faultCodes(parseJsonBody(receiver, metaBody([{ ...IMAGE, id }, IMAGE])))).toEqual(['PROVIDER_PROTOCOL']);
    expect(mediaIn(parseJsonBody(receiver, metaBody([{ ...IMAGE, id }, IMAGE])))).toHaveLength(1);
    const envelope = { event: 'message.received', data: { message: { id, type: 'image' } } };
    expect(thrownBy(() => parseJsonBody(receiver, envelope)).code).toBe('PROVIDER_PROTOCOL');
  });

  it.each(BROKEN_JSON)('are refused: %s', (_case, rawBody, contentType) => {
    const error = thrownBy(() => receiver.parse(rawBody, contentType, NOW));
    expect(error.code).toBe('PROVIDER_PROTOCOL');
    expectNotQuoted(error, ['secret-words']);
  });

  it('may declare their charset', () => {
    expect(collectItems(receiver.parse(Buffer.from(BODY), `${JSON_TYPE}; charset=utf-8`, NOW)).events).toEqual([]);
  });
});
