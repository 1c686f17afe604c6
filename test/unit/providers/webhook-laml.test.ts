import { createHash, createHmac } from 'node:crypto';
import { createLamlWebhook, type LamlWebhookOptions } from '../../../src/providers/laml/webhook.js';
import {
  BROKEN_JSON,
  collectItems,
  expectNotQuoted,
  expectRejected,
  FORM_TYPE,
  faultCodes,
  JSON_TYPE,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
} from '../webhook-requests.js';

const KEY = 'signing-key';
const URL_CALLED = 'https://media.example.com/webhooks/line';
const TWILIO: LamlWebhookOptions = {
  channel: { id: 'line', provider: 'twilio' },
  secret: KEY,
  accountSid: 'AC00000000000000000000000000000001',
  baseUrl: 'https://api.twilio.com/2010-04-01',
};
const SIGNALWIRE: LamlWebhookOptions = {
  channel: { id: 'line', provider: 'signalwire' },
  secret: KEY,
  accountSid: 'b08dacad-6c0e-4f0f-a3f8-4c2b7f0d9f11',
  baseUrl: 'https://example.signalwire.com/api/laml/2010-04-01',
};
const twilio = createLamlWebhook(TWILIO);
const signalwire = createLamlWebhook(SIGNALWIRE);

const MESSAGE = 'MM00000000000000000000000000000002';
const MEDIA = 'ME00000000000000000000000000000003';

function mediaUrl(media = MEDIA, message = MESSAGE, account = TWILIO.accountSid): string {
  return `${TWILIO.baseUrl}/Accounts/${account}/Messages/${message}/Media/${media}`;
}

function base64(text: string, key = KEY): string {
  return createHmac('sha1', key).update(text).digest('base64');
}

function hex(text: string, key = KEY): string {
  return createHmac('sha1', key).update(text).digest('hex');
}

/** Signs single-valued fields, sorted by name, as the documentation describes. */
function signForm(url: string, fields: Record<string, string>, key = KEY): string {
  const sorted = Object.keys(fields).sort();
  return base64(url + sorted.map((name) => `${name}${fields[name]}`).join(''), key);
}

function formOf(fields: Record<string, string>): string {
  return new URLSearchParams(fields).toString();
}

const FIELDS = {
  MessageSid: MESSAGE,
  AccountSid: TWILIO.accountSid,
  From: '+14158675309',
  To: '+18005551212',
  Body: 'look & see = é 🙂',
  NumMedia: '1',
  MediaUrl0: mediaUrl(),
  MediaContentType0: 'image/jpeg',
};

function formRequest(body: string, signature: string | undefined, url = URL_CALLED, header = 'x-twilio-signature') {
  return requestOf(body, { 'content-type': FORM_TYPE, [header]: signature }, url);
}

