import { kirimDelivery } from '../../demo/src/emulators/kirim/kirim-webhook.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { parseDisposition } from '../support/disposition.js';
import { eventually, until } from '../support/eventually.js';
import { HOSTILE_NAMES, type HostileName } from '../support/hostile-names.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, samples } from '../support/sample-messages.js';
import { CHANNELS, headerOf, nth, sole, type TestBed, useBeds } from '../support/test-bed.js';
import { attempt, uploadedBy } from '../support/upload-attempts.js';

const SECRET = 'whsec_0123456789abcdef';
const webhook = { secret: SECRET, signatureHeader: 'X-Kirim-Signature' };
/** The first bytes of a photo, enough to recognise the type. */
const photo = samples.photo.bytes.subarray(0, 100);
/** The name of a photo without a name: Kirim's listing has no kind. */
const NAMELESS = 'media.jpg';

interface Links {
  readonly status: string;
  readonly url: string;
  readonly saved: string;
}

const beds = useBeds({ channelKeys: { kirim: { webhook } } });
let bed: TestBed;
let serial = 0;

beforeEach(async () => {
  bed = await beds.shared();
});

async function linksOf(messageIds: readonly string[]): Promise<readonly Links[]> {
  const { data, text } = await bed.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Links[] | null }> }>(
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { status url saved: url(disposition: ATTACHMENT) } } }',
    { ids: messageIds },
  );
  if (!data) throw new Error(`expected media, got ${text}`);
  return data.messagesWithMedia.map(({ media }) => sole(media));
}

/** The name that a link is saved as, by a reader who knows `filename*`; throws where any reader could be misled. */
async function nameAt(url: string, type: 'inline' | 'attachment'): Promise<string> {
  const got = await bed.get(url);
  if (got.status !== 200) throw new Error(`expected status 200, got ${got.status}: ${got.bytes}`);
  const parsed = parseDisposition(headerOf(got, 'content-disposition'));
  expect(parsed.type).toBe(type);
  for (const name of [parsed.name, parsed.plain]) expectHarmless(name);
  const inUrl = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '');
  expectHarmless(inUrl);
  return parsed.name;
}

function expectHarmless(name: string): void {
  expect(name).not.toMatch(/[/\\\p{Cc}\p{Cs}]|\u202e|^[.\s]|[.\s]$|^$/u);
  expect(name).not.toMatch(/^(con|prn|aux|nul|(com|lpt)\d)(\.|$)/i);
  expect([...name].length).toBeLessThanOrEqual(100);
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
}

/** What each name came to, under both dispositions. */
async function namesAt(messageIds: readonly string[]): Promise<string[][]> {
  const links = await linksOf(messageIds);
  return Promise.all(
    links.map(async ({ url, saved }) => [await nameAt(url, 'inline'), await nameAt(saved, 'attachment')]),
  );
}

function expected(names: readonly HostileName[], nameless = NAMELESS): string[][] {
  return names.map(({ delivered }) => [delivered ?? nameless, delivered ?? nameless]);
}

/** A message whose photo's bytes come with this header. */
function receiveWith(contentDisposition: string, { bytes = photo, mimeType = 'image/jpeg' } = {}): string {
  serial += 1;
  const id = kirimMessageId(serial);
  bed.kirim.addMessage({ id, media: { bytes, mimeType } });
  bed.cdn.put(`kirim/${id}/file`, { bytes, mimeType }, { contentDisposition });
  return messageId('kirim', serial);
}

const extended = (name: string) => `attachment; filename="x.bin"; filename*=UTF-8''${encodeURIComponent(name)}`;

