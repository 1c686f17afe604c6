import type { ServerResponse } from 'node:http';
import { createUploadId, decodeMediaId } from '../../src/model/ids.js';
import { until } from '../support/eventually.js';
import { RawServer } from '../support/raw-server.js';
import { receive, samples } from '../support/sample-messages.js';
import { type GraphQLAnswer, type MediaData, sole, type TestBed, useBeds } from '../support/test-bed.js';

const UPLOAD = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { replayed media {
  id status kind mimeType sizeBytes sha256 filename url providerMediaId expiresAt message { id } } } }`;
const DELETE = `mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope media { id status url } } }`;
const STATUS = 'query($id: ID!) { media(id: $id) { status filename } }';
const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id status url } } }';

interface UploadData {
  readonly uploadMediaFromUrl: {
    readonly replayed: boolean;
    readonly media: MediaData & { readonly sha256: string };
  } | null;
}
interface DeleteData {
  readonly deleteMedia: { readonly scope: string; readonly media: MediaData } | null;
}

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
  answer = (_path, response) => response.setHeader('content-type', 'image/jpeg').end(samples.photo.bytes);
});

const urlOf = (path: string): string => `http://127.0.0.1:${source.port}${path}`;

function upload(input: Readonly<Record<string, unknown>>): Promise<GraphQLAnswer<UploadData>> {
  const defaults = { channelId: 'wa', url: urlOf('/photos/beach.jpg') };
  return bed.query<UploadData>(UPLOAD, { input: { ...defaults, ...input } });
}

async function uploaded(
  input: Readonly<Record<string, unknown>> = {},
): Promise<MediaData & { readonly sha256: string }> {
  const { data, text } = await upload(input);
  if (!data?.uploadMediaFromUrl) throw new Error(`expected an upload, got ${text}`);
  return data.uploadMediaFromUrl.media;
}

function remove(id: string): Promise<GraphQLAnswer<DeleteData>> {
  return bed.query<DeleteData>(DELETE, { id });
}

const codes = ({ errors }: GraphQLAnswer<unknown>): string[] => errors.map(({ extensions }) => extensions.code);

