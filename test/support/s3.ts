import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeleteObjectsCommand, ListMultipartUploadsCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { S3BlobStoreOptions } from '../../src/storage/s3/s3-blob-store.js';

const STAND_IN = fileURLToPath(new URL('./s3-stand-in.js', import.meta.url));

const BUCKET = 'mediagraph-test';
/** The only key that s3rver knows. */
const STAND_IN_KEY = 'S3RVER';

type S3Options = S3BlobStoreOptions & { endpoint: string; accessKeyId: string; secretAccessKey: string };

/**
 * A bucket that is empty at the start: of the server that TEST_S3_ENDPOINT names (TEST_S3_BUCKET, TEST_S3_ACCESS_KEY_ID
 * and TEST_S3_SECRET_ACCESS_KEY say which and as whom; everything in that bucket is deleted), else of a stand-in.
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
      endpoint: TEST_S3_ENDPOINT,
      forcePathStyle: true,
      accessKeyId: TEST_S3_ACCESS_KEY_ID ?? STAND_IN_KEY,
      secretAccessKey: TEST_S3_SECRET_ACCESS_KEY ?? STAND_IN_KEY,
    };
    const server = new S3TestServer(options, null);
    await server.clear();
    return server;
  }

  /** A stand-in in any case, for tests of its faults. */
  static async startStandIn(): Promise<S3TestServer> {
    const standIn = await startStandIn(BUCKET);
    const keys = { accessKeyId: STAND_IN_KEY, secretAccessKey: STAND_IN_KEY };
    return new S3TestServer({ bucket: BUCKET, endpoint: standIn.endpoint, forcePathStyle: true, ...keys }, standIn);
  }

  /** From now on the stand-in answers 503, or not at all until the fault ends; null: as it should. */
  setFault(fault: 'unavailable' | 'silent' | null): void {
    if (!this.standIn) throw new Error('expected a stand-in');
    this.standIn.child.send({ fault });
  }

  /** The keys of all objects. */
  async keys(): Promise<string[]> {
    const keys: string[] = [];
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.options.bucket });
    for await (const { Contents = [] } of pages) keys.push(...Contents.map(({ Key }) => Key ?? ''));
    return keys;
  }

  async clear(): Promise<void> {
    const Bucket = this.options.bucket;
    for await (const { Contents = [] } of paginateListObjectsV2({ client: this.#client }, { Bucket })) {
      const Objects = Contents.map(({ Key }) => ({ Key }));
      if (Objects.length > 0) await this.#client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    }
  }

  /** Multipart uploads that were begun and neither completed nor aborted. */
  async unfinishedUploads(): Promise<string[]> {
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.options.bucket }));
    return Uploads.map(({ Key }) => Key ?? '');
  }

  async close(): Promise<void> {
    if (!this.standIn) await this.clear();
    this.#client.destroy();
    await this.standIn?.end();
  }
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
