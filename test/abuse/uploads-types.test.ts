import type { ServerResponse } from 'node:http';
import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { parseDisposition } from '../support/disposition.js';
import { amrFile, compoundFile, isoFile, officeFile, oggFile, padded, zipFile } from '../support/media-files.js';
import { inflating, pngHeader, pngOf } from '../support/pictures.js';
import { rawAnswer } from '../support/raw-answer.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { headerOf, type TestBed, useBeds } from '../support/test-bed.js';
import { attempt, type UploadedData, uploadedBy, watchUploads } from '../support/upload-attempts.js';

const TEST_MS = 30_000;
const OFFICE = 'application/vnd.openxmlformats-officedocument';
const photo = samples.photo.bytes;
const animatedPng = pngOf(pngHeader(1, 1), ['acTL', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])], ['IDAT', inflating(5)]);

const beds = useBeds();
let bed: TestBed;
let source: RawServer;
let answer: (path: string, response: ServerResponse) => void;

beforeAll(async () => {
  source = await RawServer.start((request, response) => answer(request.url ?? '', response));
});
afterAll(() => source.close());
beforeEach(async () => {
  bed = await beds.shared();
});

const urlOf = (path = '/photo.jpg'): string => source.url + path;

function serve(bytes: Buffer | string, headers: Readonly<Record<string, string>> = {}): void {
  answer = (_path, response) => response.writeHead(200, headers).end(bytes);
}

interface Typed {
  readonly bytes: Buffer | string;
  /** What the source says of it; absent: nothing. */
  readonly says?: string;
  readonly type: string;
  /** The extension of the name that the upload gets in place of `file.bin`. */
  readonly extension: string;
}