describe('uploadMediaFromUrl', () => {
  it('keeps the bytes and gives a link that opens', async () => {
    const media = await uploaded();
    expect(media).toMatchObject({
      status: 'READY',
      kind: 'IMAGE',
      mimeType: 'image/jpeg',
      sizeBytes: samples.photo.bytes.length,
      filename: 'beach.jpg',
      providerMediaId: null,
      message: null,
    });
    const got = await bed.get(media.url);
    expect([got.status, got.headers['content-type'], got.bytes.equals(samples.photo.bytes)]).toEqual([
      200,
      'image/jpeg',
      true,
    ]);
    expect(decodeMediaId(media.id)).toMatchObject({ channelId: 'wa' });
  });

  it('attaches it to a message of the channel, after the media that its provider lists', async () => {
    const message = receive(bed, 'twilio');
    const media = await uploaded({ channelId: 'mms', messageId: message });
    expect(media.message).toEqual({ id: message });
    const { data } = await bed.query(MEDIA, { ids: [message] });
    const listed = sole(data?.messagesWithMedia)?.media ?? [];
    expect(listed.map(({ status }) => status)).toEqual(['READY', 'READY']);
    expect(listed[1]?.id).toBe(media.id);
    const other = await upload({ channelId: 'wa', messageId: message });
    expect(codes(other)).toEqual(['BAD_USER_INPUT']);
  });

  it('gives the same media for the same key and input, and one upload for twenty calls at once', async () => {
    source.requests.length = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload({ idempotencyKey: 'k1' })));
    const payloads = answers.map(({ data }) => data?.uploadMediaFromUrl);
    expect(new Set(payloads.map((payload) => payload?.media.id)).size).toBe(1);
    expect(payloads.filter((payload) => payload?.replayed === false)).toHaveLength(1);
    expect(payloads.every((payload) => payload?.media.status === 'READY')).toBe(true);
    expect(source.requests).toHaveLength(1);
    const conflict = await upload({ idempotencyKey: 'k1', filename: 'other.jpg' });
    expect(codes(conflict)).toEqual(['IDEMPOTENCY_CONFLICT']);
  });

  it('lets a key be used again after its upload failed, which leaves nothing stored', async () => {
    answer = (_path, response) => response.writeHead(404).end();
    const failed = await upload({ idempotencyKey: 'k2' });
    expect(codes(failed)).toEqual(['SOURCE_FAILED']);
    answer = (_path, response) => response.end(samples.photo.bytes);
    const again = await upload({ idempotencyKey: 'k2' });
    expect(again.data?.uploadMediaFromUrl).toMatchObject({ replayed: false, media: { status: 'READY' } });
  });

  it('answers PENDING when the source is slow, and continues', async () => {
    bed = await beds.own({ config: { upload: { respondWithin: '50ms' } } });
    let finish: () => void = () => {};
    let isRequested = false;
    answer = (_path, response) => {
      isRequested = true;
      response.write(samples.photo.bytes.subarray(0, 100));
      finish = () => response.end(samples.photo.bytes.subarray(100));
    };
    const media = await uploaded();
    expect(media).toMatchObject({ status: 'PENDING', url: null });
    await until('the source to be asked', () => isRequested);
    finish();
    await until('the upload to end', async () => {
      const { data } = await bed.query<{ media: MediaData }>(STATUS, { id: media.id });
      return data?.media.status === 'READY';
    });
  });

  it.each<[string, Readonly<Record<string, unknown>>, string, (path: string, response: ServerResponse) => void]>([
    ['a private address', { url: 'http://10.0.0.1/x.jpg' }, 'URL_NOT_ALLOWED', (_p, r) => r.end()],
    ['a zero-padded address', { url: 'http://172.016.000.001/x.jpg' }, 'URL_NOT_ALLOWED', (_p, r) => r.end()],
    ['no URL at all', { url: 'beach.jpg' }, 'URL_NOT_ALLOWED', (_p, r) => r.end()],
    ['an unknown channel', { channelId: 'nobody' }, 'CHANNEL_NOT_FOUND', (_p, r) => r.end()],
    ['a source without bytes', {}, 'SOURCE_FAILED', (_p, r) => r.end()],
    [
      'a type that the bytes are not',
      { mimeType: 'image/png' },
      'CONTENT_TYPE_NOT_ALLOWED',
      (_p, r) => r.end(samples.photo.bytes),
    ],
    [
      'a log-in page served as a picture',
      {},
      'CONTENT_TYPE_NOT_ALLOWED',
      (_p, r) => r.setHeader('content-type', 'image/jpeg').end('<!doctype html><title>Log in</title>'),
    ],
    [
      'a body that ends early',
      {},
      'SOURCE_FAILED',
      (_p, r) => r.setHeader('content-length', 100_000).write(samples.photo.bytes, () => r.destroy()),
    ],
    ['too many redirects', {}, 'SOURCE_FAILED', (p, r) => r.writeHead(302, { location: `${p}x` }).end()],
    [
      'a redirect to a private address',
      {},
      'URL_NOT_ALLOWED',
      (_p, r) => r.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
    ],
    [
      'a coding that it is not',
      {},
      'SOURCE_FAILED',
      (_p, r) => r.setHeader('content-encoding', 'gzip').end(samples.photo.bytes),
    ],
    ['no idempotency key', { idempotencyKey: '' }, 'BAD_USER_INPUT', (_p, r) => r.end()],
    ['no media type', { mimeType: 'picture' }, 'BAD_USER_INPUT', (_p, r) => r.end()],
  ])('refuses %s', async (_name, input, code, behave) => {
    answer = behave;
    const refused = await upload(input);
    expect(refused.data?.uploadMediaFromUrl ?? null).toBeNull();
    expect(codes(refused)).toEqual([code]);
  });
});

describe('deleteMedia', () => {
  it('of an upload makes links 410 from the answer on, and can be repeated', async () => {
    const media = await uploaded();
    const deleted = await remove(media.id);
    expect(deleted.data?.deleteMedia).toEqual({
      scope: 'LOCAL',
      media: { id: media.id, status: 'DELETED', url: null },
    });
    expect((await bed.get(media.url)).status).toBe(410);
    expect((await remove(media.id)).data).toEqual(deleted.data);
  });

  it('of media that a provider lists and cannot delete is local, and hides it in listings', async () => {
    const message = receive(bed, 'kirim');
    const { data } = await bed.query(MEDIA, { ids: [message] });
    const media = sole(sole(data?.messagesWithMedia)?.media);
    expect((await bed.get(media.url)).status).toBe(200);
    expect((await remove(media.id)).data?.deleteMedia).toMatchObject({ scope: 'LOCAL', media: { status: 'DELETED' } });
    expect((await bed.get(media.url)).status).toBe(410);
    const after = await bed.query(MEDIA, { ids: [message] });
    expect(sole(after.data?.messagesWithMedia)?.media).toEqual([]);
  });

  it('of unknown media is MEDIA_NOT_FOUND', async () => {
    expect(codes(await remove('AQdzdXBwb3J0'))).toEqual(['MEDIA_NOT_FOUND']);
    expect(codes(await remove(createUploadId('wa')))).toEqual(['MEDIA_NOT_FOUND']);
  });
});
