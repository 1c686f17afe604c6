import { createHash, createHmac } from 'node:crypto';
import { createLamlWebhook } from '../../../../src/providers/laml/webhook.js';
import { expectRejected, FORM_TYPE, JSON_TYPE, NOW, requestOf } from '../../webhook-requests.js';
import { FIELDS, formOf, KEY, SIGNALWIRE, signalwire, TWILIO, twilio } from './webhook-setup.js';

const URL_CALLED = 'https://media.example.com/webhooks/line';

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

  it('is refused in bounded time, however many spellings its address may have', () => {
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

  it('is refused with another content type', () => {
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

  it('is not accepted from Twilio', () => {
    const strict = createLamlWebhook({ ...TWILIO, secret: key });
    expectRejected(strict, request(body, signature, 'x-twilio-signature'), [key, signature]);
  });
});
