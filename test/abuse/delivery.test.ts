import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { request } from 'undici';
import type { Fault } from '../../demo/src/emulators/faults.js';
import {
  kirimMessageId,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import { UrlSigner } from '../../src/links/signed-url.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { BODY_MARKER, leaksIn } from '../support/leaks.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, receive, samples } from '../support/sample-messages.js';
import { errorOf, type Got, headerOf, nth, SECRETS, type TestBed, useBeds } from '../support/test-bed.js';

const DEADLINE_MS = 1_000;
/** The default `timeout` of a provider. A call that ends earlier was ended by the configured one. */
const DEFAULT_DEADLINE_MS = 10_000;
const ONCE = { timeout: `${DEADLINE_MS}ms`, retries: 0 };
const providers = { kirim: ONCE, signalwire: ONCE, twilio: ONCE };

const beds = useBeds({ config: { providers } });
const raws: RawServer[] = [];
let bed: TestBed;

beforeEach(async () => {
  bed = await beds.shared();
});

afterEach(async () => {
  await Promise.all(raws.splice(0).map((raw) => raw.close()));
});

async function startRaw(handler?: Parameters<typeof RawServer.start>[0]): Promise<RawServer> {
  const raw = await RawServer.start(handler);
  raws.push(raw);
  return raw;
}

interface Links {
  readonly url: string;
  readonly thumbnailUrl: string;
}

/** A refusal as the contract has it; returns its code. */
function expectRefusal(got: Got, status: number, inBed = bed): string {
  const text = got.bytes.toString();
  expect([got.status, text]).toEqual([status, expect.any(String)]);
  expect(JSON.parse(text)).toEqual({
    error: { code: expect.any(String), message: expect.any(String), requestId: headerOf(got, 'x-request-id') },
  });
  expect(headerOf(got, 'content-type')).toMatch(/^application\/json\b/);
  expect(headerOf(got, 'cache-control')).toBe('no-store');
  expect(leaksIn(text, inBed)).toEqual([]);
  return errorOf(got).code;
}