const TYPED: Readonly<Record<string, Typed>> = {
  'a Word document': { bytes: officeFile('docx'), type: `${OFFICE}.wordprocessingml.document`, extension: 'docx' },
  'a workbook': { bytes: officeFile('xlsx'), type: `${OFFICE}.spreadsheetml.sheet`, extension: 'xlsx' },
  slides: { bytes: officeFile('pptx'), type: `${OFFICE}.presentationml.presentation`, extension: 'pptx' },
  'a workbook that is not compressed, called a zip': {
    bytes: officeFile('xlsx', { deflated: false }),
    says: 'application/zip',
    type: `${OFFICE}.spreadsheetml.sheet`,
    extension: 'xlsx',
  },
  'a workbook called a Word document': {
    bytes: officeFile('xlsx'),
    says: `${OFFICE}.wordprocessingml.document`,
    type: `${OFFICE}.spreadsheetml.sheet`,
    extension: 'xlsx',
  },
  'an archive': { bytes: zipFile({ 'a.txt': 'a' }), type: 'application/zip', extension: 'zip' },
  'an old Word document, as its source says': {
    bytes: compoundFile('WordDocument'),
    says: 'application/msword',
    type: 'application/msword',
    extension: 'doc',
  },
  text: { bytes: 'héllo 🙂\n', type: 'text/plain; charset=utf-8', extension: 'txt' },
  'text called a document': {
    bytes: 'hello',
    says: 'application/pdf',
    type: 'text/plain; charset=utf-8',
    extension: 'txt',
  },
  'a table': { bytes: 'a,b\n1,2\n', says: 'text/csv', type: 'text/csv; charset=utf-8', extension: 'csv' },
  'a contact': {
    bytes: 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana\r\nEND:VCARD\r\n',
    says: 'text/x-vcard',
    type: 'text/vcard; charset=utf-8',
    extension: 'vcf',
  },
  'an appointment': {
    bytes: 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n',
    type: 'text/calendar; charset=utf-8',
    extension: 'ics',
  },
  'a drawing called a photo': {
    bytes: '<svg xmlns="http://www.w3.org/2000/svg"/>',
    says: 'image/png',
    type: 'image/svg+xml',
    extension: 'svg',
  },
  'a page that says so': { bytes: '<!doctype html><p>Hi', says: 'text/html', type: 'text/html', extension: 'html' },
  speech: { bytes: amrFile, says: 'audio/mpeg', type: 'audio/amr', extension: 'amr' },
  'a voice note': { bytes: oggFile('opus'), type: 'audio/ogg; codecs=opus', extension: 'ogg' },
  'a voice note called audio/opus': {
    bytes: samples.voiceNote.bytes,
    says: 'audio/opus',
    type: 'audio/ogg; codecs=opus',
    extension: 'ogg',
  },
  music: { bytes: oggFile('vorbis'), says: 'application/ogg', type: 'audio/ogg', extension: 'ogg' },
  'audio in an MP4': { bytes: isoFile('M4A '), says: 'video/mp4', type: 'audio/mp4', extension: 'm4a' },
  'audio in an MP4, as its source says': {
    bytes: isoFile('mp42'),
    says: 'audio/x-m4a',
    type: 'audio/mp4',
    extension: 'm4a',
  },
  'a film': { bytes: isoFile('mp42'), type: 'video/mp4', extension: 'mp4' },
  'a film of a phone': { bytes: isoFile('3gp5'), says: 'video/mp4', type: 'video/3gpp', extension: '3gp' },
  'a film of an iPhone': { bytes: isoFile('qt  '), type: 'video/quicktime', extension: 'mov' },
  'a sticker called a photo': {
    bytes: samples.sticker.bytes,
    says: 'image/jpeg',
    type: 'image/webp',
    extension: 'webp',
  },
  'a document': { bytes: samples.document.bytes, type: 'application/pdf', extension: 'pdf' },
  'a table in Windows-1252, called Excel': {
    bytes: Buffer.from('Stra\xdfe;Gr\xf6\xdfe\r\n', 'latin1'),
    says: 'application/vnd.ms-excel',
    type: 'text/plain; charset=windows-1252',
    extension: 'txt',
  },
  'a table in UTF-16': {
    bytes: Buffer.from('\ufeffStraße;Größe\r\n', 'utf16le'),
    says: 'text/csv',
    type: 'text/csv; charset=utf-16le',
    extension: 'csv',
  },
  'a page in UTF-16': { bytes: Buffer.from('\ufeff<html>', 'utf16le'), type: 'text/html', extension: 'html' },
  'comments and a word': { bytes: `${'<!---->'.repeat(60)}hello`, type: 'text/plain; charset=utf-8', extension: 'txt' },
  'AAC behind a large cover': {
    bytes: Buffer.concat([
      Buffer.from('49443304000000124940', 'hex'),
      Buffer.alloc(0x12 * 16_384 + 0x49 * 128 + 0x40),
      Buffer.alloc(8_000, Buffer.concat([Buffer.from('fff15080', 'hex'), Buffer.alloc(413, 0x55)])),
    ]),
    says: 'audio/mpeg',
    type: 'audio/aac',
    extension: 'aac',
  },
  'a scan whose directory is at its end': {
    bytes: Buffer.concat([Buffer.from('49492a0000000200', 'hex'), Buffer.alloc(90_000, 0x7f)]),
    type: 'image/tiff',
    extension: 'tiff',
  },
  'a film for iTunes': { bytes: isoFile('M4V '), type: 'video/x-m4v', extension: 'm4v' },
  'a film of an older phone': { bytes: isoFile('3g2a'), type: 'video/3gpp2', extension: '3g2' },
  'an archive of 7-Zip': {
    bytes: Buffer.concat([Buffer.from('377abcaf271c0004', 'hex'), Buffer.alloc(200)]),
    type: 'application/x-7z-compressed',
    extension: '7z',
  },
};

function serveTyped(path: string, response: ServerResponse): void {
  const [, { bytes, says }] = Object.entries(TYPED)[Number(path.split('/')[1])] ?? ['', { bytes: '' }];
  if (says !== undefined) response.setHeader('content-type', says);
  response.end(bytes);
}

