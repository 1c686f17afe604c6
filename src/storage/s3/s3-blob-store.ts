import { pipeline, Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { silenceLimit } from '../../streams/byte-limit.js';
import { isError } from '../../streams/net-error.js';
import {
  assertBlobKey,
  assertByteRange,
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  BlobStoreError,
  type ByteRange,
  isBlobKey,
  type ListedBlob,
  type OpenOptions,
  type PresignOptions,
  type PutOptions,
  type StoredBlob,
} from '../blob-store.js';
import { destroyOnAbort, READ_AHEAD_BYTES } from '../blob-stream.js';
import { MeasuredBody } from '../measured-body.js';

export interface S3BlobStoreOptions {
  readonly bucket: string;
  /** The beginning of the key of each object. The store does not read, list or delete other objects. Default: empty. */
  readonly prefix?: string;
  /** Default: us-east-1, which most servers other than Amazon's accept. */
  readonly region?: string | null;
  /** Default: Amazon's endpoint of that region. */
  readonly endpoint?: string | null;
  /** Puts the bucket into the path instead of the host name, as most servers other than Amazon's require. */
  readonly forcePathStyle?: boolean;
  /** Both keys or neither. Without them the SDK's default chain applies (environment, profile, instance role). */
  readonly accessKeyId?: string | null;
  readonly secretAccessKey?: string | null;
}

/** S3's minimum ("Amazon S3 multipart upload limits"). 10,000 parts are 52 GB. A put holds up to three in memory. */
const PART_BYTES = 5 * 1024 * 1024;
const PARTS_AT_ONCE = 2;

const CONNECT_TIMEOUT_MS = 5_000;
/** The limit until the response headers, which includes sending a part. */
const ANSWER_TIMEOUT_MS = 60_000;
/** The limit between two chunks of a response body, while the consumer reads. */
const SILENCE_TIMEOUT_MS = 30_000;
const PING_TIMEOUT_MS = 5_000;
/** The limit of Signature Version 4 ("Authenticating Requests: Using Query Parameters"). */
const MAX_PRESIGNED_S = 7 * 24 * 60 * 60;

/** The SDK's default is 50, and each delivery to a slow client occupies a socket. */
const MAX_SOCKETS = 1_000;

/**
 * Stores blobs as objects of a bucket, in any server that speaks S3. It needs the rights to get, put, delete and list
 * objects, and to abort multipart uploads. A failed upload removes its parts. A killed process cannot, so the bucket
 * needs a lifecycle rule for incomplete multipart uploads. With versioning, a deleted object stays as a version until
 * another rule removes it.
 */
export class S3BlobStore implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  /** Opens no connection. @throws Error, meant for the operator, when the credentials are incomplete */
  constructor(options: S3BlobStoreOptions) {
    this.#bucket = options.bucket;
    this.#prefix = options.prefix ?? '';
    this.#client = new S3Client({
      region: options.region ?? 'us-east-1',
      endpoint: options.endpoint ?? undefined,
      forcePathStyle: options.forcePathStyle ?? false,
      credentials: credentialsOf(options),
      // Many servers do not support checksums in trailers. The SHA-256 in their signature protects the parts.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        // A socket timeout would end the body of a client that pauses. SILENCE_TIMEOUT_MS takes its place.
        socketTimeout: 0,
        httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
        httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      },
    });
  }

  async put(key: BlobKey, body: Readable, options: PutOptions): Promise<StoredBlob> {
    const measured = new MeasuredBody(body, options);
    try {
      const upload = new Upload({
        client: this.#clientWithSignal(options.signal),
        params: {
          ...this.#object(key),
          Body: Readable.from(measured, { objectMode: false, highWaterMark: READ_AHEAD_BYTES }),
          ContentType: 'application/octet-stream',
        },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      });
      await upload.done();
      return measured.finish();
    } catch (thrown) {
      throw measured.reasonOr(() => toBlobStoreError('take a blob', thrown));
    } finally {
      measured.close();
    }
  }

  async open(key: BlobKey, { signal, range, sizeBytes }: OpenOptions): Promise<Readable> {
    if (range) assertByteRange(range);
    const Range = range && `bytes=${range.start}-${range.end}`;
    const { Body, ContentRange, ContentLength } = await this.#client
      .send(new GetObjectCommand({ ...this.#object(key), Range }), { abortSignal: signal })
      .catch((thrown: unknown) => {
        if (signal?.aborted) throw signal.reason;
        if (statusOf(thrown) === 416 && sizeBytes === undefined)
          throw new RangeError('expected a range within the blob', { cause: thrown });
        if (statusOf(thrown) === 416) throw new BlobNotFound({ cause: thrown });
        throw isNoSuchKey(thrown) ? new BlobNotFound({ cause: thrown }) : toBlobStoreError('open a blob', thrown);
      });
    if (!(Body instanceof Readable)) throw new BlobStoreError('open a blob', 'an answer without a body');
    if (range && !isAnswerTo(range, ContentRange)) {
      Body.on('error', ignore).destroy();
      throw new BlobStoreError('open a range of a blob', 'another range');
    }
    if (sizeBytes !== undefined && wholeSize(ContentRange, ContentLength) !== sizeBytes) {
      Body.on('error', ignore).destroy();
      throw new BlobNotFound();
    }
    return guardBody(Body, signal);
  }

  async stat(key: BlobKey): Promise<{ readonly sizeBytes: number } | null> {
    try {
      const { ContentLength } = await this.#client.send(new HeadObjectCommand(this.#object(key)));
      if (ContentLength === undefined) throw new BlobStoreError('tell the size of a blob', 'an answer without it');
      return { sizeBytes: ContentLength };
    } catch (thrown) {
      if (isNoSuchKey(thrown)) return null;
      throw toBlobStoreError('look a blob up', thrown);
    }
  }

  async presign(key: BlobKey, options: PresignOptions): Promise<URL> {
    const { expiresInS } = options;
    if (!Number.isInteger(expiresInS) || expiresInS < 1 || expiresInS > MAX_PRESIGNED_S) {
      throw new RangeError(`expected whole seconds from 1 to ${MAX_PRESIGNED_S}, got ${expiresInS}`);
    }
    // The whole signature is in the query: a redirected browser adds no headers, so only the host may be signed.
    const command = new GetObjectCommand({
      ...this.#object(key),
      ResponseContentType: options.contentType,
      ResponseContentDisposition: options.contentDisposition,
      ResponseCacheControl: options.cacheControl,
    });
    try {
      return new URL(await getSignedUrl(this.#client, command, { expiresIn: expiresInS }));
    } catch (thrown) {
      throw toBlobStoreError('sign a URL', thrown);
    }
  }

  async delete(key: BlobKey): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#object(key)));
    } catch (thrown) {
      if (!isNoSuchKey(thrown)) throw toBlobStoreError('delete a blob', thrown);
    }
  }

  async *keys(prefix: string): AsyncGenerator<ListedBlob, void, undefined> {
    try {
      const Prefix = this.#prefix + prefix;
      const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix });
      for await (const { Contents = [] } of pages) {
        for (const { Key, LastModified: modifiedAt } of Contents) {
          const key = Key?.startsWith(Prefix) ? Key.slice(this.#prefix.length) : undefined;
          if (key !== undefined && modifiedAt !== undefined && isBlobKey(key)) yield { key, modifiedAt };
        }
      }
    } catch (thrown) {
      throw toBlobStoreError('list blobs', thrown);
    }
  }

  async ping(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }), { requestTimeout: PING_TIMEOUT_MS });
    } catch (thrown) {
      throw toBlobStoreError('answer', thrown);
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #object(key: BlobKey): { Bucket: string; Key: string } {
    assertBlobKey(key);
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  // `Upload` passes no signal to its requests. Its own abort rejects while they continue, so that the blob would appear
  // later. The requests that create and abort a multipart upload are not aborted, because its parts would stay.
  #clientWithSignal(signal: AbortSignal | undefined): S3Client {
    const client = this.#client;
    const send: S3Client['send'] = (command: Parameters<S3Client['send']>[0]) => {
      const isNeverAborted =
        command instanceof CreateMultipartUploadCommand || command instanceof AbortMultipartUploadCommand;
      return client.send(command, isNeverAborted ? {} : { abortSignal: signal });
    };
    return Object.create(client, { send: { value: send } });
  }
}

