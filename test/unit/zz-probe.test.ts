import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { multipartBody } from '../../src/net/multipart.js';
import { OriginPools } from '../../src/net/origin-pools.js';
import { ProviderHttpClient } from '../../src/net/provider-http-client.js';
test('probe', async () => {
  const server = createServer((request) => { request.resume(); console.log('req', request.headers['content-length']); request.on('close', () => console.log('request close', performance.now() - t0)); request.on('error', (e) => console.log('err', e.message)); });
  server.on('connection', (s) => { console.log('conn'); s.on('end', () => console.log('end', performance.now() - t0)); s.on('close', () => console.log('sock close', performance.now() - t0)); });
  server.listen(0); await once(server, 'listening');
  const pools = new OriginPools();
  const c = new ProviderHttpClient({ baseUrl: `http://127.0.0.1:${(server.address() as any).port}`, headers: {}, pools, policy: { timeoutMs: 3000, retries: 0, maxConcurrency: 3 } });
  const t0 = performance.now();
  await c.post({ path: '/x', body: multipartBody({ file: { body: Readable.from([Buffer.from('ab')]), sizeBytes: 5, filename: 'a', mimeType: 'image/png' } }) }).catch((e) => console.log(e.name, e.cause?.message, performance.now() - t0));
  await new Promise((r) => setTimeout(r, 4500));
  await pools.close(); server.closeAllConnections(); server.close();
}, 10000);