describe('a signed link', () => {
  let path: string;

  beforeEach(async () => {
    path = await bed.pathOf(receive(bed, 'signalwire'));
    bed.clearRequests();
  });

  async function expectInvalid(changed: string): Promise<void> {
    expect(changed).not.toBe(path);
    const got = await bed.get(changed);
    expect([changed, expectRefusal(got, 403)]).toEqual([changed, 'SIGNATURE_INVALID']);
  }

  it('opens while it is unchanged', async () => {
    expect((await bed.get(path)).status).toBe(200);
  });

  it('is refused when any one character is replaced', async () => {
    for (let at = '/media/'.length; at < path.length; at++) {
      for (const other of [path[at] === 'a' ? 'b' : 'a', path[at] === '0' ? '1' : '0']) {
        await expectInvalid(path.slice(0, at) + other + path.slice(at + 1));
      }
    }
    expect(bed.providerCalls).toBe(0);
  });

  it('is refused when any one character is removed, doubled or changes its case', async () => {
    for (let at = '/media/'.length; at < path.length; at++) {
      const character = path.charAt(at);
      await expectInvalid(path.slice(0, at) + path.slice(at + 1));
      await expectInvalid(path.slice(0, at) + character + path.slice(at));
      const swapped = character === character.toUpperCase() ? character.toLowerCase() : character.toUpperCase();
      if (swapped !== character) await expectInvalid(path.slice(0, at) + swapped + path.slice(at + 1));
    }
    expect(bed.providerCalls).toBe(0);
  });

  it('is refused for every other last character of its signature, whose unused bits decoders ignore', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (const last of alphabet) if (!path.endsWith(last)) await expectInvalid(path.slice(0, -1) + last);
  });

  it('is refused when a parameter is removed, doubled, moved or added', async () => {
    const [route = '', query = ''] = path.split('?');
    const parameters = query.split('&');
    for (const [at, parameter] of parameters.entries()) {
      const others = parameters.filter((_, index) => index !== at);
      await expectInvalid(`${route}?${others.join('&')}`);
      await expectInvalid(`${path}&${parameter}`);
      await expectInvalid(`${route}?${parameter}&${query}`);
      await expectInvalid(`${route}?${parameters.with(at, `${nth(parameter.split('='), 0)}=`).join('&')}`);
      if (at > 0) await expectInvalid(`${route}?${[parameter, ...others].join('&')}`);
    }
    for (const added of ['&x=1', '&', '=', '==', '&sig=', '%3D', '%20', '&d=attachment', '?', '/', ';x', '%00'])
      await expectInvalid(path + added);
    await expectInvalid(`${route}?x=1&${query}`);
    await expectInvalid(`${route}?&${query}`);
    await expectInvalid(`${route}?`);
    await expectInvalid(route);
  });

  it('is refused when the name, key id, disposition or lifetime changes', async () => {
    const { pathname, search, searchParams } = new URL(path, bed.app.url);
    const changes = [
      pathname.replace(/[^/]+$/, 'other.jpg') + search,
      pathname.replace(/[^/]+$/, '') + search,
      pathname.replace(/\/[^/]+$/, '') + search,
      `${pathname}/more${search}`,
      pathname.replace('/media/', '/media//') + search,
      path.replace('kid=k1', 'kid=k2'),
      path.replace('kid=k1', 'kid=__proto__'),
      path.replace('kid=k1', 'kid='),
      path.replace('d=inline', 'd=attachment'),
      path.replace(/exp=\d+/, `exp=${Number(searchParams.get('exp')) + 3600}`),
      path.replace(/exp=/, 'exp=0'),
      path.replace(/exp=/, 'exp=+'),
      path.replace(/exp=\d+/, 'exp=1e12'),
      path.replace(/exp=\d+/, 'exp=99999999999999999999'),
    ];
    for (const changed of changes) await expectInvalid(changed);
    expect(bed.providerCalls).toBe(0);
  });

  it('is refused when a character is percent-encoded without need', async () => {
    const at = '/media/'.length;
    await expectInvalid(`${path.slice(0, at)}%${path.charCodeAt(at).toString(16)}${path.slice(at + 1)}`);
    await expectInvalid(path.replace('.jpg', '%2Ejpg'));
    await expectInvalid(path.replace('d=inline', 'd=%69nline'));
  });

  it('is refused when a percent sign encodes nothing', async () => {
    for (const broken of ['%', '%zz', '%c3', '%ff', '%00']) {
      await expectInvalid(path.replace('.jpg', `${broken}.jpg`));
    }
  });

  it('is refused when the hexadecimal digits of an encoded name change their case', async () => {
    const link = signed({ filename: 'Grüße 1.jpg' });
    expect(link).toContain('Gr%C3%BC%C3%9Fe%201.jpg');
    expect((await bed.get(link)).status).toBe(200);
    await expectInvalid(link.replaceAll(/%[0-9A-F]{2}/g, (encoded) => encoded.toLowerCase()));
  });

  it('is refused when it is signed with an unknown secret or for another media', async () => {
    await expectInvalid(signed({ secret: 'another-secret-of-sixteen-characters' }));
    const [, mediaId = ''] = /^\/media\/([^/]+)/.exec(path) ?? [];
    const other = encodeMediaId({ channelId: 'sms', providerMessageId: signalwireMessageSid(2), providerMediaId: 'x' });
    await expectInvalid(path.replace(mediaId, other));
  });

  it('is refused as invalid when it is both changed and expired', async () => {
    const link = signed({ expiresAt: new Date(Date.now() - 1_000) });
    expect(expectRefusal(await bed.get(link), 403)).toBe('URL_EXPIRED');
    await expectInvalid(link.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A')));
    await expectInvalid(link.replace(/exp=\d+/, `exp=${Math.floor(Date.now() / 1000) + 3600}`));
    expect(bed.providerCalls).toBe(0);
  });
});