describe('the type of an upload', () => {
  it(
    'is the type of its bytes, and the name gets that extension',
    async () => {
      answer = serveTyped;
      const rows = Object.entries(TYPED);
      const found = await Promise.all(
        rows.map(async ([what], index) => {
          const { mimeType, filename } = await uploadedBy(bed, { url: urlOf(`/${index}/file.bin`) });
          return [what, mimeType, filename];
        }),
      );
      expect(found).toEqual(rows.map(([what, { type, extension }]) => [what, type, `file.${extension}`]));
    },
    TEST_MS,
  );

  it.each<[string, Buffer, string, string]>([
    ['music called Opus', oggFile('vorbis'), 'audio/ogg; codecs=opus', 'audio/ogg'],
    ['a voice note called Vorbis', oggFile('opus'), 'audio/ogg; codecs=vorbis', 'audio/ogg; codecs=opus'],
    [
      'an old workbook called a Word document',
      compoundFile('Workbook'),
      'application/msword',
      'application/vnd.ms-excel',
    ],
    ['an old Word document', compoundFile('WordDocument'), 'application/octet-stream', 'application/msword'],
    ['old slides', compoundFile('PowerPoint Document'), 'application/octet-stream', 'application/vnd.ms-powerpoint'],
  ])('is the type of the bytes, for %s', async (_what, bytes, says, type) => {
    serve(bytes, { 'content-type': says });
    expect((await uploadedBy(bed, { url: urlOf('/file.bin') })).mimeType).toBe(type);
  });

  it.each<[string, Buffer, string]>([
    ['an animated PNG', animatedPng, 'image/png'],
    ['an M4V', isoFile('M4V '), 'video/mp4'],
  ])('is the type that the caller names for %s, which also has that type', async (_what, bytes, mimeType) => {
    serve(bytes);
    expect((await uploadedBy(bed, { url: urlOf('/file'), mimeType })).mimeType).toBe(mimeType);
  });

  it.each<[string, Buffer | string, string]>([
    ['a photo', photo, 'image/png'],
    ['a Word document', officeFile('docx'), 'application/pdf'],
    ['a workbook', officeFile('xlsx'), `${OFFICE}.wordprocessingml.document`],
    ['an archive', zipFile({ 'a.txt': 'a' }), 'image/jpeg'],
    ['a page', '<!doctype html><title>Log in</title>', 'image/jpeg'],
    ['a drawing', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/png'],
    ['text', 'hello', 'text/html'],
    ['speech', amrFile, 'audio/mpeg'],
    ['a film', isoFile('mp42'), 'video/3gpp'],
    ['music', oggFile('vorbis'), 'audio/mp4'],
    ['what nobody knows', Buffer.from([1, 2, 3, 0, 255]), 'image/jpeg'],
  ])('of %s is not the type that the caller names, even if the source agrees', async (_what, bytes, mimeType) => {
    serve(bytes, { 'content-type': mimeType });
    const watch = await watchUploads(bed);
    const { code, media } = await attempt(bed, { url: urlOf(), mimeType });
    expect([code, media]).toEqual(['CONTENT_TYPE_NOT_ALLOWED', null]);
    expect(watch.failed()).toHaveLength(1);
    expect(await watch.leftBehind()).toEqual([]);
  });
});

const EMOJI = '👨‍👩‍👧🙂';
const RIGHT_TO_LEFT = '\u202e\u200f\u2067';
const LONG = `${EMOJI.repeat(60)}${RIGHT_TO_LEFT}.jpg`;

interface Named {
  readonly argument?: string;
  readonly disposition?: string;
  readonly path?: string;
  readonly filename: string;
}

const NAMED: Readonly<Record<string, Named>> = {
  'the argument before all': {
    argument: 'a.jpg',
    disposition: 'attachment; filename="b.jpg"',
    path: '/c.jpg',
    filename: 'a.jpg',
  },
  'the header before the URL': { disposition: 'inline; filename="b.jpg"', path: '/c.jpg', filename: 'b.jpg' },
  'the extended name before the plain one': {
    disposition: `attachment; filename="plain.jpg"; filename*=UTF-8''%E2%82%AC%20rates.jpg`,
    filename: '€ rates.jpg',
  },
  'the extended name behind the plain one': {
    disposition: `attachment; FILENAME*=utf-8'en'%e2%82%ac.jpg; filename=plain.jpg`,
    filename: '€.jpg',
  },
  'the plain name, where the extended one is broken': {
    disposition: `attachment; filename*=UTF-8''%FF%FE.jpg; filename="plain.jpg"`,
    filename: 'plain.jpg',
  },
  'a quoted name with escapes': {
    disposition: String.raw`attachment; filename="a \"b\" c.jpg"`,
    filename: 'a _b_ c.jpg',
  },
  'a quoted name with a semicolon': { disposition: 'attachment; filename="a;b.jpg"; x=y', filename: 'a;b.jpg' },
  'the URL behind a header without a name': { disposition: 'attachment', path: '/c.jpg', filename: 'c.jpg' },
  'the URL, decoded and without its query': { path: '/a%20%E2%82%AC.jpg?x=/y.png', filename: 'a €.jpg' },
  'the URL where it cannot be decoded': { path: '/a%ZZ.jpg', filename: 'a%ZZ.jpg' },
  'the kind where nothing has a name': { path: '/', filename: 'image.jpg' },
  'the kind where nothing is left': { argument: RIGHT_TO_LEFT, path: '/..%2f', filename: 'image.jpg' },
  'no folders of a header': {
    disposition: `attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd`,
    filename: 'passwd.jpg',
  },
  'no folders of an argument': { argument: 'C:\\temp\\..\\a.jpg', filename: 'a.jpg' },
  'no encoded folders of a URL': { path: '/x/..%2F..%2Fa.jpg', filename: 'a.jpg' },
  'no leading dots': { argument: '...htaccess', filename: 'htaccess.jpg' },
  'no line ends': { disposition: `attachment; filename*=UTF-8''a%0D%0AX-Evil:%20b.jpg`, filename: 'aX-Evil_ b.jpg' },
  'no null': { argument: 'a\0b.jpg', filename: 'ab.jpg' },
  'no half characters': { argument: 'a\ud83d.jpg', filename: 'a\ufffd.jpg' },
  'no overrides, and the extension of the bytes': { argument: 'invoice\u202egpj.exe', filename: 'invoicegpj.jpg' },
  'no markup': { argument: '<img src=x onerror=alert(1)>.jpg', filename: '_img src=x onerror=alert(1)_.jpg' },
  'joined emoji': { argument: `${EMOJI}.jpg`, filename: `${EMOJI}.jpg` },
};

describe('the name of an upload', () => {
  async function nameOf({
    argument,
    disposition,
    path = '/photo.jpg',
  }: Omit<Named, 'filename'>): Promise<UploadedData> {
    const own = `/${headersByPath.push(disposition)}`;
    return uploadedBy(bed, { url: urlOf(own + path), ...(argument === undefined ? {} : { filename: argument }) });
  }
  /** The Content-Disposition of the source, by the first part of the path; absent: none. */
  const headersByPath: Array<string | undefined> = [];

  beforeEach(() => {
    answer = (path, response) => {
      const disposition = headersByPath[Number(path.split('/')[1]) - 1];
      const header = disposition === undefined ? '' : `Content-Disposition: ${disposition}\r\n`;
      const length = `Content-Length: ${photo.length}\r\nConnection: close\r\n\r\n`;
      rawAnswer(response, `HTTP/1.1 200 OK\r\n${header}${length}`, photo).end();
    };
  });

  it(
    'is taken from the argument, the header, the URL, and made safe',
    async () => {
      const rows = Object.entries(NAMED);
      const names = await Promise.all(rows.map(async ([what, row]) => [what, (await nameOf(row)).filename]));
      expect(names).toEqual(rows.map(([what, { filename }]) => [what, filename]));
    },
    TEST_MS,
  );

  it.each<[string, Named]>([
    [
      'the extended name within the quotes of the plain one',
      { disposition: `attachment; filename="a; filename*=UTF-8''b.jpg"`, filename: `a; filename_=UTF-8''b.jpg` },
    ],
    [
      'a parameter whose name only ends so',
      { disposition: 'attachment; xfilename="b.jpg"', path: '/c.jpg', filename: 'c.jpg' },
    ],
  ])('is not %s (RFC 6266 section 4.1)', async (_what, given) => {
    expect((await nameOf(given)).filename).toBe(given.filename);
  });

  const extended = `attachment; filename*=UTF-8''${encodeURIComponent(LONG)}`;
  it.each<[string, Omit<Named, 'filename'>]>([
    ['an argument of three hundred characters', { argument: LONG }],
    ['a header of three hundred characters', { disposition: extended }],
    ['a URL of three hundred characters', { path: `/${encodeURIComponent(LONG)}` }],
    ['a header with letters that it may not have', { disposition: `attachment; filename="${LONG}"` }],
    ['an argument of nothing but joiners', { argument: `${'\u200d'.repeat(300)}.jpg` }],
    ['an argument of marks upon marks', { argument: `a${'\u0301'.repeat(300)}.jpg` }],
  ])('from %s is readable, can be saved and opened', async (_what, given) => {
    const { filename, url } = await nameOf(given);
    const name = filename ?? '';
    expect(name).toMatch(/^[^\p{Cc}\u202a-\u202e\u2066-\u2069\u200e\u200f/\\"<>|:*?]+\.jpg$/u);
    expect([name.isWellFormed(), [...name].length <= 100]).toEqual([true, true]);
    const got = await bed.get(url);
    expect([got.status, got.bytes.equals(photo)]).toEqual([200, true]);
    expect(parseDisposition(headerOf(got, 'content-disposition')).name).toBe(name);
  });

  it('is refused beyond a thousand characters of an argument', async () => {
    serve(photo);
    const refused = await attempt(bed, { url: urlOf(), filename: 'x'.repeat(1_025) });
    expect([refused.code, refused.media]).toEqual(['BAD_USER_INPUT', null]);
    await uploadedBy(bed, { url: urlOf(), filename: 'x'.repeat(1_024) });
  });
});

describe('the limits of a provider that takes uploads', () => {
  const TOKEN = 'EAAJBwhatsapptoken0123456789';
  const PHONE_NUMBER_ID = '106540352242922';
  const MAX_PHOTO_BYTES = 5_000_000;
  let meta: WhatsAppEmulator;

  beforeEach(async () => {
    meta = await new WhatsAppEmulator({ token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: 'secret' }).start();
  });
  afterEach(() => meta.close());

  async function start(upload: Readonly<Record<string, string>> = {}): Promise<void> {
    const cloud = {
      id: 'cloud',
      provider: 'whatsapp-cloud',
      baseUrl: meta.baseUrl,
      credentials: { token: TOKEN },
      options: { phoneNumberId: PHONE_NUMBER_ID },
    };
    bed = await beds.own({ config: { upload, channels: [cloud] } });
  }

  const input = (keys: Readonly<Record<string, string>> = {}) => ({
    channelId: 'cloud',
    url: urlOf('/file.bin'),
    ...keys,
  });

  it.each<[string, Buffer, string]>([
    ['an animated PNG', animatedPng, 'image/png'],
    ['an M4V', isoFile('M4V '), 'video/mp4'],
  ])('apply to %s by the type that it also has', async (_what, bytes, mimeType) => {
    await start();
    serve(bytes);
    expect((await uploadedBy(bed, input())).mimeType).toBe(mimeType);
  });

  /** The message of a refusal before which the provider saw nothing, and after which nothing is here. */
  async function refusal(code: string, keys: Readonly<Record<string, string>> = {}): Promise<string> {
    const watch = await watchUploads(bed);
    const refused = await attempt(bed, input(keys));
    expect([refused.code, refused.media]).toEqual([code, null]);
    expect(meta.requests).toEqual([]);
    expect(await watch.leftBehind()).toEqual([]);
    return refused.message ?? '';
  }

  it(
    'apply before any request to it, and the error names them',
    async () => {
      await start();
      const others: Readonly<Record<string, Buffer | string>> = {
        'image/gif': Buffer.from('R0lGODlhAQABAAAAACw=', 'base64'),
        'application/zip': zipFile({ 'a.txt': 'a' }),
        'text/html': '<!doctype html><p>Hi',
        'text/vcard': 'BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n',
        'video/quicktime': isoFile('qt  '),
        'image/svg+xml': '<svg xmlns="http://www.w3.org/2000/svg"/>',
        'application/octet-stream': Buffer.from([1, 2, 3, 0, 255]),
      };
      for (const [type, bytes] of Object.entries(others)) {
        serve(bytes);
        const message = await refusal('CONTENT_TYPE_NOT_ALLOWED');
        expect(message).toContain(`got ${type}`);
        expect(message).toContain('whatsapp-cloud takes (audio/aac,');
      }
      const tooLarge = padded(photo, MAX_PHOTO_BYTES + 1);
      const named = `expected at most ${MAX_PHOTO_BYTES} bytes (whatsapp-cloud's limit for image/jpeg), got more`;
      serve(tooLarge, { 'content-length': String(tooLarge.length) });
      expect(await refusal('MEDIA_TOO_LARGE')).toBe(named);
      answer = (_path, response) => {
        response.flushHeaders();
        response.end(tooLarge);
      };
      expect(await refusal('MEDIA_TOO_LARGE')).toBe(named);
      serve(padded(samples.sticker.bytes, 500_001));
      expect(await refusal('MEDIA_TOO_LARGE')).toContain('500000 bytes');
    },
    TEST_MS,
  );

  it(
    'are exact to the byte',
    async () => {
      await start();
      serve(padded(photo, MAX_PHOTO_BYTES));
      const media = await uploadedBy(bed, input());
      expect(media.sizeBytes).toBe(MAX_PHOTO_BYTES);
      expect(meta.media.map(({ id, bytes }) => [id, bytes.length])).toEqual([[media.providerMediaId, MAX_PHOTO_BYTES]]);
    },
    TEST_MS,
  );

  it('apply to the type that the caller names, before any request to the source', async () => {
    await start();
    source.requests.length = 0;
    expect(await refusal('CONTENT_TYPE_NOT_ALLOWED', { mimeType: 'image/gif' })).toContain('got image/gif');
    expect(source.requests).toEqual([]);
  });

  it('give way to a lower limit of this server', async () => {
    await start({ maxBytes: '100KB' });
    answer = (_path, response) => {
      response.flushHeaders();
      response.end(padded(photo, 100_001));
    };
    expect(await refusal('MEDIA_TOO_LARGE')).toMatch(/^expected at most 100000 bytes/);
  });
});