function credentialsOf({ accessKeyId, secretAccessKey }: S3BlobStoreOptions) {
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  if (accessKeyId || secretAccessKey) {
    throw new Error('expected both accessKeyId and secretAccessKey of the S3 storage, or neither; got one');
  }
  return undefined;
}

/**
 * Whether the response is for the requested range. Some servers ignore a range, or answer `0-0` with the whole object.
 */
function isAnswerTo({ start, end }: ByteRange, contentRange: string | undefined): boolean {
  const [, from, to] = /^bytes (\d+)-(\d+)\//.exec(contentRange ?? '') ?? [];
  return Number(from) === start && Number(to) <= end;
}

function wholeSize(contentRange: string | undefined, contentLength: number | undefined): number | undefined {
  return contentRange === undefined ? contentLength : Number(contentRange.split('/').at(-1));
}

/** A body that fails with a BlobStoreError where the source ends early or stalls. */
function guardBody(source: Readable, signal: AbortSignal | undefined): Readable {
  const body = silenceLimit(SILENCE_TIMEOUT_MS);
  destroyOnAbort(body, signal);
  // This listener comes first, so that the consumer sees a BlobStoreError and not the socket's error from `pipeline`.
  source.once('error', (error) => body.destroy(toBlobStoreError('send the whole blob', error)));
  pipeline(source, body, ignore);
  return body;
}

function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof S3ServiceException ? thrown.$metadata.httpStatusCode : undefined;
}

function isNoSuchKey(thrown: unknown): boolean {
  return thrown instanceof S3ServiceException && statusOf(thrown) === 404 && thrown.name !== 'NoSuchBucket';
}

function toBlobStoreError(expected: string, thrown: unknown): Error {
  // Already translated: an invalid key, or a response that was rejected above.
  if (thrown instanceof RangeError || thrown instanceof BlobStoreError) return thrown;
  return new BlobStoreError(expected, codeOf(thrown), { cause: thrown });
}

/**
 * The server's error code (`AccessDenied`) with its status, or the system's (`ECONNREFUSED`). Other text is dropped.
 */
function codeOf(thrown: unknown): string {
  if (thrown instanceof S3ServiceException) return `${asWord(thrown.name)} (HTTP ${statusOf(thrown) ?? 'unknown'})`;
  if (!isError(thrown)) return typeof thrown;
  return asWord('code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name);
}

function asWord(name: string): string {
  return /^[A-Za-z0-9_.]{1,64}$/.test(name) ? name : 'a failure without a name';
}

function ignore(): void {}