describe('signing keys', () => {
  it('may be two, so that links signed with the older one still open', async () => {
    const signingKeys = [
      { id: 'k2', secret: 'the-newer-secret-0123456789' },
      { id: 'k1', secret: SECRETS.signingSecret },
    ];
    const rotated = await beds.own({ config: { delivery: { signingKeys } } });
    const path = await rotated.pathOf(receive(rotated, 'signalwire'));
    expect(path).toContain('kid=k2');
    expect((await rotated.get(path)).status).toBe(200);
    expect((await rotated.get(signed({}))).status).toBe(200);
    expect((await rotated.get(signed({ kid: 'k2' }))).status).toBe(403);
  });
});

/** Path and query of a link to SignalWire's first message, as the server itself would sign it. */
function signed({
  mediaId = encodeMediaId({
    channelId: 'sms',
    providerMessageId: signalwireMessageSid(1),
    providerMediaId: `b3877c40-da60-4998-90ad-0000000001me`,
  }),
  filename = 'image.jpg',
  expiresAt = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000),
  secret = SECRETS.signingSecret,
  kid = 'k1',
}: {
  mediaId?: string;
  filename?: string;
  expiresAt?: Date;
  secret?: string;
  kid?: string;
} = {}): string {
  const signer = new UrlSigner({ keys: [{ id: kid, secret }], baseUrl: () => '', ttlMs: 60_000 });
  return signer.sign({
    mediaId,
    filename,
    disposition: 'inline',
    expiresAt: new Date(Math.floor(expiresAt.getTime() / 1000) * 1000),
  });
}