describe('a LaML form', () => {
  const body = formOf(FIELDS);
  const signature = signForm(URL_CALLED, FIELDS);

  it.each([
    // twilio.com/docs/usage/security, and the tests of Twilio's own libraries.
    [
      'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
      'RSOYDt4T1cUTdK1PDd93/VVr8B8=',
    ],
    ['Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234', 'IK+Dwps556ElfBT0I3Rgjkr1wJU='],
  ])("is accepted with Twilio's published signature: %s", (published, expected) => {
    const receiver = createLamlWebhook({ ...TWILIO, secret: '12345' });
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
    expect(() => receiver.verify(formRequest(published, expected, url), NOW)).not.toThrow();
  });

  it('is accepted from both providers, under the names of each', () => {
    expect(() => twilio.verify(formRequest(body, signature), NOW)).not.toThrow();
    expect(() => signalwire.verify(formRequest(body, signature), NOW)).not.toThrow();
    const named = formRequest(body, signature, URL_CALLED, 'x-signalwire-signature');
    expect(() => signalwire.verify(named, NOW)).not.toThrow();
    expectRejected(twilio, named, [KEY, signature]);
  });

  it('is accepted with values that came several times, each in its order', () => {
    const repeated = 'B=2&A=x&B=1&B=2';
    expect(() => signalwire.verify(formRequest(repeated, base64(`${URL_CALLED}AxB2B1B2`)), NOW)).not.toThrow();
    expectRejected(signalwire, formRequest(repeated, base64(`${URL_CALLED}AxB1`)), [KEY]);
  });

  it.each([
    ['with the default port', 'https://media.example.com:443/webhooks/line', undefined],
    ['without it', 'https://media.example.com/webhooks/line', 'https://media.example.com:443/webhooks/line'],
    ['without another port', 'https://media.example.com/webhooks/line', 'https://media.example.com:8443/webhooks/line'],
    [
      'to the configured letter',
      'https://Media.Example.com/webhooks/line/',
      'https://Media.Example.com/webhooks/line/',
    ],
    ['with a configured query', 'https://m.example.com/?a=b&c', 'https://m.example.com/?a=b&c'],
  ])('is accepted where the URL is signed %s', (_case, signedUrl, configuredUrl) => {
    const receiver = createLamlWebhook({ ...TWILIO, ...(configuredUrl !== undefined && { configuredUrl }) });
    expect(() => receiver.verify(formRequest(body, signForm(signedUrl, FIELDS)), NOW)).not.toThrow();
  });

  it.each<[string, string, string]>([
    ['an apostrophe, as it is', "?name=O'Neil", "?name=O'Neil"],
    ['an apostrophe that a proxy escaped', "?name=O'Neil", '?name=O%27Neil'],
    ['an apostrophe that a proxy unescaped', '?name=O%27Neil', "?name=O'Neil"],
    ['each of the characters that need no escape', "?q=(a)!*'", '?q=%28a%29%21%2A%27'],
    ['the same the other way round', '?q=%28a%29%21%2A%27', "?q=(a)!*'"],
    ['some of them escaped, some not', "?q=%28a)!%2A'", "?q=(a%29!*'"],
    ['escapes in lower case', '?q=%c3%a9%2f%7c', '?q=%C3%A9%2F%7C'],
    ['escapes in upper case', '?q=%C3%A9%2F%7C', '?q=%c3%a9%2f%7c'],
    ['a bar', '?q=a|b', '?q=a%7Cb'],
    ['a bar that was escaped', '?q=a%7Cb', '?q=a|b'],
    ['brackets', '?q[]=a&q[b]={c}', '?q%5B%5D=a&q%5Bb%5D=%7Bc%7D'],
    ['a tilde', '?q=%7Eme', '?q=~me'],
    ['letters beyond ASCII', '?q=é', '?q=%C3%A9'],
    ['letters beyond ASCII, as they are', '?q=é', '?q=é'],
    ['a space', '?q=a%20b', '?q=a+b'],
    ['a query that was put together anew', "?to=a/b:c@d,e;f$'", '?to=a%2Fb%3Ac%40d%2Ce%3Bf%24%27'],
    ['eight apostrophes', `?q=${"'".repeat(8)}`, `?q=${'%27'.repeat(8)}`],
    ['a parameter without a value', '?a&b=&c', '?a&b=&c'],
    ['no query after a question mark', '?', '?'],
  ])('is accepted where the address has %s', (_case, signed, called) => {
    const request = formRequest(body, signForm(URL_CALLED + signed, FIELDS), URL_CALLED + called);
    expect(() => twilio.verify(request, NOW)).not.toThrow();
    expect(() => signalwire.verify(request, NOW)).not.toThrow();
    const configured = createLamlWebhook({ ...TWILIO, configuredUrl: URL_CALLED + called });
    const elsewhere = formRequest(body, signForm(URL_CALLED + signed, FIELDS), 'http://10.0.0.1:4000/x');
    expect(() => configured.verify(elsewhere, NOW)).not.toThrow();
  });

  it.each<[string, string]>([
    ["?name=O'Neil", '?name=O"Neil'],
    ["?name=O'Neil", '?name=O%2527Neil'],
    ["?name=O'Neil", "?name=O'Neil&x=1"],
    ["?name=O'Neil", '?NAME=O%27Neil'],
    ['?a=1&b=2', '?b=2&a=1'],
    ['?a=b%26c=d', '?a=b&c=d'],
  ])('is refused where %s was signed and %s was called', (signed, called) => {
    expectRejected(twilio, formRequest(body, signForm(URL_CALLED + signed, FIELDS), URL_CALLED + called), [KEY]);
  });

  it('is refused soon, however many spellings its address may have', () => {
    const hostile = `${URL_CALLED}?${"'%27(%28)!*|é%c3%a9&".repeat(700)}`;
    expectRejected(twilio, formRequest(body, 'x'.repeat(28), hostile), [KEY]);
    expectRejected(
      signalwire,
      requestOf(
        '['.repeat(3_000_000),
        { 'content-type': JSON_TYPE, 'x-signalwire-signature': '0'.repeat(40) },
        hostile,
      ),
      [KEY],
    );
  });

  it('is accepted over the bytes of its fields, whatever their charset', () => {
    const latin1 = Buffer.concat([Buffer.from(`${URL_CALLED}Bodycaf`), Buffer.from([0xe9])]);
    const signed = createHmac('sha1', KEY).update(latin1).digest('base64');
    expect(() => twilio.verify(formRequest('Body=caf%E9', signed), NOW)).not.toThrow();
    expect(() => twilio.verify(formRequest('?Body=1', base64(`${URL_CALLED}?Body1`)), NOW)).not.toThrow();
  });

  it.each([
    ['with another key', formRequest(body, signForm(URL_CALLED, FIELDS, 'forged'))],
    ['for another URL', formRequest(body, signForm(`${URL_CALLED}/`, FIELDS))],
    ['for another scheme', formRequest(body, signForm(URL_CALLED.replace('https', 'http'), FIELDS))],
    ['for another port', formRequest(body, signForm('https://media.example.com:8443/webhooks/line', FIELDS))],
    ['with a field added', formRequest(`${body}&MediaUrl1=https%3A%2F%2Fevil.example%2F`, signature)],
    ['with a field changed', formRequest(body.replace('NumMedia=1', 'NumMedia=2'), signature)],
    ['truncated', formRequest(body.slice(0, -3), signature)],
    ['emptied', formRequest('', signature)],
    ['in hex', formRequest(body, Buffer.from(signature, 'base64').toString('hex'))],
    ['sent twice', formRequest(body, `${signature}, ${signature}`)],
    ['with the padding left out', formRequest(body, signature.replace('=', ''))],
    ['missing', formRequest(body, undefined)],
    ['empty', formRequest(body, '')],
  ])('is refused with a signature %s', (_case, request) => {
    for (const receiver of [twilio, signalwire]) expectRejected(receiver, request, [KEY, signature, 'look']);
  });

  it('is refused where it calls itself something else', () => {
    for (const type of [JSON_TYPE, 'text/plain', 'multipart/form-data; boundary=x', '']) {
      const headers = { 'content-type': type, 'x-twilio-signature': signature };
      expectRejected(twilio, requestOf(body, headers, URL_CALLED), [KEY]);
      expectRejected(signalwire, requestOf(body, headers, URL_CALLED), [KEY]);
    }
  });

  it('is refused unread above 256 KiB, however well signed', () => {
    const fields = { ...FIELDS, Body: 'x'.repeat(256 * 1024) };
    expectRejected(twilio, formRequest(formOf(fields), signForm(URL_CALLED, fields)), [KEY]);
  });
});

