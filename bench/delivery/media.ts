import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { request } from 'undici';
import { faultOf, type Server } from '../support/ours.js';

const UPLOAD = `mutation($url: URL!) { uploadMediaFromUrl(input: { channelId: "line", url: $url }) {
  media { status sha256 url } } }`;

export interface ServedFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Random bytes that begin as files of their type do. */
export function sampleFile(name: string, sizeBytes: number): ServedFile {
  const bytes = randomBytes(sizeBytes);
  const start = name.endsWith('.jpg') ? Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex') : '%PDF-1.7\n';
  bytes.set(Buffer.from(start));
  return { name, bytes };
}

/** Has ours keep the file, and nginx find it in its folder. @returns ours's link */
export async function place({ name, bytes }: ServedFile, server: Server, folder: string): Promise<string> {
  writeFileSync(join(folder, name), bytes, { mode: 0o644 });
  const source = createServer((_request, response) => response.end(bytes));
  source.listen(0, '127.0.0.1');
  await once(source, 'listening');
  const address = source.address();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  try {
    const { body } = await request(`${server.said}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: UPLOAD, variables: { url: `http://127.0.0.1:${address.port}/${name}` } }),
    });
    const answer = JSON.stringify(await body.json());
    const { url, sha256 } = /"sha256":"(?<sha256>[0-9a-f]+)","url":"(?<url>[^"]+)"/.exec(answer)?.groups ?? {};
    const hash = createHash('sha256').update(bytes).digest('hex');
    if (url === undefined || sha256 !== hash) throw faultOf(server, `expected ${name} to be kept, got ${answer}`);
    return url;
  } finally {
    source.close();
  }
}