describe('media that cannot be delivered', () => {
  it.each([
    [
      'a message that Kirim does not know',
      { channelId: 'wa', providerMessageId: 'msg_unknown', providerMediaId: null },
    ],
    ['a message that Twilio does not know', { channelId: 'mms', providerMessageId: 'MM0', providerMediaId: 'ME0' }],
    ['a LaML media without a sid', { channelId: 'sms', providerMessageId: 'x', providerMediaId: null }],
    ['a channel that is gone', { channelId: 'gone', providerMessageId: 'x', providerMediaId: null }],
  ])('is 404: %s', async (_name, parts) => {
    expect(expectRefusal(await bed.get(signed({ mediaId: encodeMediaId(parts) })), 404)).toBe('MEDIA_NOT_FOUND');
  });

  it('is 404: an id that never was one', async () => {
    expect(expectRefusal(await bed.get(signed({ mediaId: 'AAAA' })), 404)).toBe('MEDIA_NOT_FOUND');
  });

  const PAGE = { body: `<html>${BODY_MARKER}</html>`, contentType: 'text/html' };
  const OF_KIRIM: ReadonlyArray<[string, Fault, number, string]> = [
    ['401', { kind: 'status', status: 401, body: BODY_MARKER }, 502, 'PROVIDER_CREDENTIALS'],
    ['403', { kind: 'status', status: 403 }, 502, 'PROVIDER_CREDENTIALS'],
    ['400', { kind: 'status', status: 400 }, 502, 'PROVIDER_REJECTED'],
    ['429', { kind: 'status', status: 429, headers: { 'Retry-After': '7' } }, 503, 'PROVIDER_RATE_LIMITED'],
    ['500', { kind: 'status', status: 500, body: BODY_MARKER }, 503, 'PROVIDER_UNAVAILABLE'],
    ['a page', { kind: 'body', ...PAGE }, 502, 'PROVIDER_PROTOCOL'],
    ['a lost connection', { kind: 'reset' }, 503, 'PROVIDER_UNAVAILABLE'],
    ['nothing', { kind: 'hang' }, 504, 'PROVIDER_UNAVAILABLE'],
    [
      'a redirect to a private network',
      { kind: 'redirect', status: 302, location: 'http://10.0.0.1/' },
      502,
      'URL_NOT_ALLOWED',
    ],
  ];

  it('is reported as the fault of a provider that has no bytes of it', async () => {
    const media = { bytes: Buffer.alloc(0), mimeType: 'image/jpeg' };
    bed.kirim.addMessage({ id: kirimMessageId(6), media });
    const got = await bed.get(await bed.pathOf(messageId('kirim', 6)));
    expect(expectRefusal(got, 502)).toBe('PROVIDER_PROTOCOL');
  });

  it.each(OF_KIRIM)('is reported as the fault of a provider that answers %s', async (_name, fault, status, code) => {
    const path = await bed.pathOf(receive(bed, 'kirim'));
    await bed.forget();
    bed.kirim.fault = fault;
    expect(expectRefusal(await bed.get(path), status)).toBe(code);
  });

  it.each(OF_KIRIM.filter(([name]) => name !== 'a page'))(
    'is reported as the fault of a LaML provider that answers %s',
    async (_name, fault, status, code) => {
      const path = await bed.pathOf(receive(bed, 'twilio'));
      bed.twilio.fault = fault;
      expect(expectRefusal(await bed.get(path), status)).toBe(code);
    },
  );

  it.each<[string, Fault, number, string]>([
    ['403', { kind: 'status', status: 403, body: BODY_MARKER }, 502, 'PROVIDER_PROTOCOL'],
    ['404', { kind: 'status', status: 404 }, 502, 'MEDIA_NOT_FOUND'],
    ['410', { kind: 'status', status: 410 }, 502, 'MEDIA_NOT_FOUND'],
    ['500', { kind: 'status', status: 500, body: BODY_MARKER }, 503, 'PROVIDER_UNAVAILABLE'],
    ['a lost connection', { kind: 'reset' }, 503, 'PROVIDER_UNAVAILABLE'],
    ['nothing', { kind: 'hang' }, 504, 'PROVIDER_UNAVAILABLE'],
    ['a few bytes and then nothing', { kind: 'hang-in-body', afterBytes: 20 }, 504, 'PROVIDER_UNAVAILABLE'],
  ])('is reported as the fault of a CDN that answers %s', async (_name, fault, status, code) => {
    for (const provider of ['kirim', 'twilio'] as const) {
      const path = await bed.pathOf(receive(bed, provider));
      bed.cdn.fault = fault;
      const start = performance.now();
      expect(expectRefusal(await bed.get(path), status)).toBe(code);
      expect(performance.now() - start).toBeLessThan(DEFAULT_DEADLINE_MS);
    }
  });

  it.each(['kirim', 'signalwire', 'twilio'] as const)(
    'is reported as the fault of %s when it lists the media and answers 404 for the bytes',
    async (provider) => {
      const message = receive(bed, provider);
      const links = await bed.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Links[] }> }>(
        'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url thumbnailUrl } } }',
        { ids: [message] },
      );
      const { url, thumbnailUrl } = nth(nth(links.data?.messagesWithMedia, 0).media, 0);
      await bed.app.settled();
      bed[provider].fault = { kind: 'status', status: 404 };
      bed.cdn.fault = { kind: 'status', status: 404 };
      for (const link of [url, thumbnailUrl])
        for (const method of ['GET', 'HEAD'] as const) {
          const got = await bed.get(link, { method });
          expect([link, method, got.status]).toEqual([link, method, 502]);
          if (method === 'GET') expect(expectRefusal(got, 502)).toBe('MEDIA_NOT_FOUND');
        }
      bed[provider].fault = null;
      bed.cdn.fault = null;
      expect((await bed.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
    },
  );

  it('is reported as the fault of a CDN that breaks off within the first bytes', async () => {
    const path = await bed.pathOf(receive(bed, 'kirim'));
    bed.cdn.fault = { kind: 'cut', afterBytes: 20 };
    const got = await bed.get(path);
    expect([502, 503]).toContain(got.status);
    expect(['PROVIDER_PROTOCOL', 'PROVIDER_UNAVAILABLE']).toContain(expectRefusal(got, got.status));
  });

  it('repeats the Retry-After of the provider', async () => {
    const path = await bed.pathOf(receive(bed, 'kirim'));
    await bed.forget();
    bed.kirim.fault = { kind: 'status', status: 429, headers: { 'Retry-After': '7' } };
    expect(headerOf(await bed.get(path), 'retry-after')).toBe('7');
    bed.kirim.fault = null;
    bed.cdn.fault = { kind: 'status', status: 503, headers: { 'Retry-After': '9' } };
    const got = await bed.get(path);
    expect(got.status).toBe(503);
    expect(headerOf(got, 'retry-after')).toBe('9');
  });

  it('has the same status for HEAD, and no body', async () => {
    const path = await bed.pathOf(receive(bed, 'kirim'));
    await bed.forget();
    bed.kirim.fault = { kind: 'status', status: 500 };
    const got = await bed.get(path, { method: 'HEAD' });
    expect([got.status, got.bytes.length, headerOf(got, 'cache-control')]).toEqual([503, 0, 'no-store']);
    expect((await bed.get('/media/x/y', { method: 'HEAD' })).status).toBe(403);
  });

  it('is not JSON that SignalWire answers in place of bytes', async () => {
    const path = await bed.pathOf(receive(bed, 'signalwire'));
    bed.signalwire.bytesWithoutExtension = 'json';
    expect(expectRefusal(await bed.get(path), 502)).toBe('PROVIDER_PROTOCOL');
    bed.signalwire.bytesWithoutExtension = 'inline';
    expect((await bed.get(path)).bytes.equals(samples.photo.bytes)).toBe(true);
  });

  it('is not a compressed body that no request asked for', async () => {
    const packed = await startRaw((_request, response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg', 'content-encoding': 'aws-chunked, gzip' });
      response.end(gzipSync(samples.photo.bytes));
    });
    const path = await bed.pathOf(receive(bed, 'kirim'));
    await bed.forget();
    bed.kirim.fault = { kind: 'redirect', status: 302, location: packed.url };
    expect((await bed.get(path)).bytes.equals(samples.photo.bytes)).toBe(true);
    expect(packed.headers[0]?.['accept-encoding']).toBe('identity');
  });

  it('is a body in a coding that no reader can decode', async () => {
    const packed = await startRaw((_request, response) => {
      response.writeHead(200, { 'content-type': 'image/jpeg', 'content-encoding': 'compress' });
      response.end(samples.photo.bytes);
    });
    const path = await bed.pathOf(receive(bed, 'kirim'));
    await bed.forget();
    bed.kirim.fault = { kind: 'redirect', status: 302, location: packed.url };
    expect(expectRefusal(await bed.get(path), 502)).toBe('PROVIDER_PROTOCOL');
  });
});