describe('a LaML URL with bodySHA256', () => {
  // twilio-python, tests/unit/test_request_validator.py: the same values in all of Twilio's libraries.
  const published = '{"property": "value", "boolean": true}';
  const url =
    'https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620';
  const headers = { 'content-type': JSON_TYPE, 'x-twilio-signature': 'a9nBmqA0ju/hNViExpshrM61xv4=' };

  it("is accepted with Twilio's published signature, also where the URL is configured", () => {
    const receiver = createLamlWebhook({ ...TWILIO, secret: '12345' });
    expect(() => receiver.verify(requestOf(published, headers, url), NOW)).not.toThrow();
    const configured = createLamlWebhook({
      ...TWILIO,
      secret: '12345',
      configuredUrl: 'https://mycompany.com/myapp.php?foo=1&bar=2',
    });
    expect(() =>
      configured.verify(requestOf(published, headers, url.replace('mycompany.com', '10.0.0.1:4000')), NOW),
    ).not.toThrow();
  });

  it.each([
    ['another body', requestOf(published.replace('true', 'false'), headers, url)],
    ['the same JSON in other bytes', requestOf(JSON.stringify(JSON.parse(published)), headers, url)],
    ['no body', requestOf('', headers, url)],
    [
      'the hash of another body in the URL',
      requestOf('{}', headers, url.replace(/[0-9a-f]{64}/, createHash('sha256').update('{}').digest('hex'))),
    ],
    ['no hash', requestOf(published, headers, 'https://mycompany.com/myapp.php?foo=1&bar=2')],
  ])('is refused with %s', (_case, request) => {
    expectRejected(createLamlWebhook({ ...TWILIO, secret: '12345' }), request, ['12345', 'property']);
  });
});

