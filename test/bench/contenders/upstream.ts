// What every contender forwards to: 1 KiB of JSON, as fast as node:http gives it.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = JSON.stringify({ pad: 'x'.repeat(1013) });
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, ['content-type', 'application/json', 'content-length', String(body.length)]);
  response.end(body, 'latin1');
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
