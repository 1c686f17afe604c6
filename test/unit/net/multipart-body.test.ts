import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MediagraphError } from '../../../src/model/errors.js';
import { multipartBody } from '../../../src/net/client/multipart.js';
import { RequestBodyError } from '../../../src/net/client/request-body.js';
import { errorOf, fileOf, LARGE, MB, post, readAll, sourceOf, startReceiver } from './provider-post-setup.js';

describe('a body', () => {
  test('arrives unchanged, with its exact length, for any chunk size', async () => {
    const content = Buffer.from(Array.from({ length: 700_000 }, (_, index) => index % 251));
    let received: Promise<Buffer> | null = null;
    const { client } = await startReceiver((request, response) => {
      expect(request.headers['transfer-encoding']).toBeUndefined();
      expect(request.headers.authorization).toBe('Bearer t');
      received = buffer(request);
      request.once('end', () => response.end(JSON.stringify(request.headers)));
    });
    // Views into the middle of a larger buffer, above and below the encoder's own chunk size.
    const around = Buffer.concat([Buffer.alloc(100, 1), content, Buffer.alloc(100, 2)]);
    const chunks = [
      around.subarray(100, 300_100),
      around.subarray(300_100, 300_101),
      around.subarray(300_101, 700_100),
    ];
    const answer = await post(client, fileOf(Readable.from(chunks, { objectMode: false }), content.length));
    const headers: Record<string, string> = JSON.parse(answer.body.toString());
    const body = (await received) ?? Buffer.alloc(0);
    expect(Number(headers['content-length'])).toBe(body.length);
    const form = await new Response(new Uint8Array(body), {
      headers: { 'content-type': headers['content-type'] ?? '' },
    }).formData();
    const file = form.get('file');
    if (!(file instanceof File)) throw new Error('expected a file');
    expect(form.get('type')).toBe('x');
    expect(file.name).toBe('photo.jpg');
    expect(Buffer.from(await file.arrayBuffer()).equals(content)).toBe(true);
  });

  test.each([
    ['quotes', 'a"; filename="b.exe', 'filename="a%22; filename=%22b.exe"'],
    ['line breaks', 'a\r\nContent-Type: text/html\r\n\r\nb', 'filename="a__Content-Type: text/html____b"'],
    ['a backslash at the end', 'a\\', 'filename="a_"'],
    ['other letters', 'Grüße 📷.jpg', 'filename="Grüße 📷.jpg"'],
    ['half a letter', 'a\ud83d.jpg', 'filename="a\ufffd.jpg"'],
  ])('has one header for a name with %s', async (_name, filename, written) => {
    const body = multipartBody({ file: fileOf(sourceOf(1), 1, { filename }) });
    const text = await textOf(body.chunks());
    expect(text).toContain(
      `Content-Disposition: form-data; name="file"; ${written}\r\nContent-Type: image/jpeg\r\n\r\n`,
    );
    expect(text.match(/content-type/gi)).toHaveLength(filename.includes('Content-Type') ? 2 : 1);
    expect(Buffer.byteLength(text)).toBe(body.sizeBytes);
  });

  test('has no header for an invalid media type', async () => {
    const body = multipartBody({ file: fileOf(sourceOf(1), 1, { mimeType: 'image/png\r\nX-Injected: 1' }) });
    expect(await textOf(body.chunks())).not.toContain('X-Injected');
  });

  test.each([
    ['shorter', LARGE, LARGE - 1],
    ['longer', LARGE, LARGE + 1],
    ['empty instead of long', 5, 0],
    ['a little longer', 5, 6],
  ])('that is %s than announced fails, and no whole request arrives', async (_name, announced, actual) => {
    let completeRequests = 0;
    const { client, requests, allClosed } = await startReceiver((request) => {
      request.resume();
      request.once('end', () => {
        completeRequests += 1;
      });
    });
    const source = sourceOf(actual);
    const error = await errorOf(post(client, fileOf(source, announced)));
    expect(error).toBeInstanceOf(RequestBodyError);
    expect(error).toMatchObject({
      cause: { message: expect.stringContaining(`expected a body of ${announced} bytes`) },
    });
    expect(source.destroyed).toBe(true);
    await allClosed();
    expect(completeRequests).toBe(0);
    expect(requests.length).toBeLessThanOrEqual(1);
  });

  test('whose source fails fails for that reason, and is no outage of the provider', async () => {
    const { client } = await startReceiver(readAll);
    for (let call = 0; call < 12; call += 1) {
      const source = sourceOf(MB);
      source.once('data', () =>
        source.destroy(Object.assign(new Error('the store broke off'), { code: 'ECONNRESET' })),
      );
      source.pause();
      expect(await errorOf(post(client, fileOf(source, MB)))).toMatchObject({
        name: 'RequestBodyError',
        cause: { message: 'the store broke off' },
      });
    }
    const source = sourceOf(MB);
    source.once('data', () => source.destroy(new MediagraphError('MEDIA_GONE', 'deleted meanwhile')));
    source.pause();
    expect(await errorOf(post(client, fileOf(source, MB)))).toMatchObject({ code: 'MEDIA_GONE' });
    expect(await post(client, fileOf(sourceOf(MB), MB))).toMatchObject({ statusCode: 200 });
  });

  test('whose source failed before the call fails the call', async () => {
    const { client } = await startReceiver(readAll);
    const source = sourceOf(MB);
    const body = multipartBody({ file: fileOf(source, MB) });
    source.destroy(new Error('early'));
    await new Promise((resolve) => source.once('close', resolve));
    expect(await errorOf(client.post({ path: '/media', body }))).toMatchObject({ cause: { message: 'early' } });
  });
});

async function textOf(chunks: AsyncIterator<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) parts.push(next.value);
  return Buffer.concat(parts).toString();
}