describe('the name of a media', () => {
  it('is made harmless when the headers of the bytes contain it', async () => {
    const names = HOSTILE_NAMES.filter(({ given }) => given.isWellFormed() && given !== '');
    const ids = names.map(({ given }) => receiveWith(extended(given)));
    expect(await namesAt(ids)).toEqual(expected(names));
  });

  it('is made harmless when the headers of the bytes contain it in quotes, as old servers write it', async () => {
    // Escapes that are all UTF-8 are decoded there, see below.
    const names = HOSTILE_NAMES.filter(({ given }) => /^[\x20-\x24\x26-\x7e]+$/.test(given));
    const ids = names.map(({ given }) => receiveWith(`attachment; filename="${given.replace(/["\\]/g, '\\$&')}"`));
    expect(await namesAt(ids)).toEqual(expected(names));
  });

  it.each([
    ['%e7%85%a7%e7%89%87.jpg', '\u7167\u7247.jpg'],
    ['100% cotton.jpg', '100% cotton.jpg'],
    ['%2e%2e%2fetc%2fpasswd', 'passwd.jpg'],
    ['a%00b%0d%0aX-Evil:%20c.jpg', 'abX-Evil_ c.jpg'],
    ['a%22; filename=%22evil.exe', 'a_; filename=_evil.jpg'],
    ['photo%E2%80%AEgpj.exe', 'photogpj.jpg'],
  ])('is made harmless when it has percent escapes in quotes: %s', async (given, delivered) => {
    expect(await namesAt([receiveWith(`attachment; filename="${given}"`)])).toEqual([[delivered, delivered]]);
  });

  it('is made harmless when a webhook contains it', async () => {
    const ids = await Promise.all(
      HOSTILE_NAMES.map(async ({ given }) => {
        serial += 1;
        const id = kirimMessageId(serial);
        bed.kirim.addMessage({ id, media: { bytes: photo, mimeType: 'image/jpeg' } });
        const message = { id, type: 'image', direction: 'inbound', mime_type: 'image/jpeg', filename: given };
        const announced = { ...message, media_url: bed.kirim.mediaUrl(id), created_at: new Date().toISOString() };
        const { body, headers } = kirimDelivery('message.received', { message: announced }, [SECRET], new Date());
        const posted = await bed.get(`/webhooks/${CHANNELS.kirim}`, { method: 'POST', headers, body: body.toString() });
        expect(posted.status).toBe(200);
        return `${CHANNELS.kirim}:${id}`;
      }),
    );
    // Without an earlier query, since a listing would record them without their names.
    await until('all to be copied', () => bed.cdn.requestCount >= ids.length);
    await eventually(
      () => linksOf(ids),
      (links) => links.every(({ status }) => status === 'READY'),
    );
    expect(await namesAt(ids)).toEqual(expected(HOSTILE_NAMES, 'image.jpg'));
  });

  it('is made harmless when an upload gives it', async () => {
    const source = await RawServer.start((_request, response) => response.end(photo));
    try {
      const names = await Promise.all(
        HOSTILE_NAMES.map(async ({ given }) => {
          const { url, filename } = await uploadedBy(bed, { url: source.url, filename: given });
          return [await nameAt(url, 'inline'), filename];
        }),
      );
      expect(names).toEqual(expected(HOSTILE_NAMES, 'image.jpg'));
      const tooLong = await attempt(bed, { url: source.url, filename: 'a'.repeat(5_000) });
      expect(tooLong.code).toBe('BAD_USER_INPUT');
    } finally {
      await source.close();
    }
  });

  it('is cut when the headers of the bytes contain thousands of characters', async () => {
    const name = (text: string) => namesAt([receiveWith(`attachment; filename="${text}"`)]);
    expect(await name(`${'a'.repeat(5_000)}.jpg`)).toEqual([[`${'a'.repeat(96)}.jpg`, `${'a'.repeat(96)}.jpg`]]);
    expect(await name('.'.repeat(5_000))).toEqual([[NAMELESS, NAMELESS]]);
  });
});

describe('the extension of a media', () => {
  const page = Buffer.from('<!doctype html><title>Page</title>');
  const program = Buffer.concat([Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0', 'latin1'), Buffer.alloc(300)]);
  const { bytes: document } = samples.document;

  it('is that of the type of its bytes', async () => {
    const cases: ReadonlyArray<readonly [bytes: Buffer, given: string, delivered: string, 'inline' | 'attachment']> = [
      [document, 'photo.jpg', 'photo.pdf', 'inline'],
      [document, 'invoice.pdf .html', 'invoice.pdf', 'inline'],
      [document, 'invoice.pdf.exe', 'invoice.pdf', 'inline'],
      [document, 'invoice', 'invoice.pdf', 'inline'],
      [page, 'invoice.pdf', 'invoice.html', 'attachment'],
      [page, 'a.html.txt', 'a.html', 'attachment'],
      // A text may be of any kind; what a browser would render is not shown by the name that makes it do so.
      [Buffer.from('Hello'), 'hello.html', 'hello.html', 'attachment'],
      [Buffer.from('alert(1)'), 'run.js', 'run.js', 'inline'],
      [Buffer.from('a,b\n1,2\n'), 'table.csv', 'table.csv', 'inline'],
      [Buffer.from('Stra\xdfe;5\n', 'latin1'), 'table.csv', 'table.csv', 'inline'],
      [Buffer.from('<?xml version="1.0"?><gpx/>'), 'tour.gpx', 'tour.gpx', 'attachment'],
      [document, 'logo.ai', 'logo.ai', 'inline'],
      [Buffer.from('Hello'), 'photo.jpg', 'photo.txt', 'inline'],
      // No program opens it as a picture, and none runs it by that name.
      [program, 'photo.jpg', 'photo.jpg', 'attachment'],
      [program, 'setup.exe', 'setup.exe', 'attachment'],
    ];
    const ids = cases.map(([bytes, given]) =>
      receiveWith(extended(given), { bytes, mimeType: 'application/octet-stream' }),
    );
    const links = await linksOf(ids);
    const found = await Promise.all(cases.map(([, , , disposition], at) => nameAt(nth(links, at).url, disposition)));
    expect(found).toEqual(cases.map(([, , delivered]) => delivered));
  });
});

describe('the header', () => {
  it('has an equally harmless fallback for old readers', async () => {
    const cases = [
      ['\uff0e\uff0e\uff0fetc\uff0fpasswd.jpg', 'passwd.jpg'],
      ['\uff23\uff2f\uff2e.jpg', '_CON.jpg'],
      ['\u2026photo.jpg', 'photo.jpg'],
      ['\uff02; filename=\uff02x.jpg', '_; filename=_x.jpg'],
      ['\u7167\u7247.jpg', '__.jpg'],
      ['Gr\u00fc\u00dfe.jpg', 'Gru_e.jpg'],
      ['100%.jpg', '100_.jpg'],
    ] as const;
    const links = await linksOf(cases.map(([given]) => receiveWith(extended(given))));
    const found = await Promise.all(
      links.map(async ({ url }) => {
        const { name, plain } = parseDisposition(headerOf(await bed.get(url), 'content-disposition'));
        return [name, plain];
      }),
    );
    expect(found).toEqual(cases);
  });
});
