import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeleteObjectCommand, ListMultipartUploadsCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { S3BlobStoreOptions } from '../../src/storage/s3/s3-blob-store.js';

const STAND_IN = fileURLToPath(new URL('./s3-stand-in.js', import.meta.url));

const BUCKET = 'mediagraph-test';
/** The only key that s3rver knows. */
const STAND_IN_KEY = 'S3RVER';

type S3Options = S3BlobStoreOptions & {
  prefix: string;
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
};

/**
 * A prefix of its own in a bucket of the server that TEST_S3_ENDPOINT names (TEST_S3_BUCKET, TEST_S3_ACCESS_KEY_ID and
 * TEST_S3_SECRET_ACCESS_KEY say which and as whom), else of a stand-in. Test files may share the bucket at the same time:
 * each deletes what has its prefix, one object at a time, since not every server has DeleteObjects.
 */
export class S3TestServer {
  readonly #client: S3Client;

  private constructor(
    readonly options: S3Options,
    private readonly standIn: StandIn | null,
  ) {
    const { region = 'us-east-1', endpoint, forcePathStyle, accessKeyId, secretAccessKey } = options;
    const credentials = { accessKeyId, secretAccessKey };
    this.#client = new S3Client({ region: region ?? 'us-east-1', endpoint, forcePathStyle, credentials });
  }

  static async start(): Promise<S3TestServer> {
    const { TEST_S3_ENDPOINT, TEST_S3_BUCKET, TEST_S3_ACCESS_KEY_ID, TEST_S3_SECRET_ACCESS_KEY } = process.env;
    if (TEST_S3_ENDPOINT === undefined) return S3TestServer.startStandIn();
    const options = {
      bucket: TEST_S3_BUCKET ?? BUCKET,
      prefix: ownPrefix(),
      endpoint: TEST_S3_ENDPOINT,
      forcePathStyle: true,
      accessKeyId: TEST_S3_ACCESS_KEY_ID ?? STAND_IN_KEY,
      secretAccessKey: TEST_S3_SECRET_ACCESS_KEY ?? STAND_IN_KEY,
    };
    return new S3TestServer(options, null);
  }

  /** A stand-in in any case, for tests of its faults. */
  static async startStandIn(): Promise<S3TestServer> {
    const standIn = await startStandIn(BUCKET);
    const keys = { accessKeyId: STAND_IN_KEY, secretAccessKey: STAND_IN_KEY };
    const place = { bucket: BUCKET, prefix: ownPrefix(), endpoint: standIn.endpoint, forcePathStyle: true };
    return new S3TestServer({ ...place, ...keys }, standIn);
  }

  /** From now on the stand-in answers 503, or not at all until the fault ends; null: as it should. */
  setFault(fault: 'unavailable' | 'silent' | null): void {
    if (!this.standIn) throw new Error('expected a stand-in');
    this.standIn.child.send({ fault });
  }

  /** The keys of all blobs, without the prefix. */
  async keys(): Promise<string[]> {
    const { bucket: Bucket, prefix: Prefix } = this.options;
    const keys: string[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, { Bucket, Prefix }))
      for (const { Key = '' } of Contents) keys.push(Key.slice(Prefix.length));
    return keys;
  }

  async #clear(): Promise<void> {
    const { bucket: Bucket, prefix: Prefix } = this.options;
    for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, { Bucket, Prefix }))
      for (const { Key } of Contents) await this.#client.send(new DeleteObjectCommand({ Bucket, Key }));
  }

  /** Multipart uploads that were begun and neither completed nor aborted. */
  async unfinishedUploads(): Promise<string[]> {
    const { bucket: Bucket, prefix: Prefix } = this.options;
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }));
    return Uploads.map(({ Key = '' }) => Key).filter((key) => key.startsWith(Prefix));
  }

  async close(): Promise<void> {
    // A stand-in's folder goes with it.
    if (!this.standIn) await this.#clear();
    this.#client.destroy();
    await this.standIn?.end();
  }
}

function ownPrefix(): string {
  return `test-${randomUUID()}/`;
}

interface StandIn {
  readonly child: ChildProcess;
  readonly endpoint: string;
  /** Its folder goes with it. */
  readonly end: () => Promise<void>;
}

async function startStandIn(bucket: string): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-s3-'));
  const child = fork(STAND_IN, [folder, bucket], { execArgv: ['--openssl-legacy-provider'], silent: true });
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  child.stdout?.resume();
  const port = await Promise.race([portOf(child), once(child, 'exit').then(() => null)]);
  if (port === null) throw new Error(`expected the S3 stand-in to start, got: ${complaints}`);
  const end = async () => {
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
    await rm(folder, { recursive: true });
  };
  return { child, endpoint: `http://127.0.0.1:${port}`, end };
}

async function portOf(child: ChildProcess): Promise<number> {
  const [message]: unknown[] = await once(child, 'message');
  if (typeof message === 'object' && message !== null && 'port' in message && typeof message.port === 'number') {
    return message.port;
  }
  throw new Error('expected the S3 stand-in to tell its port');
}