describe("SignalWire's signed JSON", () => {
  // signalwire-php, tests of its webhook middleware.
  const key = 'PSKtest1234567890abcdef';
  const url = 'https://example.ngrok.io/webhook';
  const body = '{"event":"call.state","params":{"call_id":"abc-123","state":"answered"}}';
  const signature = 'c3c08c1fefaf9ee198a100d5906765a6f394bf0f';
  const receiver = createLamlWebhook({ ...SIGNALWIRE, secret: key });
  const request = (rawBody: string, header: string, name = 'x-signalwire-signature') =>
    requestOf(rawBody, { 'content-type': JSON_TYPE, [name]: header }, url);

  it("is accepted with SignalWire's published signature", () => {
    expect(() => receiver.verify(request(body, signature), NOW)).not.toThrow();
    expect(() => receiver.verify(request(body, signature, 'x-twilio-signature'), NOW)).not.toThrow();
    const withPort = hex(`https://example.ngrok.io:443/webhook${body}`, key);
    expect(() => receiver.verify(request(body, withPort), NOW)).not.toThrow();
  });

  it.each([
    ['another body', request(`${body} `, signature)],
    ['another key', request(body, hex(url + body, 'forged'))],
    ['the body alone', request(body, hex(body, key))],
    ['Base64', request(body, Buffer.from(signature, 'hex').toString('base64'))],
    ['half a signature', request(body, signature.slice(0, 20))],
  ])('is refused with %s', (_case, refused) => expectRejected(receiver, refused, [key, signature]));

  it("is not Twilio's way", () => {
    const strict = createLamlWebhook({ ...TWILIO, secret: key });
    expectRejected(strict, request(body, signature, 'x-twilio-signature'), [key, signature]);
  });
});

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
  ])('tells the other party and the direction of a message %s', (_case, overrides, difference) => {
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

  it('announces a media once that it names twice', () => {
    const media = mediaIn(parseForm(TWILIO, { ...FIELDS, NumMedia: '2', MediaUrl1: mediaUrl() }));
    expect(media).toHaveLength(1);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['no media', { ...FIELDS, NumMedia: '0', MediaUrl0: undefined }],
    ['a status', { AccountSid: TWILIO.accountSid, MessageSid: MESSAGE, MessageStatus: 'delivered' }],
    ['a call', { AccountSid: TWILIO.accountSid, CallSid: 'CA1' }],
  ])('tells nothing where it is not about media: %s', (_case, fields) => {
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

  it('is a fault as a whole where one of its addresses is a stranger', () => {
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

  it('may be JSON about something else', () => {
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

  it("is heard over http only where the channel's own API is", () => {
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

  it('is a fault where two addresses end in one name', () => {
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

    it('announces the media, and knows its size', () => {
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
    ])('tells nothing where it is not about media: %s', (_case, body) => {
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
