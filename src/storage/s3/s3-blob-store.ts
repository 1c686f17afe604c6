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
  /** Default: us-east-1, which servers other than Amazon's mostly take for theirs. */
  readonly region?: string | null;
  /** Default: Amazon's, of that region. */
  readonly endpoint?: string | null;
  /** The bucket in the path and not in the host name: what most servers other than Amazon's want. */
  readonly forcePathStyle?: boolean;
  /** Both or neither; neither: the SDK's default chain (environment, profile, instance role). */
  readonly accessKeyId?: string | null;
  readonly secretAccessKey?: string | null;
}

/** S3's least ("Amazon S3 multipart upload limits"); 10,000 of them are 52 GB. A put holds up to three in memory. */
const PART_BYTES = 5 * 1024 * 1024;
const PARTS_AT_ONCE = 2;

const CONNECT_TIMEOUT_MS = 5_000;
/** Until the answer's headers; a part must have gone out by then. */
const ANSWER_TIMEOUT_MS = 60_000;
/** Within an answer's body, while somebody reads. */
const SILENCE_TIMEOUT_MS = 30_000;
const PING_TIMEOUT_MS = 5_000;
/** Signature Version 4's own limit ("Authenticating Requests: Using Query Parameters"). */
const MAX_PRESIGNED_S = 7 * 24 * 60 * 60;

/** The SDK's default is 50, and every delivery to a slow client holds one. */
const MAX_SOCKETS = 1_000;

/**
 * Blobs as objects of a bucket, in any server that speaks S3. Its rights: get, put, delete, list, abort multipart uploads.
 * An upload that fails removes its parts. One that is killed cannot: give the bucket a lifecycle rule for incomplete
 * multipart uploads. With versioning on, what is deleted stays as a version until a rule removes that too.
 */
export class S3BlobStore implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  /** Connects to nothing yet. @throws Error, for the operator, when half of the credentials are missing */
  constructor(options: S3BlobStoreOptions) {
    this.#bucket = options.bucket;
    this.#client = new S3Client({
      region: options.region ?? 'us-east-1',
      endpoint: options.endpoint ?? undefined,
      forcePathStyle: options.forcePathStyle ?? false,
      credentials: credentialsOf(options),
      // Many servers know no checksums in trailers. Parts are protected by the SHA-256 in their signature.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        // The SDK's would end the body of a client that pauses; see SILENCE_TIMEOUT_MS.
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
        client: this.#clientUnder(options.signal),
        params: {
          ...this.#at(key),
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
      .send(new GetObjectCommand({ ...this.#at(key), Range }), { abortSignal: signal })
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
    return handOut(Body, signal);
  }

  async stat(key: BlobKey): Promise<{ readonly sizeBytes: number } | null> {
    try {
      const { ContentLength } = await this.#client.send(new HeadObjectCommand(this.#at(key)));
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
    // In the query, all of it: a browser that is sent there adds no header, so none but the host may be signed.
    const command = new GetObjectCommand({
      ...this.#at(key),
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
      await this.#client.send(new DeleteObjectCommand(this.#at(key)));
    } catch (thrown) {
      if (!isNoSuchKey(thrown)) throw toBlobStoreError('delete a blob', thrown);
    }
  }

  async *keys(prefix: string): AsyncGenerator<ListedBlob, void, undefined> {
    try {
      const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix });
      for await (const { Contents = [] } of pages) {
        for (const { Key: key, LastModified: modifiedAt } of Contents) {
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

  #at(key: BlobKey): { Bucket: string; Key: string } {
    assertBlobKey(key);
    return { Bucket: this.#bucket, Key: key };
  }

  // Private: Upload gives no signal to the requests it makes; its own abort rejects while they go on, and the blob appears
  // afterwards. Those that make and remove a multipart upload finish even so, or its parts would stay.
  #clientUnder(signal: AbortSignal | undefined): S3Client {
    const client = this.#client;
    const send: S3Client['send'] = (command: Parameters<S3Client['send']>[0]) => {
      const finishes =
        command instanceof CreateMultipartUploadCommand || command instanceof AbortMultipartUploadCommand;
      return client.send(command, finishes ? {} : { abortSignal: signal });
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

/** Some servers ignore a range, or read `0-0` as all: bytes that were not asked for must not pass as those that were. */
function isAnswerTo({ start, end }: ByteRange, contentRange: string | undefined): boolean {
  const [, from, to] = /^bytes (\d+)-(\d+)\//.exec(contentRange ?? '') ?? [];
  return Number(from) === start && Number(to) <= end;
}

function wholeSize(contentRange: string | undefined, contentLength: number | undefined): number | undefined {
  return contentRange === undefined ? contentLength : Number(contentRange.split('/').at(-1));
}

/** A body that fails rather than end early, with an error of ours. */
function handOut(source: Readable, signal: AbortSignal | undefined): Readable {
  const body = silenceLimit(SILENCE_TIMEOUT_MS);
  destroyOnAbort(body, signal);
  // First in line, so that the reader meets our error and not the socket's, which `pipeline` would pass on.
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
  // Ours already: a key that is none, or an answer that was judged above.
  if (thrown instanceof RangeError || thrown instanceof BlobStoreError) return thrown;
  return new BlobStoreError(expected, codeOf(thrown), { cause: thrown });
}

/** A server's own name for a fault (`AccessDenied`) and its status, or the system's (`ECONNREFUSED`): single words only. */
function codeOf(thrown: unknown): string {
  if (thrown instanceof S3ServiceException) return `${asWord(thrown.name)} (HTTP ${statusOf(thrown) ?? 'unknown'})`;
  if (!isError(thrown)) return typeof thrown;
  return asWord('code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name);
}

function asWord(name: string): string {
  return /^[A-Za-z0-9_.]{1,64}$/.test(name) ? name : 'a failure without a name';
}

function ignore(): void {}
