// The floor: node:http in, undici dispatch out, small whole answers, nothing in between.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const pool = new Pool(process.argv[2] as string, { connections: 64, pipelining: 1 });
const server = createServer((request, response) => {
  const chunks: string[] = [];
  let status = 0;
  let fields: string[] = [];
  pool.dispatch(
    { method: 'GET', path: request.url as string, headers: ['accept', 'application/json'] },
    {
      onRequestStart() {},
      onResponseStart(controller, statusCode) {
        status = statusCode;
        fields = (controller.rawHeaders as Buffer[]).map((field) => field.toString('latin1'));
      },
      onResponseData: (_controller, chunk) => void chunks.push(chunk.toString('latin1')),
      onResponseEnd() {
        response.writeHead(status, fields);
        response.end(chunks.join(''), 'latin1');
      },
      onResponseError: () => void response.destroy(),
    },
  );
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
