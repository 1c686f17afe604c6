/** Serves the file that its argument names, without credentials, and prints the address. */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

const [file = ''] = process.argv.slice(2);
const { size } = statSync(file);

/** `?bytes=1000` serves the first thousand bytes. */
const server = createServer(({ url = '/' }, response) => {
  const bytes = Number(new URL(url, 'http://source').searchParams.get('bytes') ?? size);
  response.writeHead(200, { 'content-type': 'audio/wav', 'content-length': bytes });
  pipeline(createReadStream(file, { highWaterMark: 256 * 1024, end: bytes - 1 }), response, () => {});
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`serves at http://127.0.0.1:${port}/file.wav\n`);
});
