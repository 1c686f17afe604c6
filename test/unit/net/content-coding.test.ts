import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { AddressPolicy } from '../../../src/net/guarded/public-address.js';
import { SafeFetch, type SafeFetchResponse } from '../../../src/net/guarded/safe-fetch.js';
import { NetError } from '../../../src/streams/net-error.js';
import { RawServer } from '../../support/raw-server.js';

const MAX_BYTES = 1_000_000;
const plain = Buffer.from('media '.repeat(5_000));

let server: RawServer;
let answer: { readonly coding: string; readonly bytes: Buffer; readonly statusCode?: number };
const fetch = new SafeFetch({
  policy: new AddressPolicy({ allowPrivate: ['127.0.0.1/32'], allowedPorts: [] }),
  headersTimeoutMs: 5_000,
  silenceTimeoutMs: 5_000,
  userAgent: 'mediagraph-test',
});

beforeAll(async () => {
  server = await RawServer.start((_request, response) => {
    const { coding, bytes, statusCode = 200 } = answer;
    response.writeHead(statusCode, { 'content-encoding': coding, 'content-length': bytes.length }).end(bytes);
  });
});
afterAll(async () => {
  await fetch.close();
  await server.close();
});

function open(coding: string, bytes: Buffer, statusCode?: number): Promise<SafeFetchResponse> {
  answer = { coding, bytes, statusCode };
  return fetch.open(server.url, { maxBytes: MAX_BYTES });
}

describe('a body in a content coding', () => {
  it.each<[string, Buffer]>([
    ['gzip', gzipSync(plain)],
    ['X-GZIP', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['gzip, br', brotliCompressSync(gzipSync(plain))],
    ['deflate,gzip,identity', gzipSync(deflateRawSync(plain))],
    ['utf-8, gzip, none', gzipSync(plain)],
    ['aws-chunked,gzip', gzipSync(plain)],
  ])('%s is decoded, the last one first', async (coding, bytes) => {
    const { headers, body } = await open(coding, bytes);
    expect([headers['content-encoding'], headers['content-length']]).toEqual([undefined, undefined]);
    expect((await buffer(body)).equals(plain)).toBe(true);
  });

  it.each([
    'UTF-8',
    'none',
    'binary',
    'aws-chunked',
    'identity',
    'Identity, identity',
    '',
    ' ,',
    '8bit',
    'base64,utf8',
  ])('%j means no coding, and the announced length stays', async (coding) => {
    const { headers, body } = await open(coding, plain);
    expect([headers['content-encoding'], headers['content-length']]).toEqual([undefined, String(plain.length)]);
    expect((await buffer(body)).equals(plain)).toBe(true);
  });

  it.each<[string, string, Buffer]>([
    ['more of it than is allowed', 'gzip', gzipSync(Buffer.alloc(50_000_000))],
    ['as much in two layers', 'gzip, gzip', gzipSync(gzipSync(Buffer.alloc(50_000_000)))],
    ['as much in bare deflate', 'deflate', deflateRawSync(Buffer.alloc(50_000_000))],
  ])('fails when it contains %s', async (_content, coding, bytes) => {
    const { body } = await open(coding, bytes);
    await expect(buffer(body)).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' });
  });

  it.each<[string, string, Buffer]>([
    ['is not encoded', 'gzip', plain],
    ['is not encoded', 'deflate', plain],
    ['is not encoded', 'br', plain],
    ['ends early', 'gzip', gzipSync(plain).subarray(0, 60)],
    ['ends early', 'deflate', deflateRawSync(plain).subarray(0, 40)],
    ['ends early', 'br', brotliCompressSync(plain).subarray(0, -4)],
  ])('fails when it %s in place of %s', async (_fault, coding, bytes) => {
    const { body } = await open(coding, bytes);
    const fault = await buffer(body).catch((thrown: unknown) => thrown);
    expect(fault).toBeInstanceOf(NetError);
    expect(fault).toMatchObject({ code: 'BAD_RESPONSE' });
  });

  it.each<[string, string, number]>([
    ['that this platform cannot decode', 'compress', 200],
    ['applied five times', 'gzip,gzip,gzip,gzip,gzip', 200],
    ['of a partial response', 'gzip', 206],
  ])('%s is passed on unchanged with its header', async (_coding, coding, statusCode) => {
    const { headers, body } = await open(coding, plain, statusCode);
    expect(headers['content-encoding']).toBe(coding);
    expect((await buffer(body)).equals(plain)).toBe(true);
  });

  it('closes its connection when the reader destroys it, unread or half read', async () => {
    for (const reads of [false, true]) {
      const { body } = await open(
        'gzip',
        gzipSync(Buffer.from(Array.from({ length: 900_000 }, (_, at) => (at * at) % 251))),
      );
      if (reads) await body[Symbol.asyncIterator]().next();
      body.destroy();
    }
    await fetch.open(server.url, { maxBytes: MAX_BYTES }).then(({ body }) => body.destroy());
    await server.allClosed();
  });
});
