import { z } from 'zod';
import { valueAt } from '../settings/faults.js';
import type { Rule } from '../settings/rules.js';
import { KEYS_MAY_BE_SECRETS, SECRET, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { baseUrl, text } from '../settings/texts.js';
import { boolean, permissions } from '../settings/units.js';

/** S3 limits a key to 1,024 bytes; a blob's key takes most of them. */
const MAX_PREFIX = 100;

const s3 = z
  .strictObject({
    bucket: text.describe(
      'The name of an existing bucket. The credentials need permission to put, get, list and delete objects.',
    ),
    prefix: z
      .string({ error: 'expected a text' })
      .max(MAX_PREFIX, `expected at most ${MAX_PREFIX} characters`)
      .regex(/^(?:[\w-][\w.-]*\/)*$/, 'expected nothing, or names that each end with a slash, such as mediagraph/')
      .default('')
      .meta({ form: 'text that ends with a slash, or nothing' })
      .describe(
        'The beginning of the keys of all objects, for a bucket that others use, too, for example `mediagraph/`. The server does not read, list or delete other objects.',
      ),
    region: text.default('us-east-1').describe('The region of the bucket.'),
    endpoint: baseUrl
      .nullable()
      .default(null)
      .describe('The endpoint of an S3-compatible service. `null`: the endpoint of AWS.'),
    forcePathStyle: boolean()
      .default(false)
      .describe('Use the bucket name in the path instead of the host name, as many S3-compatible services require.'),
    accessKeyId: text
      .nullable()
      .default(null)
      .describe(
        'The access key id. With `null` for both keys, the AWS SDK finds the credentials in its standard locations.',
      ),
    secretAccessKey: text.meta(SECRET).nullable().default(null).describe('The secret that belongs to `accessKeyId`.'),
    redirect: boolean()
      .default(false)
      .describe(
        'Answer links with a redirect to the bucket instead of sending the bytes. This reduces the traffic of the server; browsers must be able to reach the bucket.',
      ),
  })
  .meta(KEYS_MAY_BE_SECRETS);

export const DEFAULT_FILE_MODE = 0o600;
export const DEFAULT_FOLDER_MODE = 0o700;

/** The section `storage`. */
export const storage = section({
  driver: z
    .enum(['fs', 's3'])
    .default('fs')
    .meta(SHOWN_IN_FAULTS)
    .describe('The storage of media: `fs` uses a folder, `s3` uses a bucket.'),
  root: text.default('./data/blobs').describe('The folder of the driver `fs`.'),
  fileMode: permissions({ owner: { bits: 0o600, words: 'read and write' }, example: '0640' })
    .default(DEFAULT_FILE_MODE)
    .describe(
      'The permissions of the files that the driver `fs` creates, whatever the umask is. Existing files keep theirs.',
    ),
  folderMode: permissions({ owner: { bits: 0o700, words: 'read, write and enter' }, example: '0750' })
    .default(DEFAULT_FOLDER_MODE)
    .describe(
      'The permissions of the folders that the driver `fs` creates. Existing folders below `root` get them when the server stores media in them.',
    ),
  s3: s3.nullable().default(null).describe('The bucket of the driver `s3`.'),
}).describe('These keys set where the server stores the bytes of media.');

const s3WithoutBucket: Rule = (document) => {
  const bucketSettings = valueAt(document, ['storage', 's3']) ?? null;
  if (valueAt(document, ['storage', 'driver']) !== 's3' || bucketSettings !== null) return [];
  return [{ path: 'storage.s3', message: 'storage.driver s3 needs at least a bucket' }];
};

/** Rules over `storage`. */
export const storageRules: readonly Rule[] = [s3WithoutBucket];