describe('bytes that end early', () => {
  it.each([
    ['announced', false],
    ['sent in chunks', true],
  ])('never look like a whole file: %s', async (_name, chunked) => {
    bed.cdn.put('movie', { bytes: Buffer.alloc(400_000, 7), mimeType: 'video/mp4' }, { chunked });
    await redirectKirimTo(bed.cdn.publicUrl('movie'));
    bed.cdn.fault = { kind: 'cut', afterBytes: 100_000 };
    await expectAborted(await bed.pathOf(messageId('kirim')));
  });

  it('never look like a whole file: the CDN falls silent', async () => {
    bed.cdn.put('movie', { bytes: Buffer.alloc(400_000, 7), mimeType: 'video/mp4' });
    await redirectKirimTo(bed.cdn.publicUrl('movie'));
    bed.cdn.fault = { kind: 'hang-in-body', afterBytes: 100_000 };
    await expectAborted(await bed.pathOf(messageId('kirim')));
  });
});

describe('bytes beyond upload.maxBytes', () => {
  const bytes = Buffer.alloc(60_000, 7);

  it('are refused where their length was announced', async () => {
    bed = await beds.own({ config: { providers, upload: { maxBytes: '50KB' } } });
    bed.cdn.put('large', { bytes, mimeType: 'video/mp4' });
    await redirectKirimTo(bed.cdn.publicUrl('large'));
    const code = expectRefusal(await bed.get(await bed.pathOf(messageId('kirim'))), 502);
    expect(['MEDIA_TOO_LARGE', 'PROVIDER_PROTOCOL']).toContain(code);
  });

  it('are cut off visibly where it was not', async () => {
    bed = await beds.own({ config: { providers, upload: { maxBytes: '1MB' } } });
    bed.cdn.put('large', { bytes: Buffer.alloc(3_000_000, 7), mimeType: 'video/mp4' }, { chunked: true });
    await redirectKirimTo(bed.cdn.publicUrl('large'));
    await expectAborted(await bed.pathOf(messageId('kirim')));
  });

  it('are refused when the first chunk already exceeds the limit', async () => {
    bed = await beds.own({ config: { providers, upload: { maxBytes: '1KB' } } });
    bed.cdn.put('large', { bytes, mimeType: 'video/mp4' }, { chunked: true });
    await redirectKirimTo(bed.cdn.publicUrl('large'));
    const code = expectRefusal(await bed.get(await bed.pathOf(messageId('kirim'))), 502);
    expect(['MEDIA_TOO_LARGE', 'PROVIDER_PROTOCOL']).toContain(code);
  });

  it('are refused when Twilio itself sends them', async () => {
    bed = await beds.own({ config: { providers, upload: { maxBytes: '10KB' } } });
    bed.twilio.bytesWithoutExtension = 'inline';
    const code = expectRefusal(await bed.get(await bed.pathOf(receive(bed, 'twilio'))), 502);
    expect(['MEDIA_TOO_LARGE', 'PROVIDER_PROTOCOL']).toContain(code);
  });
});

