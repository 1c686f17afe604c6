/** Accepts spans of OpenTelemetry (OTLP over HTTP) and forgets them. */
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  request.resume().once('end', () => response.setHeader('content-type', 'application/json').end('{}'));
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address !== 'string')
    process.stdout.write(`listens at http://127.0.0.1:${address.port}\n`);
});
