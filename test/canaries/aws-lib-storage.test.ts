/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

const PART_BYTES = 5 * 1024 * 1024;

/** The commands that an upload sends, and with how many arguments. */
async function sentFor(sizeBytes: number): Promise<Array<[name: string, argumentCount: number]>> {
  const sent: Array<[string, number]> = [];
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const client = new S3Client({ region: 'us-east-1', endpoint: 'http://127.0.0.1:9', credentials });
  const send = async (...given: object[]) => {
    sent.push([given[0]?.constructor.name ?? '', given.length]);
    return { UploadId: 'upload', ETag: '"tag"' };
  };
  const upload = new Upload({
    client: Object.create(client, { send: { value: send } }),
    params: { Bucket: 'bucket', Key: 'key', Body: Readable.from([Buffer.alloc(sizeBytes)], { objectMode: false }) },
    partSize: PART_BYTES,
    queueSize: 1,
  });
  await upload.done();
  client.destroy();
  return sent;
}

it('an Upload sends everything through the send() of its client, and passes no signal', async () => {
  expect(await sentFor(10)).toEqual([['PutObjectCommand', 1]]);
  expect(await sentFor(PART_BYTES + 1)).toEqual([
    ['CreateMultipartUploadCommand', 1],
    ['UploadPartCommand', 1],
    ['UploadPartCommand', 1],
    ['CompleteMultipartUploadCommand', 1],
  ]);
});
