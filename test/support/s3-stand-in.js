/**
 * A process of its own that is an S3 server: s3rver, with what it lacks. It encrypts paging tokens with DES, which
 * OpenSSL 3 has in its legacy provider only, so it needs `node --openssl-legacy-provider`. Started by `s3.ts` with the
 * folder of its data; tells its port over the channel and ends with it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import S3rver from 's3rver';

const [, , directory, bucket] = process.argv;
const incoming = join(directory, '.incoming');

const server = new S3rver({
  directory,
  port: 0,
  address: '127.0.0.1',
  silent: true,
  configureBuckets: [{ name: bucket, configs: [] }],
});
const { store } = server;

/** S3 shows whole objects only (its data consistency model); s3rver writes in place and answers before the last byte. */
async function receive(content, target) {
  const temporary = join(incoming, randomUUID());
  const hash = createHash('md5');
  let size = 0;
  try {
    await pipeline(
      content,
      async function* (chunks) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(temporary),
    );
    await mkdir(dirname(target), { recursive: true });
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
  return { size, md5: hash.digest('hex') };
}

store.putObject = async (object) => {
  const target = store.getResourcePath(object.bucket, object.key, 'object');
  const received = await receive(object.content, target);
  await store.putMetadata(object.bucket, object.key, object.metadata, received.md5);
  return received;
};

const uploads = (name) => store.getResourcePath(name, undefined, 'uploads');

store.putPart = async (name, uploadId, partNumber, content) =>
  receive(content, join(uploads(name), uploadId, String(partNumber)));

/** s3rver takes `bytes=0-0` for no range, and the first byte of nothing for one that is there. */
const getObject = store.getObject.bind(store);
store.getObject = async (name, key, options) => {
  const object = await getObject(name, key, options);
  if (object?.content && options?.end === 0) {
    object.content.destroy();
    const path = store.getResourcePath(name, key, 'object');
    object.content = object.size > 0 ? createReadStream(path, { start: 0, end: 0 }) : null;
    object.range = { start: 0, end: 0 };
  }
  return object;
};

/** AbortMultipartUpload and ListMultipartUploads, which s3rver does not have. */
server.middleware.unshift(async (ctx, next) => {
  const { uploadId } = ctx.query;
  if (ctx.method === 'DELETE' && uploadId !== undefined) {
    await rm(join(uploads(bucket), uploadId), { recursive: true });
    ctx.status = 204;
  } else if (ctx.method === 'GET' && 'uploads' in ctx.query) {
    const ids = await readdir(uploads(bucket)).catch(() => []);
    const entries = ids.map(async (id) => {
      const key = await readFile(join(uploads(bucket), id, 'key'), 'utf8');
      return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`;
    });
    ctx.type = 'application/xml';
    ctx.body = `<ListMultipartUploadsResult>${(await Promise.all(entries)).join('')}</ListMultipartUploadsResult>`;
  } else {
    await next();
  }
});

/** s3rver answers HEAD of a bucket by listing its objects; a readiness probe would cost the more the more there are. */
const headOfBucket = new AsyncLocalStorage();
const listObjects = store.listObjects.bind(store);
store.listObjects = async (name, options) =>
  headOfBucket.getStore() ? { objects: [], commonPrefixes: [], isTruncated: false } : listObjects(name, options);
server.middleware.unshift((ctx, next) => headOfBucket.run(ctx.method === 'HEAD', next));

/** 'unavailable' or 'silent', as the test said last; null: nothing is wrong. */
let fault = null;
let mend = () => {};
let mended = Promise.resolve();

process.on('message', (next) => {
  mend();
  fault = next.fault;
  mended = new Promise((resolve) => {
    mend = resolve;
  });
});

server.middleware.unshift(async (ctx, next) => {
  if (fault === 'silent') await mended;
  if (fault !== 'unavailable') return next();
  ctx.status = 503;
  ctx.type = 'application/xml';
  ctx.body = '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>';
});

// Its own trouble with requests that a test cut off is expected; what it answers is what counts.
server.on('error', () => {});

await mkdir(incoming, { recursive: true });
const { port } = await server.run();
process.send({ port });
await once(process, 'disconnect');
process.exit();
