// http-proxy-3 with nothing but its own job, and a keep-alive agent.
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProxyServer } from 'http-proxy-3';

const proxy = createProxyServer({
  target: process.argv[2] as string,
  agent: new Agent({ keepAlive: true, maxSockets: 64 }),
});
const server = createServer((request, response) => void proxy.web(request, response));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));
