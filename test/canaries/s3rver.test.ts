/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { outputOf } from '../support/node-script.js';

const SCRIPT = `
  import { mkdtempSync, rmSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import S3rver from 's3rver';
  const directory = mkdtempSync(join(tmpdir(), 'canary-'));
  const { store, middleware } = new S3rver({ directory, silent: true });
  const methods = ['getObject', 'getResourcePath', 'listObjects', 'putMetadata', 'putObject', 'putPart'];
  console.log(JSON.stringify([methods.map((name) => typeof store[name]), Array.isArray(middleware)]));
  rmSync(directory, { recursive: true });`;

it('the store and the middleware of s3rver can be replaced', async () => {
  const [methods, hasMiddleware] = JSON.parse(await outputOf(SCRIPT, ['--openssl-legacy-provider']));
  expect([new Set(methods), hasMiddleware]).toEqual([new Set(['function']), true]);
});
