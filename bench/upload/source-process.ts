/** Serves the file that its argument names, without credentials, and prints the address. */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

const [file = ''] = process.argv.slice(2);
const { size } = statSync(file);

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/pdf', 'content-length': size });
  pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), response, () => {});
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`serves at http://127.0.0.1:${port}/file.pdf\n`);
});