describe('bytes that are not what they are said to be', () => {
  const HTML = Buffer.from(`<!DOCTYPE html><html><script>alert(1)</script>${'x'.repeat(100)}</html>`);
  const SVG = Buffer.from(
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
  );
  const GIF_AND_SCRIPT = Buffer.concat([
    Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00;', 'latin1'),
    Buffer.from('<script>alert(1)</script>'),
  ]);

  it.each<[string, Buffer, string | null, string, 'inline' | 'attachment']>([
    ['a photo of no type', samples.photo.bytes, 'application/octet-stream', 'image/jpeg', 'inline'],
    ['a photo without a word', samples.photo.bytes, null, 'image/jpeg', 'inline'],
    ['a photo said to be a page', samples.photo.bytes, 'text/html', 'image/jpeg', 'inline'],
    ['a photo said to be a PNG', samples.photo.bytes, 'image/png', 'image/jpeg', 'inline'],
    ['a PDF said to be a photo', samples.document.bytes, 'image/jpeg', 'application/pdf', 'inline'],
    ['a page', HTML, 'text/html', 'text/html', 'attachment'],
    ['a page of no type', HTML, null, 'text/html', 'attachment'],
    [
      'a page after a mark and spaces',
      Buffer.concat([Buffer.from('\ufeff \n\t'), HTML]),
      'text/plain',
      'text/html',
      'attachment',
    ],
    ['a drawing with a script', SVG, 'image/svg+xml', 'image/svg+xml', 'attachment'],
    ['a drawing said to be a PNG', SVG, 'image/png', 'image/svg+xml', 'attachment'],
    ['a picture and a page at once', GIF_AND_SCRIPT, 'text/html', 'image/gif', 'inline'],
    [
      'bytes of no known kind',
      Buffer.from([0, 1, 2, 3, 0, 9, 8, 7]),
      'image/jpeg',
      'application/octet-stream',
      'attachment',
    ],
    ['XML', Buffer.from('<?xml version="1.0"?><a/>'), 'application/xml', 'application/xml', 'attachment'],
    ['a script', Buffer.from('alert(document.domain)'), 'text/javascript', 'text/plain; charset=utf-8', 'inline'],
  ])('are served under their real type: %s', async (_name, bytes, declared, mimeType, disposition) => {
    bed.kirim.addMessage({ id: kirimMessageId(5), media: { bytes, mimeType: 'image/jpeg' }, contentType: declared });
    const got = await bed.get(await bed.pathOf(messageId('kirim', 5)));
    expect(got.status).toBe(200);
    expect(got.bytes.equals(bytes)).toBe(true);
    expect(headerOf(got, 'content-type')).toBe(mimeType);
    expect(headerOf(got, 'content-disposition')).toMatch(new RegExp(`^${disposition};`));
    expect(headerOf(got, 'x-content-type-options')).toBe('nosniff');
    expect(headerOf(got, 'content-security-policy')).toContain("default-src 'none'");
  });

  it.each(['image/jpeg', 'application/pdf', 'video/mp4', 'audio/ogg'])(
    'are refused when a page claims to be %s',
    async (declared) => {
      bed.kirim.addMessage({ id: kirimMessageId(5), media: { bytes: HTML, mimeType: declared } });
      expect(expectRefusal(await bed.get(await bed.pathOf(messageId('kirim', 5))), 502)).toBe('PROVIDER_PROTOCOL');
    },
  );

  it('cannot inject headers through a type or a name', async () => {
    const filename = 'a\u202egpj.exe;x="y"..jpg';
    bed.twilio.addMessage({ sid: twilioMessageSid(5), media: [{ ...samples.photo, sid: twilioMediaSid(5) }] });
    const path = await bed.pathOf(messageId('twilio', 5));
    const evil = await startRaw((_request, response) => {
      response.writeHead(200, {
        'content-type': 'image/jpeg',
        'set-cookie': 'a=b',
        'content-disposition': `inline; filename*=UTF-8''${encodeURIComponent(`../../${filename}`)}`,
        'content-security-policy': 'none',
        'access-control-allow-origin': 'https://evil.example',
      });
      response.end(samples.photo.bytes);
    });
    bed.twilio.fault = { kind: 'redirect', status: 302, location: evil.url };
    const got = await bed.get(path);
    expect(got.status).toBe(200);
    expect(got.headers).not.toHaveProperty('set-cookie');
    expect(headerOf(got, 'access-control-allow-origin')).toBe('*');
    const disposition = headerOf(got, 'content-disposition');
    expect(disposition).toMatch(/^inline; filename="[^"/\\]*"(; filename\*=UTF-8''[A-Za-z0-9._%!~'()-]+)?$/);
    expect(decodeURIComponent(disposition)).not.toMatch(/\u202e|\.\.\//);
  });
});

describe("the CDN's own redirects", () => {
  it.each([
    [5, 200],
    [6, 502],
  ])('%d in a row end with status %d', async (count, status) => {
    const chain = await startRaw((incoming, response) => {
      const left = Number(incoming.url?.slice(1));
      if (left === 0) response.writeHead(200, { 'content-type': 'image/jpeg' }).end(samples.photo.bytes);
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    await redirectKirimTo(`${chain.url}/${count}`);
    const got = await bed.get(await bed.pathOf(messageId('kirim')));
    expect(got.status).toBe(status);
    if (status === 200) expect(got.bytes.equals(samples.photo.bytes)).toBe(true);
    else expect(expectRefusal(got, status)).toBe('PROVIDER_PROTOCOL');
    expect(chain.requests.length).toBeLessThanOrEqual(6);
  });

  it.each<[string, (port: number) => string]>([
    ['a private network', () => 'http://10.0.0.1/'],
    ['the metadata of a cloud', () => 'http://169.254.169.254/latest/meta-data/'],
    ['IPv4 inside of IPv6', (port) => `http://[::ffff:127.0.0.1]:${port}/`],
    ['user information', (port) => `http://user:pass@127.0.0.1:${port}/`],
    ['another scheme', (port) => `gopher://127.0.0.1:${port}/`],
    ['a number for an address', (port) => `http://2130706433:${port}/`],
  ])('to %s are refused, and nothing connects', async (_name, location) => {
    const trap = await startRaw();
    const cdn = await startRaw((_request, response) =>
      response.writeHead(302, { location: location(trap.port) }).end(),
    );
    await redirectKirimTo(cdn.url);
    expect(expectRefusal(await bed.get(await bed.pathOf(messageId('kirim'))), 502)).toBe('URL_NOT_ALLOWED');
    expect(trap.connectionCount).toBe(0);
  });

  it('carry no credentials, wherever they lead', async () => {
    const last = await startRaw((_request, response) =>
      response.writeHead(200, { 'content-type': 'image/jpeg' }).end(samples.photo.bytes),
    );
    const first = await startRaw((_request, response) => response.writeHead(307, { location: `${last.url}/x` }).end());
    const path = await bed.pathOf(receive(bed, 'twilio'));
    bed.twilio.fault = { kind: 'redirect', status: 307, location: first.url };
    expect((await bed.get(path, { headers: { authorization: 'Bearer of-the-browser', cookie: 'a=b' } })).status).toBe(
      200,
    );
    for (const headers of [...first.headers, ...last.headers]) {
      expect(headers).not.toHaveProperty('authorization');
      expect(headers).not.toHaveProperty('cookie');
      expect(headers).not.toHaveProperty('referer');
    }
    expect(last.headers).toHaveLength(1);
  });
});

describe('a client that disconnects', () => {
  it('in the middle of a file leaves no connection to the CDN open', async () => {
    const endless = await startEndless('image/jpeg');
    await redirectKirimTo(endless.url);
    const response = await request(bed.app.url + (await bed.pathOf(messageId('kirim'))));
    await once(response.body, 'readable');
    expect(endless.sockets.size).toBe(1);
    response.body.on('error', () => {}).destroy();
    await endless.allClosed();
  });

  it('in the middle of a file leaves no connection to the provider open', async () => {
    const list = JSON.stringify({ media_list: [{ sid: 'ME1', content_type: 'image/jpeg' }] });
    const endless = await startEndless('image/jpeg', samples.photo.bytes, list);
    bed = await beds.own({ config: { providers }, channelKeys: { twilio: { baseUrl: `${endless.url}/v1` } } });
    const response = await request(bed.app.url + (await bed.pathOf(messageId('twilio'))));
    await once(response.body, 'readable');
    expect(endless.sockets.size).toBeGreaterThan(0);
    response.body.on('error', () => {}).destroy();
    await endless.allClosed();
  });

  it('before the first byte leaves no connection open', async () => {
    const silent = await startRaw(() => {});
    bed = await beds.own({ config: { providers: { kirim: { timeout: '60s', retries: 0 } } } });
    await redirectKirimTo(silent.url);
    const path = await bed.pathOf(messageId('kirim'));
    const client = new AbortController();
    const gone = bed.get(path, { signal: client.signal });
    while (silent.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    client.abort();
    await expect(gone).rejects.toThrow();
    await silent.allClosed();
  });

  it('after a HEAD leaves no connection with an unread body open', async () => {
    const endless = await startEndless('image/jpeg');
    await redirectKirimTo(endless.url);
    const got = await bed.get(await bed.pathOf(messageId('kirim')), { method: 'HEAD' });
    expect([got.status, got.bytes.length]).toEqual([200, 0]);
    await endless.allClosed();
  });

  it('after a refused page does not make the server wait for the rest of the page', async () => {
    const endless = await startEndless('image/jpeg', Buffer.from(`<!doctype html>${' '.repeat(5_000)}`));
    await redirectKirimTo(endless.url);
    expect(expectRefusal(await bed.get(await bed.pathOf(messageId('kirim'))), 502)).toBe('PROVIDER_PROTOCOL');
    await endless.allClosed();
  });
});

/** Answers with bytes that never end, as fast as they are read; paths that end in `.json` get `list`. */
async function startEndless(mimeType: string, start: Buffer = samples.photo.bytes, list = '{}'): Promise<RawServer> {
  return startRaw((incoming, response) => {
    if (incoming.url?.endsWith('.json')) {
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(list);
      return;
    }
    response.writeHead(200, { 'content-type': mimeType });
    response.write(start);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 7)));
    };
    response.on('drain', more);
    more();
  });
}

/** Kirim's first message is listed with its bytes at this address. */
async function redirectKirimTo(location: string): Promise<void> {
  receive(bed, 'kirim');
  bed.kirim.fault = { kind: 'redirect', status: 302, location };
}

/** The transfer starts well and then breaks, so that the client knows. */
async function expectAborted(path: string): Promise<void> {
  const response = await request(bed.app.url + path);
  expect(response.statusCode).toBe(200);
  await expect(response.body.arrayBuffer()).rejects.toThrow();
}
