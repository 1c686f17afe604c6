import { createHmac } from 'node:crypto';
import { createChakraWebhook, createWhatsappWebhook } from '../../../../src/providers/whatsapp/webhook.js';
import { expectNotQuoted, expectRejected, NOW, requestOf, thrownBy } from '../../webhook-requests.js';
import { bodyOf, chakra, cloud, IMAGE, SECRET, VERIFY_TOKEN } from './webhook-setup.js';

describe("Meta's signature", () => {
  const body = JSON.stringify(bodyOf([IMAGE]));
  const hex = createHmac('sha256', SECRET).update(body).digest('hex');

  it('is accepted over the raw bytes', () => {
    expect(() => cloud.verify(requestOf(body, { 'x-hub-signature-256': `sha256=${hex}` }), NOW)).not.toThrow();
  });

  it("matches the scheme's published example", () => {
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
  ])('does not match a body that was %s', (_case, other) => {
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
