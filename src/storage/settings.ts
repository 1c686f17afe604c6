import { z } from 'zod';
import { valueAt } from '../settings/faults.js';
import type { Rule } from '../settings/rules.js';
import { KEYS_MAY_BE_SECRETS, SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { baseUrl, text } from '../settings/texts.js';
import { boolean } from '../settings/units.js';

const s3 = z
  .strictObject({
    bucket: text.describe('The bucket; it must exist. Put, get, list and delete are needed.'),
    region: text.default('us-east-1').describe('Of the bucket.'),
    endpoint: baseUrl.nullable().default(null).describe("For services other than AWS; `null`: AWS's own."),
    forcePathStyle: boolean()
      .default(false)
      .describe('Put the bucket into the path instead of the host name, as many services other than AWS want it.'),
    accessKeyId: text
      .nullable()
      .default(null)
      .describe('`null`, both: the credentials that the AWS SDK finds in its own places.'),
    secretAccessKey: text.nullable().default(null).describe('Goes with `accessKeyId`.'),
    redirect: boolean()
      .default(false)
      .describe(
        'Answer a link with a redirect to the bucket instead of passing the bytes on. Saves traffic here; the bucket must be reachable for browsers.',
      ),
  })
  .meta(KEYS_MAY_BE_SECRETS);

/** The section `storage`. */
export const storage = section({
  driver: z
    .enum(['fs', 's3'])
    .default('fs')
    .meta(SHOWN_IN_FAULTS)
    .describe('Where copies of media are kept: a folder or a bucket.'),
  root: text.default('./data/blobs').describe('The folder of driver `fs`.'),
  s3: s3.nullable().default(null).describe('The bucket of driver `s3`.'),
}).describe('Where the bytes of media are kept.');

const s3WithoutBucket: Rule = (document) => {
  const bucketSettings = valueAt(document, ['storage', 's3']) ?? null;
  if (valueAt(document, ['storage', 'driver']) !== 's3' || bucketSettings !== null) return [];
  return [{ path: 'storage.s3', message: 'storage.driver s3 needs at least a bucket' }];
};

/** Rules over `storage`. */
export const storageRules: readonly Rule[] = [s3WithoutBucket];
